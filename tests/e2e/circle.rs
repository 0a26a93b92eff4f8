//! A gateway that is behind itself, alone or with another between.

use crate::{front::Front, support::soon};
use tower_mcp_gateway::{
    catalog::Kind,
    registry::{Entry, Server},
};

fn behind(id: &str, front: &Front) -> Server {
    Server::http(id, id, &front.url()).unwrap()
}

/// What becomes of a server that is registered while the gateway runs.
async fn registered(front: &Front, server: Server) -> Entry {
    let (registry, id) = (front.gateway.registry(), server.id().clone());
    registry.register(server).unwrap();
    let mut changes = registry.changes();
    let known = async {
        loop {
            changes.borrow_and_update();
            let entry = registry.list().into_iter().find(|entry| entry.id == id).unwrap();
            if entry.listing.is_some() || entry.error.is_some() {
                return entry;
            }
            changes.changed().await.unwrap();
        }
    };
    soon("what it lists", known).await
}

#[tokio::test]
async fn it_does_not_list_itself_in_either_era() {
    let front = Front::of(vec![]).await;
    let error = registered(&front, behind("itself", &front)).await.error.unwrap();
    assert!(error.contains("this is the gateway itself"), "{error}");
    let old = Server::sse("old", "old", &format!("http://{}/sse", front.address())).unwrap();
    let error = registered(&front, old).await.error.unwrap();
    assert!(error.contains("this is the gateway itself"), "{error}");
}

#[tokio::test]
async fn of_two_that_have_each_other_one_refuses() {
    let (one, other) = (Front::of(vec![]).await, Front::of(vec![]).await);
    let listed = registered(&one, behind("other", &other)).await;
    assert!(listed.listing.unwrap().list(Kind::Tools).items.is_empty());
    let error = registered(&other, behind("one", &one)).await.error.unwrap();
    assert!(error.contains("or one that has it behind it"), "{error}");
}
