use crate::{call, find, legacy, modern, send, session, tool, transport, wire::Peer};
use http::StatusCode;
use serde_json::json;
use tower_mcp_gateway::{
    Method,
    upstream::error::{Protocol, SessionLost, Status},
};

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn an_answer_that_is_no_mcp_is_a_broken_protocol() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let sse = "content-type: text/event-stream\r\n";
    for (status, headers, body) in [
        ("200 OK", "content-type: text/html\r\n", "<html>"),
        ("200 OK", "", "{}"),
        ("200 OK", JSON, ""),
        ("200 OK", JSON, " \n"),
        ("200 OK", JSON, "garbage"),
        ("200 OK", JSON, "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{}"),
        ("200 OK", JSON, "{\"jsonrpc\":\"2.0\",\"id\":999999,\"result\":{}}"),
        ("200 OK", JSON, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}"),
        ("200 OK", JSON, "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{}}"),
        ("200 OK", JSON, "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{},\"error\":{}}"),
        ("200 OK", JSON, "{\"id\":ID,\"result\":{}}"),
        ("200 OK", JSON, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}"),
        ("200 OK", sse, "data: garbage\n\n"),
        ("200 OK", sse, "data: {\"jsonrpc\":\"2.0\",\"id\":999999,\"result\":{}}\n\n"),
        ("202 Accepted", "", ""),
    ] {
        let reply = send(&http, &modern(), tool());
        let request = peer.next().await;
        let body = body.replace("ID", &request.id().to_string());
        request.respond(status, headers, &body).await;
        let error = reply.await.unwrap().expect_err(&body);
        find::<Protocol>(&error);
    }
}

#[tokio::test]
async fn a_json_rpc_error_is_an_outcome_under_any_status() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    for status in ["200 OK", "400 Bad Request", "401 Unauthorized", "404 Not Found", "500 Internal Server Error"] {
        for id in ["\"id\":ID,", "\"id\":null,", ""] {
            let reply = send(&http, &modern(), tool());
            let request = peer.next().await;
            let id = id.replace("ID", &request.id().to_string());
            let body = format!("{{\"jsonrpc\":\"2.0\",{id}\"error\":{{\"code\":-32021,\"message\":\"no\"}}}}");
            request.respond(status, JSON, &body).await;
            let reply = reply.await.unwrap().unwrap();
            assert_eq!(reply.as_single().unwrap().error_code(), Some(-32021), "{status} {id}");
        }
    }
}

#[tokio::test]
async fn an_error_whose_id_is_a_word_belongs_to_the_refused_request() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &legacy(), tool());
    let body = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"no"}}"#;
    peer.next().await.respond("400 Bad Request", JSON, body).await;
    assert_eq!(reply.await.unwrap().unwrap().as_single().unwrap().error_code(), Some(-32600));
}

#[tokio::test]
async fn any_other_status_is_told_and_no_redirect_is_followed() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let moved = format!("location: {}\r\n", peer.url("/elsewhere"));
    for (status, headers) in [
        ("301 Moved Permanently", &*moved),
        ("307 Temporary Redirect", &*moved),
        ("304 Not Modified", ""),
        ("401 Unauthorized", ""),
        ("404 Not Found", ""),
        ("405 Method Not Allowed", ""),
        ("429 Too Many Requests", ""),
        ("500 Internal Server Error", "content-type: text/html\r\n"),
        ("503 Service Unavailable", JSON),
    ] {
        let reply = send(&http, &legacy(), tool());
        peer.next().await.respond(status, headers, "").await;
        let error = reply.await.unwrap().unwrap_err();
        let code: u16 = status[..3].parse().unwrap();
        assert_eq!(find::<Status>(&error).0, StatusCode::from_u16(code).unwrap());
    }
    assert!(peer.waiting().is_none(), "nothing was sent to another place");
}

#[tokio::test]
async fn not_found_under_a_session_means_that_the_session_is_gone() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let lost = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#;
    for body in ["", "Session not found", lost] {
        let reply = send(&http, &session(), tool());
        peer.next().await.respond("404 Not Found", JSON, body).await;
        let error = reply.await.unwrap().unwrap_err();
        find::<SessionLost>(&error);
    }
    let reply = send(&http, &session(), call(Method::new("odd"), json!({})));
    let unknown = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#;
    peer.next().await.respond("404 Not Found", JSON, unknown).await;
    assert_eq!(reply.await.unwrap().unwrap().as_single().unwrap().error_code(), Some(-32601));
}

#[tokio::test]
async fn a_batch_of_the_revision_that_has_them_is_read() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &legacy(), tool());
    let request = peer.next().await;
    let body = format!(r#"[{{"jsonrpc":"2.0","id":{},"result":{{"a":1}}}}]"#, request.id());
    request.json_response(&body).await;
    assert!(reply.await.unwrap().unwrap().as_single().unwrap().result().is_some());
}
