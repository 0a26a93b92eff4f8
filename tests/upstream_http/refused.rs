//! Servers that answer a session they do not know with 400.

use crate::{
    at, call, find, send, session, tool, transport,
    wire::{Peer, Request},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tower::ServiceExt;
use tower_mcp_gateway::{
    Method,
    health::{Board, Probe},
    registry::{Server, Sessions},
    reply::Outcome,
    upstream::{
        era::Era,
        error::{SessionRefused, Status},
        http::Http,
    },
};

const JSON: &str = "content-type: application/json\r\n";
const TEXT: &str = "content-type: text/plain\r\n";

fn error(code: i64, id: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "Bad Request"}}).to_string()
}

/// How servers say that they do not know a session.
fn forms() -> [(&'static str, String); 5] {
    let typescript =
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#;
    let nameless = r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":"Server not initialized"}}"#;
    let python =
        r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#;
    [
        (JSON, typescript.into()),
        (JSON, nameless.into()),
        (JSON, python.into()),
        (TEXT, "Bad Request: No valid session ID provided".into()),
        ("", String::new()),
    ]
}

/// An initialize-era server that forgets its sessions when it begins another life.
struct Forgetful {
    life: AtomicUsize,
    form: (&'static str, String),
    refused: Mutex<Vec<String>>,
    greeted: AtomicUsize,
}

impl Forgetful {
    /// The server, and the way to it.
    async fn start(form: (&'static str, String)) -> (Arc<Self>, Era<Http>) {
        let mut peer = Peer::start().await;
        let url = peer.url("/mcp");
        let (life, greeted) = (AtomicUsize::new(1), AtomicUsize::default());
        let state = Arc::new(Self { life, form, refused: Mutex::default(), greeted });
        let serving = state.clone();
        tokio::spawn(async move {
            while let Some(request) = peer.any().await {
                serving.answer(request).await;
            }
        });
        let server = Server::http("a", "a", &url).unwrap().sessions(Sessions::Shared);
        (state, Era::new(at(&url), &server))
    }

    async fn answer(&self, request: Request) {
        let life = self.life.load(SeqCst).to_string();
        let message: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or("none");
        match method {
            "server/discover" => request.respond("200 OK", JSON, &error(-32601, &message["id"])).await,
            "initialize" => {
                self.greeted.fetch_add(1, SeqCst);
                let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": {
                    "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "a", "version": "1"}
                }});
                let headers = format!("{JSON}mcp-session-id: {life}\r\n");
                request.respond("200 OK", &headers, &body.to_string()).await;
            }
            _ if request.header("mcp-session-id") != Some(&*life) => {
                self.refused.lock().unwrap().push(method.to_owned());
                request.respond("400 Bad Request", self.form.0, &self.form.1).await;
            }
            "tools/call" if message["params"]["name"] == "bad" => {
                request.respond("400 Bad Request", JSON, &error(-32602, &message["id"])).await;
            }
            _ if message["id"].is_null() => request.accept().await,
            _ => request.result("{\"tools\":[]}").await,
        }
    }

    /// Restarts it; what was refused before is forgotten with all else.
    fn restart(&self) {
        self.life.fetch_add(1, SeqCst);
        self.refused.lock().unwrap().clear();
    }

    fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn calls_and_lists_go_on_in_a_new_session_after_a_restart() {
    for form in forms() {
        let (server, era) = Forgetful::start(form.clone()).await;
        for (life, asked) in [tool(), call(Method::TOOLS_LIST, json!({})), tool()].into_iter().enumerate() {
            let reply = era.clone().oneshot(asked.clone()).await.unwrap();
            assert!(reply.as_single().unwrap().result().is_some(), "{form:?}");
            assert_eq!(server.greeted.load(SeqCst), life + 1, "{form:?}");
            let method = asked.method.to_string();
            assert_eq!(server.refused(), if life == 0 { vec![] } else { vec![method, "ping".into()] }, "{form:?}");
            server.restart();
        }
    }
}

#[tokio::test]
async fn the_first_health_check_after_a_restart_opens_a_new_session() {
    for form in forms() {
        let (server, era) = Forgetful::start(form.clone()).await;
        let (board, id) = (Board::default(), "a".into());
        let probe = tokio::spawn(Probe::new(era.clone(), board.endpoint(&id), Duration::from_millis(50)).run());
        board.subscribe().wait_for(|verdicts| verdicts.is_well("a")).await.unwrap();
        server.restart();
        let greeted = async {
            while server.greeted.load(SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(8), greeted).await.expect("another handshake");
        let reply = era.oneshot(tool()).await.unwrap();
        assert!(reply.as_single().unwrap().result().is_some(), "{form:?}");
        assert_eq!(server.refused(), ["ping"], "{form:?}");
        assert!(board.subscribe().borrow().is_well("a"), "{form:?}");
        board.forget(&id);
        probe.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_passed_on_without_another_handshake() {
    let (server, era) = Forgetful::start((TEXT, String::new())).await;
    for _ in 0..3 {
        let reply = era.clone().oneshot(call(Method::TOOLS_CALL, json!({"name": "bad"}))).await.unwrap();
        assert_eq!(reply.as_single().and_then(Outcome::error_code), Some(-32602));
    }
    assert_eq!((server.greeted.load(SeqCst), server.refused()), (1, vec![]));
}

#[tokio::test]
async fn under_a_session_400_is_a_refusal_of_either_unless_it_says_what_is_wrong_with_the_call() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    for (headers, body) in forms() {
        let reply = send(&http, &session(), tool());
        peer.next().await.respond("400 Bad Request", headers, &body).await;
        find::<SessionRefused>(&reply.await.unwrap().unwrap_err());
    }
    for code in [-32602, -32603, -32700, -32020, -32021, -32022, -32601] {
        let reply = send(&http, &session(), tool());
        peer.next().await.respond("400 Bad Request", JSON, &error(code, &Value::Null)).await;
        assert_eq!(reply.await.unwrap().unwrap().as_single().unwrap().error_code(), Some(code));
    }
    let reply = send(&http, &crate::legacy(), tool());
    peer.next().await.respond("400 Bad Request", TEXT, "").await;
    let error = reply.await.unwrap().unwrap_err();
    assert!(tower_mcp_gateway::error::find::<SessionRefused>(&*error).is_none(), "there is no session to be refused");
    find::<Status>(&error);
}
