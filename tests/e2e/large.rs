//! Results that are passed on while they arrive.

use crate::{
    front::Front,
    piecemeal::{Client, Era, Server, head, result},
    support::clients::Raw,
    wire::Request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tower_mcp_gateway::{
    config::Config,
    metrics::{Count, Outcome},
    registry,
};

/// More than is waited for, in bytes.
pub(crate) const LARGE: usize = 3 << 20;

/// A gateway in front of the server that lets results through which are larger than what is waited for.
pub(crate) async fn front(server: &Server, change: impl FnOnce(&mut Config)) -> Front {
    let entry = registry::Server::http("one-1", "one", &server.url()).expect("a URL of our own");
    Front::with(vec![entry], |config| {
        config.limits.max_message_bytes = 4 * LARGE;
        change(config);
    })
    .await
}

/// A call of the client, and what the server got for it.
async fn called(client: &Client, server: &mut Server) -> (tokio::task::JoinHandle<Raw>, Request) {
    let client = client.clone();
    let answer = tokio::spawn(async move { client.call(json!("own id")).await });
    (answer, server.call().await)
}

/// The call's answer when its first bytes have come, of a server that sends so much and no more.
async fn begun(client: &Client, server: &mut Server, sent: &str) -> (Raw, Vec<u8>, Request) {
    let (answer, mut request) = called(client, server).await;
    let reading = async {
        let mut answer = answer.await.expect("an answer");
        let first = answer.bytes(LARGE / 2).await;
        (answer, first)
    };
    let ((answer, first), ()) = tokio::join!(reading, request.send(sent));
    (answer, first, request)
}

fn message(id: u64, result: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}")
}

#[tokio::test]
async fn the_first_byte_leaves_before_the_last_arrives() {
    for era in Era::ALL {
        let mut server = Server::start(era).await;
        let front = front(&server, |_| {}).await;
        let client = Client::open(era, front.address()).await;
        for (chunked, result_first) in [(false, false), (false, true), (true, false)] {
            let result = result(LARGE);
            let (answer, mut request) = called(&client, &mut server).await;
            let message = match result_first {
                true => format!("{{\"result\":{result} , \"id\":{},\"jsonrpc\":\"2.0\"}}\n", request.id()),
                false => message(request.id(), &result),
            };
            let (first, last) = message.split_at(LARGE * 3 / 4);
            let chunk = |text: &str| if chunked { format!("{:x}\r\n{text}\r\n", text.len()) } else { text.to_owned() };
            let begin = head((!chunked).then_some(message.len())) + &chunk(first);
            let reading = async {
                let mut answer = answer.await.expect("an answer");
                assert_eq!(
                    (answer.status.as_u16(), answer.headers["content-type"].as_bytes()),
                    (200, &b"application/json"[..])
                );
                let got = answer.bytes(LARGE / 2).await;
                (answer, got)
            };
            // Both end although the server has more to say.
            let ((mut answer, mut got), ()) = tokio::join!(reading, request.send(&begin));
            assert!(got.len() >= LARGE / 2, "{era:?}");
            let rest = chunk(last) + if chunked { "0\r\n\r\n" } else { "" };
            let (more, ()) = tokio::join!(answer.bytes(usize::MAX), request.send(&rest));
            got.extend(more);
            let got: Value = serde_json::from_slice(&got).expect("all of the answer");
            let mut whole: Value = serde_json::from_str(&result).unwrap();
            if era == Era::Modern {
                whole["resultType"] = json!("complete");
            }
            assert_eq!(got, json!({ "jsonrpc": "2.0", "id": "own id", "result": whole }), "{era:?}");
            assert!(!answer.is_cut());
        }
        assert_eq!(front.gateway.registry().measured()[0].calls.total(Outcome::Result), 3);
    }
}

#[tokio::test]
async fn an_answer_that_goes_wrong_after_its_beginning_is_broken_off_and_counted() {
    let mut server = Server::start(Era::Modern).await;
    let front = front(&server, |_| {}).await;
    let client = Client::open(Era::Modern, front.address()).await;
    let result = result(LARGE);
    let open = result.strip_suffix("}").unwrap();
    let (metrics, mut failed) = (front.gateway.metrics().clone(), 0);
    for (broken, count) in [
        (format!("{result},\"id\":ID}}}}"), Count::Protocol),
        (format!("{result},\"id\":ID}} {{}}"), Count::Protocol),
        (format!("{result},\"id\":ID,\"result\":{{}}}}"), Count::Protocol),
        (format!("{result},\"id\":ID,\"error\":{{}}}}"), Count::Protocol),
        (format!("{result},\"id\":ID,\"id\":ID}}"), Count::Protocol),
        (format!("{result},\"id\":1000000}}"), Count::Protocol),
        (format!("{result}}}"), Count::Protocol),
        (format!("{result},\"id\":ID"), Count::Protocol),
        (format!("{result},\"id\":ID,\"x\":\"{}\"}}", "x".repeat(LARGE)), Count::Protocol),
        (format!("{open},\"a\":\"\u{1}\"}},\"id\":ID}}"), Count::Protocol),
        (format!("{open},\"a\" 1}},\"id\":ID}}"), Count::Protocol),
        (format!("{open},\"a\":{}}},\"id\":ID}}", "1".repeat(LARGE)), Count::Protocol),
        (format!("{open},\"a\":{}", "[".repeat(200)), Count::Protocol),
        (open.to_owned(), Count::Protocol),
    ] {
        let before = metrics.get(count);
        let (answer, mut request) = called(&client, &mut server).await;
        let body = format!("{{\"jsonrpc\":\"2.0\",\"result\":{}", broken.replace("ID", &request.id().to_string()));
        let end = &body[body.len() - 60..];
        let reading = async {
            let mut answer = answer.await.expect("an answer");
            let got = answer.bytes(usize::MAX).await;
            (answer, got)
        };
        let whole = head(Some(body.len())) + &body;
        let ((answer, got), _) = tokio::join!(reading, request.sends(whole.as_bytes()));
        assert!(answer.is_cut() && got.len() > LARGE / 2, "…{end}");
        assert!(serde_json::from_slice::<Value>(&got).is_err(), "…{end}");
        assert_eq!(metrics.get(count), before + 1, "…{end}");
        failed += 1;
        assert_eq!(front.gateway.registry().measured()[0].calls.total(Outcome::Failed), failed, "…{end}");
        // Or the server's breaker would open.
        let (answer, request) = called(&client, &mut server).await;
        request.result("{}").await;
        assert_eq!(answer.await.expect("an answer").status.as_u16(), 200);
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_too_long_or_stalled_is_broken_off() {
    for count in [Count::Closed, Count::Silence, Count::MessageTooLarge] {
        let mut server = Server::start(Era::Initialize).await;
        let front = front(&server, |config| config.request_timeout = Duration::from_millis(700)).await;
        let client = Client::open(Era::Initialize, front.address()).await;
        let piece = format!("{LARGE:x}\r\n{}\r\n", "x".repeat(LARGE));
        let opening = "{\"jsonrpc\":\"2.0\",\"result\":{\"a\":\"";
        let begin = format!("{}{:x}\r\n{opening}\r\n{piece}", head(None), opening.len());
        let (mut answer, _, mut request) = begun(&client, &mut server, &begin).await;
        let ending = async {
            match count {
                Count::Closed => request.shut().await,
                Count::Silence => request.closed().await,
                _ => while request.sends(piece.as_bytes()).await {},
            }
        };
        let (got, ()) = tokio::join!(answer.bytes(usize::MAX), ending);
        assert!(answer.is_cut() && got.len() <= 4 * LARGE, "{count:?}: {} bytes", got.len());
        let metrics = front.gateway.metrics();
        assert_eq!(metrics.get(count), 1, "{count:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_closes_the_response_of_the_server() {
    for era in Era::ALL {
        let mut server = Server::start(era).await;
        let front = front(&server, |_| {}).await;
        let client = Client::open(era, front.address()).await;
        let begin =
            head(Some(2 * LARGE)) + "{\"jsonrpc\":\"2.0\",\"result\":" + result(LARGE).strip_suffix("}").unwrap();
        let (answer, _, mut request) = begun(&client, &mut server, &begin).await;
        drop(answer);
        request.closed().await;
        let (answer, request) = called(&client, &mut server).await;
        request.result("{\"content\":[]}").await;
        assert_eq!(answer.await.expect("an answer").status.as_u16(), 200, "{era:?}: the server is as well as before");
    }
}

#[tokio::test]
async fn between_the_eras_and_below_what_is_waited_for_an_answer_has_its_length() {
    for (of_server, of_client, bytes) in [
        (Era::Modern, Era::Initialize, LARGE),
        (Era::Initialize, Era::Modern, LARGE),
        (Era::Modern, Era::Modern, 1 << 19),
    ] {
        let mut server = Server::start(of_server).await;
        let front = front(&server, |_| {}).await;
        let client = Client::open(of_client, front.address()).await;
        let (answer, request) = called(&client, &mut server).await;
        let result = result(bytes);
        request.result(&result).await;
        let answer = answer.await.expect("an answer");
        assert!(answer.headers.contains_key("content-length"), "{of_server:?} to {of_client:?}");
        assert_eq!(
            answer.collect().await.json()["result"]["content"],
            serde_json::from_str::<Value>(&result).unwrap()["content"]
        );
    }
}

#[tokio::test]
async fn a_wrong_id_before_the_result_lets_nothing_pass() {
    let mut server = Server::start(Era::Modern).await;
    let front = front(&server, |_| {}).await;
    let client = Client::open(Era::Modern, front.address()).await;
    let (answer, request) = called(&client, &mut server).await;
    request.json_response(&message(1_000_000, &result(LARGE))).await;
    let answer = answer.await.expect("an answer").collect().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]["data"]["source"]), (502, &json!("gateway")));
}
