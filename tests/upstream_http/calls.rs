use crate::{call, legacy, modern, send, session, tool, transport, wire::Peer};
use futures_util::StreamExt;
use http::HeaderMap;
use serde_json::json;
use tower_mcp_gateway::{
    Call, Method, ParamHeaders,
    json::Params,
    reply::{Event, Outcome},
    upstream::Hop,
};

#[tokio::test]
async fn a_modern_call_says_in_headers_what_its_body_says() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let mut call = tool();
    let mut headers = HeaderMap::new();
    headers.insert("mcp-param-region", "eu".parse().unwrap());
    headers.insert("cookie", "client".parse().unwrap());
    call.extensions.insert(ParamHeaders::of(&headers).unwrap());
    let reply = send(&http, &modern(), call);

    let request = peer.next().await;
    assert_eq!(request.line(), "POST /mcp?k=1 HTTP/1.1");
    let address = peer.address.to_string();
    for (name, value) in [
        ("host", Some(&*address)),
        ("accept", Some("application/json, text/event-stream")),
        ("content-type", Some("application/json")),
        ("authorization", Some("Bearer own")),
        ("cache-control", Some("max-age=0")),
        ("mcp-protocol-version", Some("2026-07-28")),
        ("mcp-method", Some("tools/call")),
        ("mcp-name", Some("search")),
        ("mcp-param-region", Some("eu")),
        ("mcp-session-id", None),
        ("cookie", None),
        ("origin", None),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    assert_eq!(
        request.json(),
        json!({"jsonrpc": "2.0", "id": request.id(), "method": "tools/call", "params": {"name": "search"}})
    );
    request.result(r#"{"n":1e400}"#).await;
    let reply = reply.await.unwrap().unwrap();
    assert_eq!(reply.as_single().unwrap().result().unwrap().as_str(), r#"{"n":1e400}"#);
}

#[tokio::test]
async fn the_name_header_follows_the_method_and_is_encoded_where_it_must_be() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    for (method, params, name) in [
        (Method::PROMPTS_GET, json!({"name": "é"}), Some("=?base64?w6k=?=")),
        (Method::RESOURCES_READ, json!({"uri": "file:///a b", "name": "no"}), Some("file:///a b")),
        (Method::COMPLETE, json!({"name": "no"}), None),
        (Method::TOOLS_CALL, json!({"name": 7}), None),
    ] {
        let reply = send(&http, &modern(), call(method.clone(), params));
        let request = peer.next().await;
        assert_eq!(request.header("mcp-name"), name, "{method}");
        request.result("{}").await;
        drop(reply.await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn initialize_opens_a_session_that_later_requests_carry() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let opening = Hop::new(None, 1).into();
    let reply = send(&http, &opening, call(Method::INITIALIZE, json!({})));
    let request = peer.next().await;
    assert_eq!(request.header("mcp-protocol-version"), None);
    assert_eq!(request.header("mcp-session-id"), None);
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}", request.id());
    request.respond("200 OK", "content-type: application/json\r\nMcp-Session-Id: s-1\r\n", &body).await;
    drop(reply.await.unwrap().unwrap());
    assert_eq!(opening.session_id().unwrap(), "s-1");

    let reply = send(&http, &session(), tool());
    let request = peer.next().await;
    assert_eq!(request.header("mcp-session-id"), Some("s-1"));
    assert_eq!(request.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(request.header("mcp-method"), None);
    assert_eq!(request.header("mcp-name"), None);
    request.result("{}").await;
    drop(reply.await.unwrap().unwrap());

    http.end_session(&session());
    let request = peer.next().await;
    assert_eq!(request.line(), "DELETE /mcp?k=1 HTTP/1.1");
    assert_eq!(request.header("mcp-session-id"), Some("s-1"));
    request.respond("405 Method Not Allowed", "", "").await;
}

#[tokio::test]
async fn a_notification_is_accepted_with_whatever_success() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    for status in ["202 Accepted", "204 No Content", "200 OK"] {
        let reply = send(&http, &session(), Call::new(Method::INITIALIZED, Params::empty()));
        let request = peer.next().await;
        assert_eq!(request.json(), json!({"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}}));
        let mut request = request;
        request.send(format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n")).await;
        drop(request);
        let reply = reply.await.unwrap().unwrap();
        assert!(matches!(reply.as_single(), Some(Outcome::Accepted)), "{status}");
    }
}

#[tokio::test]
async fn a_stream_of_nothing_but_the_outcome_is_a_single_reply() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &legacy(), tool());
    let mut request = peer.next().await;
    request.stream().await;
    request.send(": comment\n\nid: 1\nretry: 10\ndata:\n\n").await;
    request.event(&format!(r#"{{"jsonrpc":"2.0","id":"{}","result":{{"a":1}}}}"#, request.id())).await;
    let reply = reply.await.unwrap().unwrap();
    assert_eq!(reply.as_single().unwrap().result().unwrap().as_str(), r#"{"a":1}"#);
}

#[tokio::test]
async fn notes_come_before_the_outcome_under_the_calls_own_token() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let params = json!({"name": "slow", "_meta": {"progressToken": "mine", "x": 1}});
    let reply = send(&http, &modern(), call(Method::TOOLS_CALL, params));
    let mut request = peer.next().await;
    let token = request.json()["params"]["_meta"]["progressToken"].clone();
    assert_ne!(token, "mine");
    assert_eq!(request.json()["params"]["_meta"]["x"], 1);
    let progress = |token: &serde_json::Value, n: u64| {
        let params = json!({"progressToken": token, "progress": n});
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string()
    };
    request.stream().await;
    request.event(&progress(&json!("mine"), 0)).await;
    request.event(&progress(&token, 1)).await;
    let mut events = reply.await.unwrap().unwrap().into_events();
    let Some(Ok(Event::Note(note))) = events.next().await else { panic!("a note") };
    assert_eq!(note.params.progress_token_of_note(), json!("mine"));
    assert_eq!(note.params.member("progress").unwrap().as_str(), "1", "a foreign token's progress is dropped");

    request.event(&progress(&json!(token.to_string()), 2)).await;
    request.event(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#).await;
    request.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id())).await;
    let Some(Ok(Event::Note(note))) = events.next().await else { panic!("a note") };
    assert_eq!(note.params.progress_token_of_note(), json!("mine"));
    let Some(Ok(Event::Note(note))) = events.next().await else { panic!("a note") };
    assert_eq!(note.method, Method::MESSAGE);
    assert!(matches!(events.next().await, Some(Ok(Event::Done(Outcome::Result(_))))));
    assert!(events.next().await.is_none());
}

trait ProgressToken {
    fn progress_token_of_note(&self) -> serde_json::Value;
}

impl ProgressToken for Params {
    fn progress_token_of_note(&self) -> serde_json::Value {
        self.member("progressToken").unwrap().read().unwrap()
    }
}

#[tokio::test]
async fn documents_separated_by_newlines_are_taken_as_they_come() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &modern(), tool());
    let mut request = peer.next().await;
    request.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n").await;
    request.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n").await;
    let mut events = reply.await.unwrap().unwrap().into_events();
    assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))), "while the body is open");
    request.send(format!("{{\"jsonrpc\":\"2.0\",\n\"id\":{},\"result\":{{}}}}", request.id())).await;
    drop(request);
    assert!(matches!(events.next().await, Some(Ok(Event::Done(_)))));
}

#[tokio::test]
async fn equal_calls_at_once_have_ids_and_tokens_of_their_own() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let params = json!({"name": "slow", "_meta": {"progressToken": 1}});
    let replies: Vec<_> = (0..200).map(|_| send(&http, &modern(), call(Method::TOOLS_CALL, params.clone()))).collect();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..200 {
        let request = peer.next().await;
        let json = request.json();
        assert_eq!(json["params"]["_meta"]["progressToken"], json["id"]);
        assert!(ids.insert(request.id()));
        request.result("{}").await;
    }
    for reply in replies {
        drop(reply.await.unwrap().unwrap());
    }
}
