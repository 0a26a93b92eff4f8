//! Large results in event streams, which are passed on while they arrive as those are that come alone.

use crate::{
    large::{LARGE, front},
    piecemeal::{Client, EVENTS, Era, Server, note, result},
    support::clients::Raw,
    wire::Request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tower_mcp_gateway::metrics::{Count, Outcome};

/// The answer of a call when its first bytes have come, after so many notes, of a server that sends `begin` of its id and no
/// more.
async fn begun(
    client: &Client,
    server: &mut Server,
    notes: u32,
    begin: &dyn Fn(u64) -> String,
) -> (Raw, Vec<u8>, Request) {
    let called = tokio::spawn({
        let client = client.clone();
        async move { client.watch(json!("own id")).await }
    });
    let mut request = server.call().await;
    let told: String = (0..notes).map(|n| note(&request, n)).collect();
    let reading = async {
        let mut answer = called.await.expect("an answer");
        let first = answer.bytes(LARGE / 2).await;
        (answer, first)
    };
    let sent = EVENTS.to_owned() + &told + &begin(request.id());
    let ((answer, first), ()) = tokio::join!(reading, request.send(&sent));
    (answer, first, request)
}

/// The messages of an answer: of an event stream, or the only one.
fn messages(answer: &Raw, body: &[u8]) -> Vec<Value> {
    let body = std::str::from_utf8(body).expect("text");
    if answer.headers["content-type"] == "application/json" {
        return vec![serde_json::from_str(body).expect("a message")];
    }
    let data = |event: &str| {
        let lines: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        lines.join("\n")
    };
    let events = body.split_terminator("\n\n").map(data).filter(|data| !data.is_empty());
    events.map(|data| serde_json::from_str(&data).expect("a message")).collect()
}

fn message(id: u64, result: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}")
}

/// One event with this data, each of whose lines is one of the stream.
fn event(data: &str) -> String {
    format!("id: last\ndata: {}\n\n", data.replace('\n', "\ndata: "))
}

#[tokio::test]
async fn the_first_byte_leaves_before_the_last_arrives_and_behind_the_notes() {
    for era in Era::ALL {
        let mut server = Server::start(era).await;
        let front = front(&server, |_| {}).await;
        let client = Client::open(era, front.address()).await;
        let result = result(LARGE);
        let lines = format!("{{\n\"x\": [\n1,\n 2],{}", result.strip_prefix('{').unwrap());
        for (notes, result) in [(0, &result), (2, &result), (0, &lines), (2, &lines)] {
            let whole = |id| event(&message(id, result));
            let cut = LARGE * 3 / 4;
            let begin = |id| whole(id)[..cut].to_owned();
            let (mut answer, mut got, mut request) = begun(&client, &mut server, notes, &begin).await;
            assert!(got.len() >= LARGE / 2, "{era:?}");
            let end = whole(request.id())[cut..].to_owned();
            let ending = async {
                request.send(&end).await;
                request.shut().await;
            };
            let (more, ()) = tokio::join!(answer.bytes(usize::MAX), ending);
            got.extend(more);
            assert!(!answer.is_cut());
            let mut messages = messages(&answer, &got);
            let mut expected: Value = serde_json::from_str(result).unwrap();
            if era == Era::Modern {
                expected["resultType"] = json!("complete");
            }
            let last = messages.pop().unwrap();
            assert!(last == json!({ "jsonrpc": "2.0", "id": "own id", "result": expected }), "{era:?}, {notes} notes");
            let told: Vec<_> = messages.iter().map(|note| note["params"].clone()).collect();
            let expected = (0..notes).map(|n| json!({ "progressToken": "t", "progress": n }));
            assert_eq!(told, expected.collect::<Vec<_>>());
        }
        assert_eq!(front.gateway.registry().measured()[0].calls.total(Outcome::Result), 4);
    }
}

#[tokio::test]
async fn what_goes_wrong_after_its_beginning_is_broken_off_and_counted() {
    for era in Era::ALL {
        for (notes, (end, count)) in [0, 1].into_iter().flat_map(|notes| ENDS.map(|end| (notes, end))) {
            let mut server = Server::start(era).await;
            let front = front(&server, |config| config.request_timeout = Duration::from_millis(700)).await;
            let client = Client::open(era, front.address()).await;
            let result = result(LARGE);
            let open = result.strip_suffix('}').unwrap();
            let begin = |_| format!("id: e\ndata: {{\"jsonrpc\":\"2.0\",\"result\":{open}");
            let (mut answer, mut got, mut request) = begun(&client, &mut server, notes, &begin).await;
            let ending = async {
                let end = end.replace("ID", &request.id().to_string());
                match count {
                    Count::Silence => request.closed().await,
                    Count::MessageTooLarge => {
                        request.send(&end).await;
                        while request.sends("x".repeat(LARGE).as_bytes()).await {}
                    }
                    // What nobody reads any more cannot be sent.
                    _ => {
                        request.sends(end.as_bytes()).await;
                        request.shut().await;
                    }
                }
            };
            let (more, ()) = tokio::join!(answer.bytes(usize::MAX), ending);
            got.extend(more);
            assert!(answer.is_cut(), "{era:?}, {notes} notes, {end:?}");
            assert!(!got.ends_with(b"\n\n"), "half an event is none");
            assert_eq!(front.gateway.metrics().get(count), 1, "{era:?}, {notes} notes, {end:?}");
            if count == Count::Protocol {
                assert_eq!(front.gateway.registry().measured()[0].calls.total(Outcome::Failed), 1);
            }
        }
    }
}

/// What follows most of a result, and what that is.
const ENDS: [(&str, Count); 11] = [
    ("},\"id\":ID}\nevent: other\n\n", Count::Protocol),
    ("},\"id\":1000000}\n\n", Count::Protocol),
    ("},\"id\":ID}\ndata: {}\n\n", Count::Protocol),
    ("},\"id\":ID,\"error\":{}}\n\n", Count::Protocol),
    ("}\n\n", Count::Protocol),
    ("\n\n", Count::Protocol),
    (",\"a\":\n1}}\n\n", Count::Protocol),
    ("},\"id\":ID}\n", Count::Closed),
    ("", Count::Closed),
    (",\"a\":\"", Count::MessageTooLarge),
    ("silence", Count::Silence),
];

#[tokio::test]
async fn a_large_message_that_is_no_result_is_read_as_a_whole_and_the_result_behind_it_is_not() {
    for era in Era::ALL {
        let mut server = Server::start(era).await;
        let front = front(&server, |_| {}).await;
        let client = Client::open(era, front.address()).await;
        let long = "x".repeat(LARGE);
        let other = format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"x/y\",\"params\":{{\"a\":\"{long}\"}}}}\n\n");
        let ignored =
            format!("event: other\ndata: {{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"a\":\"{long}\"}}}}\n\n");
        let result = result(LARGE);
        let begin = |id| ignored.clone() + &other + &event(&message(id, &result))[..LARGE * 3 / 4];
        let (mut answer, mut got, mut request) = begun(&client, &mut server, 0, &begin).await;
        let end = event(&message(request.id(), &result))[LARGE * 3 / 4..].to_owned();
        let ending = async {
            request.send(&end).await;
            request.shut().await;
        };
        let (more, ()) = tokio::join!(answer.bytes(usize::MAX), ending);
        got.extend(more);
        let messages = messages(&answer, &got);
        assert_eq!(messages.len(), 2, "{era:?}");
        assert_eq!(messages[0]["params"]["a"].as_str().map(str::len), Some(LARGE));
        assert_eq!(messages[1]["result"]["isError"], false);
    }
}
