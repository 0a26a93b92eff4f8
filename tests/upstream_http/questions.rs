use super::{Peer, Request, send, session, tool, transport};
use futures_util::StreamExt;
use serde_json::json;
use tower_mcp_gateway::{
    Reply,
    json::Json,
    reply::{Ask, Event, Events},
    upstream::http::Http,
};

const ELICIT: &str = r#"{"jsonrpc":"2.0","id":ID,"method":"elicitation/create","params":{"message":"who?"}}"#;

/// A call whose server asks under `id`, with the question and what follows it.
async fn asking(peer: &mut Peer, http: &Http, id: &str) -> (Request, Ask, Events) {
    let reply = send(http, &session(), tool());
    let mut request = peer.next().await;
    request.stream().await;
    request.event(&ELICIT.replace("ID", id)).await;
    let mut events = reply.await.unwrap().unwrap().into_events();
    let ask = asked(&mut events).await;
    (request, ask, events)
}

async fn asked(events: &mut Events) -> Ask {
    match events.next().await {
        Some(Ok(Event::Ask(ask))) => *ask,
        other => panic!("no question: {other:?}"),
    }
}

async fn done(request: &mut Request, mut events: Events) {
    request.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id())).await;
    assert!(matches!(events.next().await, Some(Ok(Event::Done(_)))));
}

/// Reads on from a task of its own, as the edge does while the client thinks.
fn reading(events: Events) -> tokio::task::JoinHandle<Reply> {
    tokio::spawn(async move { Reply::single(Reply::stream(events).outcome().await.unwrap()) })
}

#[tokio::test]
async fn the_answer_goes_back_in_the_session_under_the_servers_own_id() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    for id in ["7", "\"a\\u0041\"", "18446744073709551617"] {
        let (mut request, ask, events) = asking(&mut peer, &http, id).await;
        assert_eq!((ask.method.as_str(), ask.params.as_str()), ("elicitation/create", r#"{"message":"who?"}"#));
        let reading = reading(events);
        ask.answer(Ok(Json::from_static(r#"{"action":"decline"}"#)));
        let answer = peer.next().await;
        assert_eq!(answer.body, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"decline"}}}}"#));
        assert_eq!(answer.header("mcp-session-id"), Some("s-1"));
        answer.accept().await;
        request.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id())).await;
        assert!(reading.await.unwrap().as_single().is_some());
    }
    assert!(peer.waiting().is_none());
}

#[tokio::test]
async fn a_question_that_is_dropped_is_refused_and_the_call_goes_on() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let (mut request, ask, events) = asking(&mut peer, &http, "7").await;
    let reading = reading(events);
    drop(ask);
    let refusal = peer.next().await;
    assert_eq!((&refusal.json()["id"], &refusal.json()["error"]["code"]), (&json!(7), &json!(-32603)));
    refusal.accept().await;
    request.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id())).await;
    assert!(reading.await.unwrap().as_single().is_some());
}

#[tokio::test]
async fn what_can_be_answered_here_reaches_nobody() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &session(), tool());
    let mut request = peer.next().await;
    request.stream().await;
    request.event(r#"{"jsonrpc":"2.0","id":"q","method":"ping"}"#).await;
    let answer = peer.next().await;
    assert_eq!(answer.json(), json!({"jsonrpc": "2.0", "id": "q", "result": {}}));
    answer.accept().await;
    request.event(r#"{"jsonrpc":"2.0","id":8,"method":"tasks/list"}"#).await;
    let refusal = peer.next().await;
    assert_eq!((&refusal.json()["id"], &refusal.json()["error"]["code"]), (&json!(8), &json!(-32601)));
    refusal.accept().await;
    request.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id())).await;
    assert!(reply.await.unwrap().unwrap().as_single().is_some());
}

#[tokio::test]
async fn a_call_that_ends_leaves_no_question_behind() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let (mut request, ask, events) = asking(&mut peer, &http, "7").await;
    done(&mut request, events).await;
    assert!(ask.is_moot());
    let refusal = peer.next().await;
    assert_eq!(refusal.json()["error"]["code"], -32603);
    refusal.accept().await;

    let (mut request, ask, events) = asking(&mut peer, &http, "7").await;
    drop(events);
    assert!(ask.is_moot());
    let mut told: Vec<_> = Vec::new();
    for _ in 0..2 {
        let message = peer.next().await;
        told.push(message.json()["method"].as_str().unwrap_or("answer").to_owned());
        message.accept().await;
    }
    told.sort();
    assert_eq!(told, ["answer", "notifications/cancelled"]);
    request.closed().await;
}

#[tokio::test]
async fn a_server_takes_its_question_back() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let (mut request, ask, mut events) = asking(&mut peer, &http, "7").await;
    request.event(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#).await;
    request.event(&ELICIT.replace("ID", "8")).await;
    let second = asked(&mut events).await;
    assert!(ask.is_moot() && !second.is_moot());
    let reading = reading(events);
    ask.answer(Ok(Json::from_static("{}")));
    second.answer(Err(Json::from_static(r#"{"code":-1,"message":"no"}"#)));
    let answer = peer.next().await;
    assert_eq!((&answer.json()["id"], &answer.json()["error"]["code"]), (&json!(8), &json!(-1)));
    answer.accept().await;
    request.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id())).await;
    assert!(reading.await.unwrap().as_single().is_some());
    assert!(peer.waiting().is_none());
}
