//! Upstream streams: how they change, are lost, and move.

use super::stage::{Cast, FILES, SUBSCRIBE, Stage, honoured, quiet, rest, table, updated};
use crate::catalog::Kind;
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};

#[tokio::test(start_paused = true)]
async fn one_stream_serves_all_and_is_replaced_without_a_gap() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let (mut one, first) = stage.granted(&["r://1"], &mut files).await;
    let mut same = stage.listen(&["r://1"]).await;
    assert_eq!(honoured(&mut same).await, ["r://1"], "it is listened to already");
    rest().await;
    assert!(files.is_idle());

    let mut two = stage.listen(&["r://2"]).await;
    let second = files.next().await;
    assert_eq!(second.uris, ["r://1", "r://2"]);
    first.update("r://1");
    assert_eq!(updated(&mut one).await, "r://1", "the first goes on until the second is acknowledged");
    second.accept();
    assert_eq!(honoured(&mut two).await, ["r://2"]);
    first.update("r://1");
    assert_eq!(updated(&mut one).await, "r://1", "and what was on its way by then is not lost");
    sleep(Duration::from_millis(1100)).await;
    assert!(first.is_dropped() && !second.is_dropped());
    assert!(quiet(&mut two).await, "to be replaced is no update");

    drop(two);
    let third = files.accepting().await;
    assert_eq!(third.uris, ["r://1"]);
    drop(one);
    rest().await;
    assert!(!third.is_dropped(), "somebody still listens");
    drop(same);
    rest().await;
    assert!(third.is_dropped() && files.is_idle());
}

#[tokio::test(start_paused = true)]
async fn those_who_come_while_a_stream_is_opened_share_the_next() {
    let stage = Stage::new(&[Cast("any", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"u://{x}"}]"#)]);
    let mut server = stage.play("any-1");
    let mut clients = vec![stage.listen(&["u://first"]).await];
    let first = server.next().await;
    for n in 0..1000 {
        clients.push(stage.listen(&[&format!("u://{n}")]).await);
    }
    first.accept();
    let second = server.accepting().await;
    assert_eq!(second.uris.len(), 1001);
    for events in &mut clients {
        assert_eq!(honoured(events).await.len(), 1);
    }
    assert!(server.is_idle(), "two streams for a thousand and one clients");
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_each_uri_counts_as_updated_once() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let (mut events, first) = stage.granted(&["r://1", "r://2"], &mut files).await;
    drop(first);
    let lost = Instant::now();
    let second = files.next().await;
    assert!(lost.elapsed() >= Duration::from_millis(50), "after a pause");
    assert!(quiet(&mut events).await, "nothing is known before the acknowledgement");
    second.accept();
    assert_eq!((updated(&mut events).await, updated(&mut events).await), ("r://1".into(), "r://2".into()));
    assert!(quiet(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_hangs_up_is_asked_ever_more_slowly() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let (_events, first) = stage.granted(&["r://1"], &mut files).await;
    drop(first);
    let mut opened = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        drop(files.accepting().await);
        opened += 1;
    }
    assert!((25..60).contains(&opened), "{opened} in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_larger_wish_that_fails_leaves_the_smaller_one_standing() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let (mut one, first) = stage.granted(&["r://1"], &mut files).await;
    let mut two = stage.listen(&["r://2"]).await;
    drop(files.next().await);
    files.next().await.refuse();
    assert_eq!(honoured(&mut two).await, [""; 0]);
    first.update("r://1");
    assert_eq!(updated(&mut one).await, "r://1");
    assert!(!first.is_dropped());
    sleep(Duration::from_secs(60)).await;
    assert!(files.is_idle(), "what it refused is not asked for again");
}

#[tokio::test(start_paused = true)]
async fn when_a_replica_goes_its_uris_move_to_the_next() {
    let stage = Stage::new(&[FILES]);
    let (mut one, mut two) = (stage.play("files-1"), stage.play("files-2"));
    stage.health(&[("files-1", true), ("files-2", false)]);
    let (mut events, first) = stage.granted(&["r://1"], &mut two).await;
    assert!(one.is_idle(), "only a well one is asked");

    stage.health(&[("files-1", false), ("files-2", false)]);
    rest().await;
    assert!(one.is_idle() && !first.is_dropped(), "it stays where it is well");
    stage.health(&[("files-1", false), ("files-2", true)]);
    let second = one.next().await;
    assert_eq!(second.uris, ["r://1"]);
    rest().await;
    assert!(first.is_dropped() && quiet(&mut events).await);
    second.accept();
    assert_eq!(updated(&mut events).await, "r://1", "what changed in between is not known");
    assert!(quiet(&mut events).await);

    stage.health(&[("files-1", true), ("files-2", true)]);
    rest().await;
    assert!(!second.is_dropped() && two.is_idle(), "where all are ill, none is better");
}

#[tokio::test(start_paused = true)]
async fn when_an_endpoint_is_taken_out_its_uris_move_and_come_back_with_it() {
    let stage = Stage::new(&[FILES]);
    let (mut one, mut two) = (stage.play("files-1"), stage.play("files-2"));
    let (mut events, first) = stage.granted(&["r://1"], &mut one).await;
    one.feed.abort();
    let second = two.accepting().await;
    assert_eq!(second.uris, ["r://1"]);
    assert!(first.is_dropped());
    assert_eq!(updated(&mut events).await, "r://1");

    two.feed.abort();
    rest().await;
    advance(Duration::from_secs(600)).await;
    assert!(quiet(&mut events).await, "nobody is there, and the stream stays");
    let mut again = stage.play("files-1");
    let _third = again.accepting().await;
    assert_eq!(updated(&mut events).await, "r://1");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_the_same_id_takes_over_and_the_earlier_one_takes_nothing_with_it() {
    let stage = Stage::new(&[FILES]);
    let mut former = stage.play("files-1");
    let (mut events, _first) = stage.granted(&["r://1"], &mut former).await;
    let mut latter = stage.play("files-1");
    let _second = latter.accepting().await;
    former.feed.abort();
    assert_eq!(updated(&mut events).await, "r://1");
    let mut another = stage.listen(&["r://2"]).await;
    let third = latter.accepting().await;
    assert_eq!(third.uris, ["r://1", "r://2"]);
    assert_eq!(honoured(&mut another).await, ["r://2"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_uri_over_is_asked_for_it() {
    const OTHER: Cast = Cast("other", SUBSCRIBE, Kind::Resources, r#"[{"uri":"r://1"}]"#);
    let stage = Stage::new(&[OTHER]);
    let (mut files, mut other) = (stage.play("files-1"), stage.play("other-1"));
    let (mut events, first) = stage.granted(&["r://1"], &mut other).await;
    stage.tables.replace(table(&[FILES, OTHER]), true);
    stage.hub.review();
    let _second = files.accepting().await;
    assert_eq!(updated(&mut events).await, "r://1");
    assert!(first.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn of_two_servers_with_a_matching_template_the_second_is_asked_where_the_first_does_not_tell() {
    const FIRST: Cast = Cast("a", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"u://{x}"}]"#);
    const SECOND: Cast = Cast("b", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"u://{y}"}]"#);
    let stage = Stage::new(&[FIRST, SECOND]);
    let (mut a, mut b) = (stage.play("a-1"), stage.play("b-1"));
    let mut events = stage.listen(&["u://1"]).await;
    a.next().await.acknowledge(&[""; 0]);
    let opened = b.accepting().await;
    assert_eq!(honoured(&mut events).await, ["u://1"]);
    opened.update("u://1");
    assert_eq!(updated(&mut events).await, "u://1");
}

#[tokio::test(start_paused = true)]
async fn who_comes_as_the_last_one_goes_is_told_at_once() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let (one, stream) = stage.granted(&["r://1"], &mut files).await;
    rest().await;
    drop(one);
    let (mut two, begun) = (stage.listen(&["r://1"]).await, Instant::now());
    assert_eq!(honoured(&mut two).await, ["r://1"]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(files.is_idle() && quiet(&mut two).await);
    stream.update("r://1");
    assert_eq!(updated(&mut two).await, "r://1");
}
