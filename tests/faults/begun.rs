//! Answers that have begun: what is there is passed on, and what breaks then has broken for good.

use crate::{
    SILENCE, gateway,
    piecemeal::{Client, Era, Server, head, result},
    program::Program,
    support::{clients::Raw, soon},
    timed,
    wire::Request,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower_mcp_gateway::{metrics::Outcome, registry};

/// More than is waited for, in bytes.
const LARGE: usize = 3 << 20;

/// A replica.
fn entry(id: &str, server: &Server) -> registry::Server {
    registry::Server::http(id, "one", &server.url()).expect("a URL of our own")
}

/// A call of the client, and what the server got for it.
async fn watched(client: &Client, server: &mut Server) -> (JoinHandle<Raw>, Request) {
    let client = client.clone();
    let answer = tokio::spawn(async move { client.watch(json!(1)).await });
    (answer, server.call().await)
}

/// A progress note of the call.
fn progress(request: &Request, done: u64) -> Value {
    let token = &request.json()["params"]["_meta"]["progressToken"];
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": done } })
}

/// Answers with a large result that is no JSON in its tail, or is cut there; tells whether the client saw its beginning and
/// that it broke.
async fn breaks(answer: JoinHandle<Raw>, mut request: Request, cut: bool) -> bool {
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{} no}}", request.id(), result(LARGE));
    let whole = head(Some(body.len() + usize::from(cut))) + &body[..body.len() - usize::from(cut)];
    let sending = async {
        request.sends(whole.as_bytes()).await;
        if cut {
            request.shut().await;
        }
    };
    let reading = async {
        let mut answer = answer.await.expect("an answer");
        let got = answer.bytes(usize::MAX).await;
        answer.is_cut() && got.len() > LARGE / 2
    };
    tokio::join!(reading, sending).0
}

#[tokio::test]
async fn five_results_that_break_in_their_tails_open_the_breaker_of_their_server() {
    for era in Era::ALL {
        let mut server = Server::start(era).await;
        let front = gateway(vec![entry("one-1", &server)]).await;
        let client = Client::open(era, front.address()).await;
        let measured = || front.gateway.registry().measured().remove(0);
        for failed in 1..=5 {
            assert_eq!(measured().breaker_opened, 0, "{era:?}: not before the fifth");
            let (answer, request) = watched(&client, &mut server).await;
            assert!(breaks(answer, request, false).await, "{era:?}");
            assert_eq!(measured().calls.total(Outcome::Failed), failed, "{era:?}");
        }
        assert_eq!(measured().breaker_opened, 1, "{era:?}");
        let refused = client.call(json!(1)).await.collect().await.json();
        assert_eq!(refused["error"]["data"]["source"], "gateway", "{era:?}: {refused}");
        assert!(!server.has_call(), "{era:?}: it was not asked");
    }
}

#[tokio::test]
async fn what_breaks_after_its_first_byte_is_asked_of_no_other_replica() {
    for era in Era::ALL {
        let (mut one, mut other) = (Server::start(era).await, Server::start(era).await);
        let servers = vec![entry("one-1", &one), entry("one-2", &other)];
        let front = gateway(servers).await;
        let client = Client::open(era, front.address()).await;
        for cut in [true, false] {
            let calling = tokio::spawn({
                let client = client.clone();
                async move { client.call(json!(1)).await }
            });
            let request = tokio::select! {
                request = one.call() => request,
                request = other.call() => request,
            };
            assert!(breaks(calling, request, cut).await, "{era:?}");
            assert!(!one.has_call() && !other.has_call(), "{era:?}: it was asked again");
        }
        // Both are well enough to be asked the next time.
        let ended: u64 = front.gateway.registry().measured().iter().map(|one| one.calls.total(Outcome::Failed)).sum();
        assert_eq!(ended, 2, "{era:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_after_an_event_is_asked_of_no_other_replica() {
    let era = Era::Modern;
    let (mut one, mut other) = (Server::start(era).await, Server::start(era).await);
    let servers = vec![entry("one-1", &one), entry("one-2", &other)];
    let front = gateway(servers).await;
    let client = Client::open(era, front.address()).await;
    let calling = tokio::spawn(async move { client.watch(json!(1)).await });
    let mut request = tokio::select! {
        request = one.call() => request,
        request = other.call() => request,
    };
    request.stream().await;
    request.event(&progress(&request, 0).to_string()).await;
    let mut answer = soon("a head", calling).await.expect("an answer");
    assert_eq!(answer.message().await.expect("a note")["method"], "notifications/progress");
    request.shut().await;
    let last = answer.message().await.expect("the answer");
    assert_eq!((&last["id"], &last["error"]["data"]["source"]), (&json!(1), &json!("gateway")), "{last}");
    assert!(answer.message().await.is_none());
    assert!(!one.has_call() && !other.has_call(), "it was asked again");
}

#[tokio::test]
async fn the_first_event_is_with_the_client_while_its_server_is_silent() {
    for era in Era::ALL {
        let mut server = Server::start(era).await;
        let connection = json!({ "type": "http", "url": server.url() });
        let entry = json!({ "id": "one-1", "name": "one", "transport": "http", "connection": connection });
        let program = Program::start(&format!("begun-{era:?}"), vec![entry]).await;
        let client = Client::open(era, program.address).await;
        let (answer, mut request) = watched(&client, &mut server).await;
        request.stream().await;
        request.event(&progress(&request, 0).to_string()).await;
        let mut answer = answer.await.expect("an answer");
        for turn in 0..3 {
            let (note, took) = timed(answer.message()).await;
            assert_eq!(note.expect("a note")["params"]["progress"], turn, "{era:?}");
            assert!(took < SILENCE, "{era:?}: {took:?}");
            request.event(&progress(&request, turn + 1).to_string()).await;
        }
    }
}
