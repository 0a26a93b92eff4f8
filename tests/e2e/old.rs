//! A client of 2024-11-05 at the gateway's own HTTP+SSE face.

use serde_json::{Value, json};

use crate::{
    front::Front,
    support::{
        clients::Raw,
        servers::{Kind, Running, Speaks},
    },
};

/// Reads on until the answer to `id`, and gives back what came before it.
async fn until(stream: &mut Raw, id: Value) -> (Value, Vec<Value>) {
    let mut before = Vec::new();
    loop {
        let message = stream.message().await.expect("the stream stays open");
        if message["id"] == id && message.get("method").is_none() {
            return (message, before);
        }
        before.push(message);
    }
}

#[tokio::test]
async fn it_lists_and_calls() {
    for kind in [Kind::Sse, Kind::Legacy, Kind::Modern, Kind::Rmcp(Speaks::Both)] {
        println!("{kind:?}");
        let server = Running::named(kind, "one").await;
        let front = Front::of_one(&server).await;
        let at = front.address();
        let mut stream = Raw::get(at, "/sse", &[]).await;
        let (event, endpoint) = stream.event().await.expect("an endpoint");
        assert_eq!(event, "endpoint");
        let path = endpoint.strip_prefix(&format!("http://{at}")).unwrap_or(&endpoint).to_owned();

        let info = json!({ "name": "old", "version": "1.0.0" });
        let params = json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": info });
        let opening = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        assert_eq!(Raw::post(at, &path, &[], &opening).await.status, 202);
        let (opened, _) = until(&mut stream, json!(0)).await;
        assert_eq!(opened["result"]["protocolVersion"], "2024-11-05");
        Raw::post(at, &path, &[], &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;

        let list = json!({ "jsonrpc": "2.0", "id": "l", "method": "tools/list" });
        Raw::post(at, &path, &[], &list).await;
        let (listed, _) = until(&mut stream, json!("l")).await;
        assert_eq!(listed["result"]["tools"].as_array().expect("tools").len(), 7);

        let params = json!({ "name": "slow", "arguments": { "steps": 3 }, "_meta": { "progressToken": "t" } });
        let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
        Raw::post(at, &path, &[], &call).await;
        let (called, before) = until(&mut stream, json!(2)).await;
        assert_eq!(called["result"]["content"][0]["text"], "3 steps");
        let progress: Vec<_> = before.iter().filter(|note| note["params"]["progressToken"] == "t").collect();
        assert_eq!(
            progress.iter().map(|note| note["params"]["progress"].as_f64()).collect::<Vec<_>>(),
            [1.0, 2.0, 3.0].map(Some)
        );
    }
}
