//! Session ids: nothing opens that was not sealed, and whatever was sealed is a session or none.

use super::answering::{ask, keys};
use http::{HeaderValue, Request};
use http_body_util::Full;
use tower_mcp_gateway::seal::Purpose;

pub fn run(data: &[u8]) {
    if let Ok(forged) = HeaderValue::from_bytes(data.trim_ascii()) {
        let status = ping(forged).as_u16();
        assert!(status == 404 || status == 400, "nobody sealed it: {status}");
    }
    let sealed = keys().seal(Purpose::Session, data);
    ping(sealed.parse().expect("visible ASCII"));
    let other = keys().seal(Purpose::RequestState, data);
    assert_eq!(ping(other.parse().expect("visible ASCII")).as_u16(), 404);
}

fn ping(session: HeaderValue) -> http::StatusCode {
    let request = Request::post("/mcp").header("content-type", "application/json").header("mcp-session-id", session);
    let body = Full::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    ask(request.body(body).expect("a request")).status()
}
