//! Servers that keep a session for each client, and tell of resources in it.

use super::stage::{FILES, Opened, Played, Stage, honoured, quiet, rest, updated};

/// The next two streams: the one of all, and the one in the session of a client.
async fn both(server: &mut Played) -> (Opened, Opened) {
    let (one, other) = (server.next().await, server.next().await);
    assert_ne!(one.own, other.own);
    if one.own { (other, one) } else { (one, other) }
}

#[tokio::test(start_paused = true)]
async fn a_client_hears_in_its_own_session_and_there_alone() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play_with("files-1", true);
    let mut events = stage.listen(&["r://1"]).await;
    let (all, own) = both(&mut files).await;
    all.accept();
    assert!(quiet(&mut events).await, "a client that is told that it is subscribed is so in its session");
    own.accept();
    assert_eq!(honoured(&mut events).await, ["r://1"]);
    all.update("r://1");
    assert!(quiet(&mut events).await, "what all are told it hears once");
    own.update("r://1/part");
    assert_eq!(updated(&mut events).await, "r://1");
    drop(events);
    rest().await;
    assert!(own.is_dropped() && all.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_is_made_up_for() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play_with("files-1", true);
    let mut events = stage.listen(&["r://1"]).await;
    let (all, own) = both(&mut files).await;
    all.accept();
    own.accept();
    assert_eq!(honoured(&mut events).await, ["r://1"]);
    drop(own);
    assert_eq!(updated(&mut events).await, "r://1", "what was said meanwhile is told as one update");
    all.update("r://1");
    assert_eq!(updated(&mut events).await, "r://1");
    let again = files.next().await;
    assert!(again.own);
    again.accept();
    rest().await;
    again.update("r://1");
    assert_eq!(updated(&mut events).await, "r://1");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_no_subscription_does_not_matter() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play_with("files-1", true);
    let mut events = stage.listen(&["r://1"]).await;
    let (all, own) = both(&mut files).await;
    all.accept();
    own.acknowledge(&[""; 0]);
    assert_eq!(honoured(&mut events).await, ["r://1"]);
    rest().await;
    assert!(own.is_dropped());
    all.update("r://1");
    assert_eq!(updated(&mut events).await, "r://1");
}
