//! A client that gives up is followed by the server.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::{
    front::Front,
    matrix::caller::{Caller, Kind as Opens},
    support::{
        clients::{Mode, Raw, connect, modern},
        servers::{Kind, Running},
    },
};

#[tokio::test]
async fn a_call_that_is_given_up_ends_at_the_server() {
    for mode in Mode::ALL {
        for kind in Kind::ALL {
            println!("{mode:?} × {kind:?}");
            let server = Running::named(kind, "one").await;
            let front = Front::of_one(&server).await;
            let client = std::sync::Arc::new(connect(mode, &front.url()).await);
            let calling = tokio::spawn({
                let client = client.clone();
                async move { client.call("hang", json!({})).await.map(drop) }
            });
            server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
            calling.abort();
            server.peer.ledger.until(|counts| counts.abandoned == 1).await;
            assert_eq!(client.text("who", json!({})).await, "one", "the client goes on");
        }
    }
}

#[tokio::test]
async fn a_modern_client_gives_up_by_hanging_up() {
    for kind in Kind::ALL {
        println!("{kind:?}");
        let server = Running::named(kind, "one").await;
        let front = Front::of_one(&server).await;
        let (headers, call) = modern(json!(1), "tools/call", json!({ "name": "hang" }));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let calling = Raw::post(front.address(), "/mcp", &headers, &call);
        tokio::select! {
            _ = calling => unreachable!("nothing answers"),
            () = server.peer.ledger.until(|counts| counts.calls.contains_key("hang")) => {}
        }
        let told = server.peer.ledger.until(|counts| counts.abandoned == 1);
        timeout(Duration::from_secs(1), told).await.expect("within a second");
    }
}

#[tokio::test]
async fn a_session_that_loses_a_connection_goes_on_with_the_call_until_it_cancels_it() {
    for kind in Kind::ALL {
        println!("{kind:?}");
        let server = Running::named(kind, "one").await;
        let front = Front::of_one(&server).await;
        let mut caller = Caller::open(Opens::Initialize("2025-11-25"), front.address()).await;
        let running = caller.begin("tools/call", json!({ "name": "hang" }));
        server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
        running.hang_up();
        for _ in 0..10 {
            caller.request("tools/call", json!({ "name": "who" })).await;
        }
        assert_eq!(server.peer.ledger.abandoned(), 0, "{kind:?}");
        caller.cancel(running).await;
        let told = server.peer.ledger.until(|counts| counts.abandoned == 1);
        timeout(Duration::from_secs(1), told).await.expect("within a second");
    }
}
