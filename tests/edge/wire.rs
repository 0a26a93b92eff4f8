//! A real client of each era over a socket.

use super::support::result;
use futures_util::stream;
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, ServiceExt, model::CallToolRequestParams,
    transport::StreamableHttpClientTransport,
};
use serde_json::{Value, json};
use tower::{ServiceBuilder, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    edge::EdgeLayer,
    error::Problem,
    origin::OriginLayer,
    reply::{Event, Note, Outcome},
};

async fn answer(call: Call) -> Result<Reply, BoxError> {
    let discovered = json!({
        "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": true}},
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "g", "version": "2"}},
    });
    let tools = json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]});
    Ok(match call.method.as_str() {
        "server/discover" => result(discovered).into(),
        "tools/list" => result(tools).into(),
        "tools/call" => {
            let note = json!({"progressToken": token(&call), "progress": 1});
            let note =
                Note::new(tower_mcp_gateway::Method::PROGRESS, tower_mcp_gateway::json::Params::from_value(&note)?);
            let done = result(json!({"content": [{"type": "text", "text": "hello"}]}));
            Reply::stream(stream::iter([Ok(note.into()), Ok(Event::Done(done))]))
        }
        _ if call.method.is_notification() => Outcome::Accepted.into(),
        method => return Err(Problem::rpc(404, -32601, method.to_owned()).into()),
    })
}

fn token(call: &Call) -> Value {
    call.params.progress_token().map_or(json!("none"), |token| token.read().unwrap())
}

async fn serve() -> String {
    let gateway =
        ServiceBuilder::new().layer(OriginLayer::localhost()).layer(EdgeLayer::new()).service(service_fn(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let app = axum::Router::new().route_service("/mcp", gateway);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test]
async fn a_client_that_opens_with_initialize_lists_and_calls() {
    let transport = StreamableHttpClientTransport::from_uri(serve().await);
    let client = ().serve(transport).await.unwrap();
    assert_eq!(client.list_all_tools().await.unwrap()[0].name, "echo");
    let answer = client.call_tool(CallToolRequestParams::new("echo")).await.unwrap();
    assert!(serde_json::to_string(&answer.content).unwrap().contains("hello"));
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn a_client_that_discovers_lists_and_calls() {
    let transport = StreamableHttpClientTransport::from_uri(serve().await);
    let mode = ClientLifecycleMode::Discover { preferred_versions: vec![rmcp::model::ProtocolVersion::V_2026_07_28] };
    let client = ().serve_with_lifecycle(transport, mode).await.unwrap();
    assert_eq!(client.list_all_tools().await.unwrap()[0].name, "echo");
    let answer = client.call_tool(CallToolRequestParams::new("echo")).await.unwrap();
    assert!(serde_json::to_string(&answer.content).unwrap().contains("hello"));
    client.cancel().await.unwrap();
}
