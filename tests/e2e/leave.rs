//! Sessions at a server end with whoever opened them.

use crate::{
    front::Front,
    support::{
        clients::{Mode, connect},
        peer::LEAVING,
        servers::{Kind, Running},
    },
};
use serde_json::json;

/// The gateway's own session, and that of a client.
async fn in_use(server: &Running) -> Front {
    let front = Front::of_one(server).await;
    let client = connect(Mode::Initialize, &front.url()).await;
    assert_eq!(client.text("echo", json!({ "text": "x" })).await, "x");
    assert!(server.peer.ledger.methods("initialize") >= 2);
    front
}

#[tokio::test]
async fn a_server_that_is_unregistered_is_left_in_every_session() {
    let server = Running::named(Kind::Legacy, "one").await;
    let front = in_use(&server).await;
    let entry = front.gateway.registry().list().remove(0);
    front.gateway.registry().unregister(entry.id.as_str()).unwrap();
    server.peer.ledger.until(|counts| counts.methods.get(LEAVING) == counts.methods.get("initialize")).await;
}

#[tokio::test]
async fn who_has_drained_has_left_every_session() {
    let server = Running::named(Kind::Legacy, "one").await;
    let front = in_use(&server).await;
    front.gateway.drain().await;
    let ledger = &server.peer.ledger;
    assert_eq!(ledger.methods(LEAVING), ledger.methods("initialize"), "and did not return before");
}
