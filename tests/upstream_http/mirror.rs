use super::{Peer, call, legacy, modern, send, transport};
use serde_json::json;
use tower_mcp_gateway::{Method, ParamHeaders};

const REGION: &str = r#"{"resultType":"complete","tools":[{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]}"#;
const MISMATCH: &str = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32020,"message":"header"}}"#;

fn tool() -> tower_mcp_gateway::Call {
    call(
        Method::TOOLS_CALL,
        json!({"name": "t", "arguments": {"region": "eu"}, "_meta": {"progressToken": 1, "io.modelcontextprotocol/clientCapabilities": {}}}),
    )
}

#[tokio::test]
async fn headers_follow_the_list_that_went_by_and_a_clients_own_are_left_alone() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let listing = send(&http, &modern(), call(Method::TOOLS_LIST, json!({})));
    peer.next().await.result(REGION).await;
    let listed = listing.await.unwrap().unwrap();
    assert_eq!(listed.as_single().unwrap().result().unwrap().as_str(), REGION, "not a byte is changed");

    let reply = send(&http, &modern(), tool());
    let request = peer.next().await;
    assert_eq!(request.header("mcp-param-region"), Some("eu"));
    request.result("{}").await;
    let _ = reply.await.unwrap().unwrap();

    let mut own = tool();
    let mut headers = http::HeaderMap::new();
    headers.insert("mcp-param-region", "us".parse().unwrap());
    own.extensions.insert(ParamHeaders::of(&headers).unwrap());
    let reply = send(&http, &modern(), own);
    let request = peer.next().await;
    assert_eq!(request.header("mcp-param-region"), Some("us"));
    let refusal = MISMATCH.replace("ID", &request.id().to_string());
    request.respond("400 Bad Request", "content-type: application/json\r\n", &refusal).await;
    assert_eq!(reply.await.unwrap().unwrap().as_single().unwrap().error_code(), Some(-32020));

    let reply = send(&http, &legacy(), tool());
    let request = peer.next().await;
    assert_eq!(request.header("mcp-param-region"), None, "the revision has no such headers");
    request.result("{}").await;
    let _ = reply.await.unwrap().unwrap();
    assert!(peer.waiting().is_none());
}

#[tokio::test]
async fn a_call_refused_for_its_headers_is_made_once_more_after_a_look_at_the_list() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &modern(), tool());
    for (page, cursor) in [(r#"{"tools":[],"nextCursor":"2"}"#, None), (REGION, Some("2"))] {
        if cursor.is_none() {
            let request = peer.next().await;
            assert_eq!(request.header("mcp-param-region"), None);
            let refusal = MISMATCH.replace("ID", &request.id().to_string());
            request.respond("400 Bad Request", "content-type: application/json\r\n", &refusal).await;
        }
        let request = peer.next().await;
        assert_eq!(
            (request.json()["method"].as_str(), request.json()["params"]["cursor"].as_str()),
            (Some("tools/list"), cursor)
        );
        assert_eq!(request.json()["params"]["_meta"], json!({"io.modelcontextprotocol/clientCapabilities": {}}));
        request.result(page).await;
    }
    let again = peer.next().await;
    assert_eq!(again.header("mcp-param-region"), Some("eu"));
    let refusal = MISMATCH.replace("ID", &again.id().to_string());
    again.respond("400 Bad Request", "content-type: application/json\r\n", &refusal).await;
    assert_eq!(reply.await.unwrap().unwrap().as_single().unwrap().error_code(), Some(-32020), "and not a third time");
    assert!(peer.waiting().is_none());
}
