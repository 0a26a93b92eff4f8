//! Servers that keep a session for each client, and tell of resources in it.

use super::stage::{Cast, FILES, Opened, Played, SUBSCRIBE, Stage, honoured, quiet, rest, updated};
use crate::catalog::Kind;

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

#[tokio::test(start_paused = true)]
async fn a_client_whose_uri_moves_hears_of_it_and_has_a_session_at_the_new_place() {
    let stage = Stage::new(&[FILES]);
    let (mut one, mut two) = (stage.play_with("files-1", true), stage.play_with("files-2", true));
    let mut events = stage.listen(&["r://1"]).await;
    let (all, own) = both(&mut one).await;
    all.accept();
    own.accept();
    assert_eq!(honoured(&mut events).await, ["r://1"]);
    stage.health(&[("files-1", true), ("files-2", false)]);
    let (all, moved) = both(&mut two).await;
    all.accept();
    assert_eq!(updated(&mut events).await, "r://1", "what changed in between is not known");
    assert!(own.is_dropped(), "nothing is waited for where the URI was");
    all.update("r://1");
    assert_eq!(updated(&mut events).await, "r://1", "until it has a session there it hears what all are told");
    moved.accept();
    rest().await;
    all.update("r://1");
    assert!(quiet(&mut events).await);
    moved.update("r://1");
    assert_eq!(updated(&mut events).await, "r://1");
}

#[tokio::test(start_paused = true)]
async fn what_stays_where_one_uri_leaves_is_heard_on() {
    const FIRST: Cast = Cast("a", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"r://{x}"}]"#);
    const SECOND: Cast = Cast("b", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"r://{y}"}]"#);
    let stage = Stage::new(&[FIRST, SECOND]);
    let (mut first, mut second) = (stage.play_with("a-1", true), stage.play_with("b-1", true));
    let mut events = stage.listen(&["r://1", "r://2"]).await;
    let (all, own) = both(&mut first).await;
    own.accept();
    rest().await;
    all.acknowledge(&["r://2"]);
    let (left, moved) = both(&mut second).await;
    assert_eq!((&left.uris[..], &moved.uris[..]), (&["r://1".to_owned()][..], &["r://1".to_owned()][..]));
    left.accept();
    moved.acknowledge(&[""; 0]);
    assert_eq!(honoured(&mut events).await, ["r://1", "r://2"]);
    own.update("r://2");
    assert_eq!(updated(&mut events).await, "r://2");
    left.update("r://1");
    assert_eq!(updated(&mut events).await, "r://1", "the session at the place before says nothing of it any more");
    drop(own);
    assert_eq!(updated(&mut events).await, "r://2");
    assert!(quiet(&mut events).await, "nor does its end");
}

#[tokio::test(start_paused = true)]
async fn a_client_has_a_session_at_an_endpoint_that_takes_the_place_of_another() {
    let stage = Stage::new(&[FILES]);
    let mut former = stage.play_with("files-1", true);
    let mut events = stage.listen(&["r://1"]).await;
    let (all, own) = both(&mut former).await;
    all.accept();
    own.accept();
    assert_eq!(honoured(&mut events).await, ["r://1"]);
    let mut latter = stage.play_with("files-1", true);
    let (all, own) = both(&mut latter).await;
    all.accept();
    own.accept();
    assert_eq!(updated(&mut events).await, "r://1");
    own.update("r://1");
    assert_eq!(updated(&mut events).await, "r://1");
    former.feed.abort();
    rest().await;
    assert!(!own.is_dropped());
    drop(events);
    rest().await;
    assert!(own.is_dropped() && all.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_a_place_and_goes_before_it_looks_leaves_nothing_there() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play_with("files-1", true);
    for _ in 0..3 {
        drop(stage.listen(&["r://1", "r://2"]).await);
    }
    let mut events = stage.listen(&["r://1"]).await;
    let (all, own) = both(&mut files).await;
    assert_eq!((&all.uris, &own.uris), (&vec!["r://1".to_owned()], &vec!["r://1".to_owned()]));
    all.accept();
    own.accept();
    assert_eq!(honoured(&mut events).await, ["r://1"]);
    assert!(files.is_idle());
}
