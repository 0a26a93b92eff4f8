//! What clients are told of resources who do not see every server.

use super::stage::{Cast, FILES, SUBSCRIBE, Stage, honoured, quiet, table, updated};
use crate::{catalog::Kind, route::Tables};
use std::time::Duration;
use tokio::time::advance;

const ANY: Cast = Cast("any", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"{+any}"}]"#);
const SECRET: Cast = Cast("secret", SUBSCRIBE, Kind::Resources, r#"[{"uri":"s://1"}]"#);

#[tokio::test(start_paused = true)]
async fn a_server_that_a_view_hides_is_not_asked_and_tells_its_clients_nothing() {
    let stage = Stage::new(&[ANY, SECRET]);
    let (mut any, mut secret) = (stage.play("any-1"), stage.play("secret-1"));
    let view = Tables::new(table(&[ANY]));
    view.settle();

    let mut seeing_all = stage.listen(&["s://1"]).await;
    let hidden = secret.accepting().await;
    assert_eq!(honoured(&mut seeing_all).await, ["s://1"]);
    let mut seeing_one = stage.listen_in(&view, &["s://1"]).await;
    assert!(quiet(&mut seeing_one).await, "what the hidden one has said is nothing to it");
    let shown = any.accepting().await;
    assert_eq!(honoured(&mut seeing_one).await, ["s://1"]);
    assert!(secret.is_idle());

    hidden.update("s://1");
    assert_eq!(updated(&mut seeing_all).await, "s://1");
    assert!(quiet(&mut seeing_one).await);
    shown.update("s://1");
    assert_eq!(updated(&mut seeing_one).await, "s://1");
    assert!(quiet(&mut seeing_all).await);
}

#[tokio::test(start_paused = true)]
async fn what_a_hidden_server_lists_later_stays_where_the_view_shows_it() {
    let stage = Stage::new(&[ANY]);
    let (mut any, mut secret) = (stage.play("any-1"), stage.play("secret-1"));
    let view = Tables::new(table(&[ANY]));
    view.settle();
    let mut events = stage.listen_in(&view, &["s://1"]).await;
    let shown = any.accepting().await;
    assert_eq!(honoured(&mut events).await, ["s://1"]);

    stage.tables.replace(table(&[ANY, SECRET]), true);
    stage.hub.review();
    assert!(quiet(&mut events).await && secret.is_idle() && !shown.is_dropped());
    view.replace(table(&[ANY, SECRET]), true);
    stage.hub.review();
    let _shown_too = secret.accepting().await;
    assert_eq!(updated(&mut events).await, "s://1", "what changed during the move is told");
}

#[tokio::test(start_paused = true)]
async fn one_stream_serves_all_views_and_lasts_as_long_as_one_of_them_listens() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let view = Tables::new(table(&[FILES]));
    view.settle();
    let (first, opened) = stage.granted(&["r://1"], &mut files).await;
    let mut second = stage.listen_in(&view, &["r://1"]).await;
    assert_eq!(honoured(&mut second).await, ["r://1"]);
    assert!(files.is_idle(), "it tells of the URI already");

    drop(first);
    assert!(quiet(&mut second).await && files.is_idle() && !opened.is_dropped());
    opened.update("r://1");
    assert_eq!(updated(&mut second).await, "r://1");
    drop(second);
    opened.tell.closed().await;
}

#[tokio::test(start_paused = true)]
async fn at_start_a_uri_waits_for_its_server_to_be_in_the_view() {
    let stage = Stage::starting(&[]);
    let mut files = stage.play("files-1");
    let view = Tables::new(table(&[]));
    let mut events = stage.listen_in(&view, &["r://1"]).await;
    assert!(quiet(&mut events).await);
    advance(Duration::from_secs(1)).await;
    view.replace(table(&[FILES]), true);
    stage.tables.replace(table(&[FILES]), true);
    stage.hub.review();
    let _opened = files.accepting().await;
    assert_eq!(honoured(&mut events).await, ["r://1"]);
}

#[tokio::test(start_paused = true)]
async fn what_no_server_of_the_view_can_tell_of_does_not_exist() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let view = Tables::new(table(&[]));
    view.settle();
    let mut events = stage.listen_in(&view, &["r://1"]).await;
    assert_eq!(honoured(&mut events).await, [""; 0]);
    assert!(files.is_idle());
}
