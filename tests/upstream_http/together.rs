//! Events that arrive together are there together: nothing is waited for between one and the next.

use crate::{modern, send, session, tool, transport, wire::Peer};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tower_mcp_gateway::reply::Event;

/// What a server writes at once: ten notes and the outcome, in one chunk or in one chunk each.
fn written(id: u64, single: bool) -> String {
    let notes = (1..=10).map(|n| {
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": n, "progressToken": id}})
    });
    let all = notes.chain([json!({"jsonrpc": "2.0", "id": id, "result": {}})]);
    let events: Vec<_> = all.map(|message| format!("event: message\ndata: {message}\n\n")).collect();
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunks = if single { chunk(&events.concat()) } else { events.iter().map(|event| chunk(event)).collect() };
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

#[tokio::test]
async fn all_that_was_written_at_once_can_be_read_at_once() {
    for (hop, single) in [(modern(), true), (modern(), false), (session(), true), (session(), false)] {
        let mut peer = Peer::start().await;
        let http = transport(&peer);
        let mut call = tool();
        call.params = tower_mcp_gateway::json::Params::from_value(
            &json!({"name": "search", "_meta": {"progressToken": "the client's"}}),
        )
        .unwrap();
        let reply = send(&http, &hop, call);
        let mut request = peer.next().await;
        let text = written(request.id(), single);
        request.send(text).await;
        let mut events = reply.await.unwrap().unwrap().into_events();
        for n in 1..=10 {
            let Some(Some(Ok(Event::Note(note)))) = events.next().now_or_never() else {
                panic!("note {n} is not there")
            };
            assert_eq!(note.params.as_str(), format!(r#"{{"progress":{n},"progressToken":"the client's"}}"#));
        }
        assert!(matches!(events.next().now_or_never(), Some(Some(Ok(Event::Done(_))))));
        assert!(matches!(events.next().now_or_never(), Some(None)));
    }
}
