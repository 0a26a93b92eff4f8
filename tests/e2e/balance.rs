//! Replicas: calls alternate, a dead one costs at most the calls it had, and it returns by itself.

use std::time::Duration;

use serde_json::json;

use crate::{
    front::{Front, entry},
    support::{
        PATIENCE,
        clients::{Client, Mode, connect},
        peer::Peer,
        servers::{Kind, Running},
        soon,
    },
};

async fn pair(kind: Kind) -> [Running; 2] {
    [Running::named(kind, "a").await, Running::named(kind, "b").await]
}

async fn front(servers: &[Running; 2]) -> Front {
    Front::of(vec![entry("one-a", "one", &servers[0]), entry("one-b", "one", &servers[1])]).await
}

/// Resolves when both replicas serve, by calling until each of two in a row is another's.
async fn both_serve(client: &Client) {
    soon("both serving", async { while client.text("who", json!({})).await == client.text("who", json!({})).await {} })
        .await;
}

#[tokio::test]
async fn calls_alternate() {
    for kind in [Kind::Sse, Kind::Legacy, Kind::Modern] {
        println!("{kind:?}");
        let servers = pair(kind).await;
        let front = front(&servers).await;
        // A session is kept on one replica where the server has sessions; modern clients have none.
        let client = connect(Mode::Discover, &front.url()).await;
        both_serve(&client).await;
        let before = servers.each_ref().map(|server| server.peer.ledger.calls("who"));
        for _ in 0..20 {
            client.text("who", json!({})).await;
        }
        let after = servers.each_ref().map(|server| server.peer.ledger.calls("who"));
        assert_eq!([after[0] - before[0], after[1] - before[1]], [10, 10]);
    }
}

#[tokio::test]
async fn a_dead_replica_costs_at_most_what_it_had() {
    for kind in [Kind::Sse, Kind::Legacy, Kind::Modern] {
        println!("{kind:?}");
        let mut servers = pair(kind).await;
        let front = front(&servers).await;
        let client = connect(Mode::Discover, &front.url()).await;
        both_serve(&client).await;

        servers[0].kill().await;
        let mut failed = 0;
        for _ in 0..50 {
            match client.call("who", json!({})).await {
                Ok(result) => assert_eq!(result["content"][0]["text"], "b"),
                Err(error) => {
                    println!("{error}");
                    failed += 1;
                }
            }
        }
        // Calls come one by one, so no more than one can have been on its way when the loss was seen.
        assert!(failed <= 1, "{failed} calls failed");

        servers[0].restart().await;
        both_serve(&client).await;
    }
}

#[tokio::test]
async fn a_call_that_was_sent_is_not_sent_again() {
    for kind in [Kind::Sse, Kind::Legacy, Kind::Modern] {
        println!("{kind:?}");
        let mut servers = pair(kind).await;
        let front = front(&servers).await;
        let client = connect(Mode::Discover, &front.url()).await;
        both_serve(&client).await;

        let hanging = tokio::spawn(async move { client.call("hang", json!({})).await });
        let peers = servers.each_ref().map(|server| server.peer.clone());
        let arrived = async |peer: &Peer| peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
        let victim = tokio::select! {
            () = arrived(&peers[0]) => 0,
            () = arrived(&peers[1]) => 1,
        };
        servers[victim].kill().await;
        let outcome = soon("the end of the call", hanging).await.expect("no panic");
        assert!(outcome.is_err(), "it cannot have been answered: {outcome:?}");
        assert_eq!(peers.each_ref().map(|peer| peer.ledger.calls("hang")).iter().sum::<usize>(), 1);
    }
}

#[tokio::test]
async fn a_server_that_is_down_delays_nobody() {
    let up = Running::named(Kind::Modern, "up").await;
    let mut down = Running::named(Kind::Modern, "down").await;
    down.kill().await;
    let entries = vec![entry("up-1", "up", &up), entry("down-1", "down", &down)];
    let front = Front::with(entries, |config| config.start_patience = Duration::from_secs(60)).await;
    let client = connect(Mode::Discover, &front.url()).await;
    // A refusal is known at once: the patience is for servers that say nothing.
    let called = tokio::time::timeout(PATIENCE, client.text("who", json!({}))).await;
    assert_eq!(called.expect("in time"), "up");

    down.restart().await;
    soon("the other's tools", async {
        while !client.tool_names().await.iter().any(|name| name.starts_with("down__")) {}
    })
    .await;
}
