//! What comes down the stream of a session while calls run.

use super::{Peer, Request, send, session, tool, transport};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tower_mcp_gateway::{
    BoxError, Call, Reply, Revision, Session,
    json::Json,
    reply::{Ask, Event, Events},
    upstream::{Hop, OfClient, http::Http},
};

const ELICIT: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"message":"who?"}}"#;
const LOG: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;

const FORM: &str = r#"{"elicitation":{}}"#;

type Running = tokio::task::JoinHandle<Result<Reply, BoxError>>;

/// A session whose stream is open, and a call of it that waits for its answer.
struct Scene {
    peer: Peer,
    http: Http,
    hop: Arc<Hop>,
    stream: Request,
}

impl Scene {
    async fn new(alone: bool) -> (Self, Request, Running) {
        let mut peer = Peer::start().await;
        let (http, hop) = (transport(&peer), session());
        let reply = send(&http, &hop, of_client(alone));
        let mut stream = peer.next().await;
        assert!(stream.line().starts_with("GET"), "open before the call is sent");
        stream.stream().await;
        let request = peer.next().await;
        assert_eq!(request.json()["method"], "tools/call");
        (Self { peer, http, hop, stream }, request, reply)
    }

    async fn call(&mut self, alone: bool) -> (Request, Running) {
        let reply = send(&self.http, &self.hop, of_client(alone));
        (self.peer.next().await, reply)
    }

    /// What the server is sent next, which is an answer to its question.
    async fn answered(&mut self) -> Value {
        let answer = self.peer.next().await;
        let json = answer.json();
        assert_eq!((&json["id"], answer.header("mcp-session-id")), (&json!(7), Some("s-1")));
        answer.accept().await;
        json
    }
}

fn of_client(alone: bool) -> Call {
    let mut call = tool();
    call.extensions.insert(OfClient { alone, hears: true });
    call
}

async fn asked(reply: Running) -> (Ask, Events) {
    let mut events = reply.await.unwrap().unwrap().into_events();
    match events.next().await {
        Some(Ok(Event::Ask(ask))) => (*ask, events),
        other => panic!("no question: {other:?}"),
    }
}

#[tokio::test]
async fn a_question_goes_to_the_only_call_before_so_much_as_the_head_of_its_response() {
    for alone in [true, false] {
        let (mut scene, request, reply) = Scene::new(alone).await;
        scene.stream.event(ELICIT).await;
        let (ask, events) = asked(reply).await;
        assert_eq!((ask.method.as_str(), ask.params.as_str()), ("elicitation/create", r#"{"message":"who?"}"#));
        let reading = tokio::spawn(Reply::stream(events).outcome());
        ask.answer(Ok(Json::from_static(r#"{"action":"decline"}"#)));
        assert_eq!(scene.answered().await["result"], json!({"action": "decline"}));
        request.result("{}").await;
        assert!(reading.await.unwrap().unwrap().result().is_some());
    }
}

#[tokio::test]
async fn of_two_calls_of_one_client_the_older_is_asked() {
    let (mut scene, first, older) = Scene::new(true).await;
    let (second, younger) = scene.call(true).await;
    scene.stream.event(ELICIT).await;
    let (ask, events) = asked(older).await;
    second.result("{}").await;
    assert!(younger.await.unwrap().unwrap().as_single().is_some(), "not asked");
    drop(ask);
    let reading = tokio::spawn(Reply::stream(events).outcome());
    assert_eq!(scene.answered().await["error"]["code"], -32603);
    first.result("{}").await;
    assert!(reading.await.unwrap().is_ok());
}

#[tokio::test]
async fn of_two_calls_that_may_be_different_clients_neither_is_asked_nor_told() {
    let (mut scene, first, one) = Scene::new(false).await;
    let (second, other) = scene.call(false).await;
    scene.stream.event(LOG).await;
    scene.stream.event(ELICIT).await;
    assert_eq!(scene.answered().await["error"]["code"], -32603);
    for (request, reply) in [(first, one), (second, other)] {
        request.result("{}").await;
        assert!(reply.await.unwrap().unwrap().as_single().is_some());
    }
}

#[tokio::test]
async fn after_a_cancelled_call_another_clients_is_not_asked_until_the_server_has_taken_the_cancellation() {
    for taken in [false, true] {
        let (mut scene, first, reply) = Scene::new(false).await;
        reply.abort();
        let cancelled = scene.peer.next().await;
        assert_eq!(cancelled.json()["method"], "notifications/cancelled");
        let cancelled = if taken {
            cancelled.accept().await;
            None
        } else {
            Some(cancelled)
        };
        drop(first);
        let (second, reply) = scene.call(false).await;
        scene.stream.event(ELICIT).await;
        assert_eq!(scene.answered().await["error"]["code"], -32603, "it may be the first one's");
        // A second, or a fifth of it where the server has taken the cancellation.
        tokio::time::sleep(Duration::from_millis(300)).await;
        scene.stream.event(ELICIT).await;
        if taken {
            let (ask, events) = asked(reply).await;
            drop((ask, events));
        } else {
            assert_eq!(scene.answered().await["error"]["code"], -32603, "it may still be");
            second.result("{}").await;
            assert!(reply.await.unwrap().unwrap().as_single().is_some());
        }
        drop(cancelled);
    }
}

#[tokio::test]
async fn who_cancelled_a_call_may_be_asked_at_once_for_the_next() {
    let (mut scene, first, reply) = Scene::new(false).await;
    first.result("{}").await;
    assert!(reply.await.unwrap().is_ok());
    // Calls of one session, on a line that others use as well.
    let session = Session::new("c", Revision::V2025_11_25, Json::from_static("{}"), Json::from_static(FORM));
    let client = of_client(false).with(|asked| asked.session = Some(session.into()));
    let reply = send(&scene.http, &scene.hop, client.clone());
    let first = scene.peer.next().await;
    reply.abort();
    let cancelled = scene.peer.next().await;
    assert_eq!(cancelled.json()["method"], "notifications/cancelled");
    drop(first);
    let reply = send(&scene.http, &scene.hop, client);
    let _second = scene.peer.next().await;
    scene.stream.event(ELICIT).await;
    drop(asked(reply).await);
}

#[tokio::test]
async fn a_server_takes_its_question_back_and_logs() {
    let (mut scene, request, reply) = Scene::new(true).await;
    scene.stream.event(ELICIT).await;
    let (ask, mut events) = asked(reply).await;
    scene.stream.event(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#).await;
    scene.stream.event(LOG).await;
    let Some(Ok(Event::Note(note))) = events.next().await else { panic!("no log message") };
    assert_eq!(note.method.as_str(), "notifications/message");
    assert!(ask.is_moot());
    request.result("{}").await;
    assert!(matches!(events.next().await, Some(Ok(Event::Done(_)))));
    assert!(scene.peer.waiting().is_none(), "it wants no answer");
}

#[tokio::test]
async fn a_server_without_the_stream_serves_calls_like_any_other() {
    let mut peer = Peer::start().await;
    let (http, hop) = (transport(&peer), session());
    for first in [true, false] {
        let reply = send(&http, &hop, of_client(true));
        if first {
            peer.next().await.respond("405 Method Not Allowed", "", "").await;
        }
        peer.next().await.result("{}").await;
        assert!(reply.await.unwrap().unwrap().as_single().is_some());
    }
}

#[tokio::test]
async fn what_is_said_outside_of_calls_is_for_the_client_whose_session_it_is() {
    let mut peer = Peer::start().await;
    let (http, hop) = (transport(&peer), session());
    let client = Session::new("c", Revision::V2025_11_25, Json::from_static("{}"), Json::from_static(FORM));
    let client = Arc::new(client);
    let reply = send(&http, &hop, of_client(true).with(|asked| asked.session = Some(client.clone())));
    let mut stream = peer.next().await;
    stream.stream().await;
    let request = peer.next().await;
    request.result("{}").await;
    drop(reply.await.unwrap().unwrap());
    // Nobody passes it on yet, so the server need not wait.
    stream.event(ELICIT).await;
    let refused = peer.next().await;
    assert_eq!(refused.json()["error"]["code"], -32603);
    refused.accept().await;

    stream.event(LOG).await;
    let told = || std::future::poll_fn(|cx| client.poll_told(cx));
    match told().await {
        Event::Note(note) => assert_eq!(note.params.as_str(), r#"{"level":"info","data":"x"}"#),
        other => panic!("{other:?}"),
    }
    let mut listening = Box::pin(told());
    assert!(futures_util::poll!(&mut listening).is_pending());
    stream.event(ELICIT).await;
    let Event::Ask(ask) = listening.await else { panic!("no question") };
    ask.answer(Ok(Json::from_static(r#"{"action":"accept"}"#)));
    let answer = peer.next().await;
    assert_eq!(answer.json()["result"]["action"], "accept");
    answer.accept().await;
}

#[tokio::test]
async fn a_call_that_told_its_client_something_is_not_made_again_for_a_refusal() {
    let (mut scene, request, reply) = Scene::new(true).await;
    scene.stream.event(ELICIT).await;
    let (_ask, mut events) = asked(reply).await;
    let refusal = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request"}}"#;
    request.respond("400 Bad Request", "content-type: application/json\r\n", refusal).await;
    match events.next().await {
        Some(Ok(Event::Done(outcome))) => assert_eq!(outcome.error_code(), Some(-32000)),
        other => panic!("no outcome: {other:?}"),
    }
}
