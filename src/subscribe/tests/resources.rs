//! What clients are told of resources.

use super::stage::{Cast, FILES, SUBSCRIBE, Stage, honoured, is_crowded, quiet, rest, updated};
use crate::{Method, catalog::Kind, reply::Event, route::Versions, subscribe::Hub};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, advance};

const ANY: Cast = Cast("any", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"u://{x}"}]"#);

#[tokio::test(start_paused = true)]
async fn what_a_server_acknowledges_is_honoured_and_nothing_else() {
    let mute = Cast("mute", r#"{"resources":{}}"#, Kind::Resources, r#"[{"uri":"m://1"}]"#);
    let stage = Stage::new(&[FILES, mute]);
    let mut files = stage.play("files-1");
    let _mute = stage.play("mute-1");
    let mut events = stage.listen(&["r://2", "m://1", "r://1", "x://unknown", "r://2"]).await;
    let opened = files.next().await;
    assert_eq!(opened.uris, ["r://1", "r://2"], "only a server that declares it is asked");
    opened.acknowledge(&["r://2"]);
    assert_eq!(honoured(&mut events).await, ["r://2"]);
    opened.update("r://1");
    assert!(quiet(&mut events).await);
    opened.update("r://2");
    assert_eq!(updated(&mut events).await, "r://2");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_or_says_nothing_honours_nothing() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let mut events = stage.listen(&["r://1"]).await;
    files.next().await.refuse();
    assert_eq!(honoured(&mut events).await, [""; 0]);

    let began = Instant::now();
    let mut events = stage.listen(&["r://1"]).await;
    assert_eq!(honoured(&mut events).await, [""; 0]);
    assert_eq!(began.elapsed(), Duration::from_secs(5), "late means no");
    let silent = files.next().await;
    rest().await;
    assert!(silent.is_dropped(), "nobody listens to it any more");
    drop(events);

    let nobody = Stage::new(&[]);
    let mut events = nobody.listen(&["r://1"]).await;
    let began = Instant::now();
    assert_eq!(honoured(&mut events).await, [""; 0]);
    assert_eq!(began.elapsed(), Duration::ZERO, "there is nobody to wait for");
}

#[tokio::test(start_paused = true)]
async fn updates_reach_those_who_listen_to_the_uri_and_are_one_until_read() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let (mut one, first) = stage.granted(&["r://1"], &mut files).await;
    let (mut both, second) = stage.granted(&["r://1", "r://2"], &mut files).await;
    assert!(!first.is_dropped());
    for _ in 0..1000 {
        second.update("r://1");
        second.update("r://2");
    }
    rest().await;
    assert_eq!(updated(&mut one).await, "r://1");
    assert!(quiet(&mut one).await);
    assert_eq!((updated(&mut both).await, updated(&mut both).await), ("r://1".into(), "r://2".into()));
    assert!(quiet(&mut both).await);
    second.update("r://2");
    assert_eq!(updated(&mut both).await, "r://2", "what comes after the read is told again");
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_resource_is_told_as_the_resource() {
    let stage = Stage::new(&[Cast("dir", SUBSCRIBE, Kind::Templates, r#"[{"uriTemplate":"f:///{path}"}]"#)]);
    let mut server = stage.play("dir-1");
    let (mut events, opened) = stage.granted(&["f:///a", "f:///ab", "f:///c/"], &mut server).await;
    for (told, expected) in [("f:///a/b/c", "f:///a"), ("f:///c/d", "f:///c/"), ("f:///a?x=1", "f:///a")] {
        opened.update(told);
        assert_eq!(updated(&mut events).await, expected);
        assert!(quiet(&mut events).await, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_holds_up_nobody_and_a_busy_resource_keeps_back_no_list() {
    let stage = Stage::new(&[FILES]);
    let mut files = stage.play("files-1");
    let (mut slow, _first) = stage.granted(&["r://1"], &mut files).await;
    let (mut quick, opened) = stage.granted(&["r://1", "r://2"], &mut files).await;
    let mut versions = Versions { settled: true, ..Versions::default() };
    versions.tools += 1;
    stage.tables.publish(super::stage::table(&[FILES]), versions);
    let mut told = Vec::new();
    for _ in 0..200 {
        opened.update("r://2");
        rest().await;
        let Some(Ok(Event::Note(note))) = quick.next().await else { panic!("the stream goes on") };
        told.push(note.method);
    }
    assert!(told.contains(&Method::TOOLS_LIST_CHANGED));
    opened.update("r://1");
    assert_eq!(updated(&mut quick).await, "r://1");
    let mut told = Vec::new();
    for _ in 0..2 {
        let Some(Ok(Event::Note(note))) = slow.next().await else { panic!("the stream goes on") };
        told.push(note.method);
    }
    assert!(told.contains(&Method::RESOURCES_UPDATED) && told.contains(&Method::TOOLS_LIST_CHANGED), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn uris_are_counted_per_client_and_in_all() {
    let stage = Stage::new(&[ANY]);
    let mut server = stage.play("any-1");
    let uris: Vec<String> = (0..Hub::MAX_URIS + 10).map(|n| format!("u://{n}")).collect();
    let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    let mut events = stage.listen(&uris).await;
    let _opened = server.accepting().await;
    assert_eq!(honoured(&mut events).await.len(), Hub::MAX_URIS);

    let long = format!("u://{}", "x".repeat(3000));
    let mut too_long = stage.listen(&[&long, "u://0"]).await;
    assert_eq!(honoured(&mut too_long).await, ["u://0"]);

    drop(too_long);
    let mut held = vec![];
    for _ in 1..Hub::MAX_SUBSCRIPTIONS / Hub::MAX_URIS {
        held.push(stage.listen(&uris).await);
    }
    assert!(is_crowded(stage.try_listen(&["u://0"]).await));
    drop((held, events));
    let mut next = stage.listen(&["u://0"]).await;
    let _opened = server.accepting().await;
    assert_eq!(honoured(&mut next).await, ["u://0"], "everything is given back");
}

/// So many URIs of a thousand bytes and some, unlike those of any other client.
fn long(client: usize, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("u://{client}/{n}/{}", "x".repeat(1000))).collect()
}

fn texts(uris: &[String]) -> Vec<&str> {
    uris.iter().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn the_text_of_all_uris_is_bounded_and_who_has_no_room_is_told_so() {
    let stage = Stage::new(&[ANY]);
    let mut server = stage.play("any-1");
    let mut held = vec![];
    for client in 0..2 {
        let uris = long(client, 400);
        let mut events = stage.listen(&texts(&uris)).await;
        let opened = server.accepting().await;
        assert!(opened.uris.iter().map(String::len).sum::<usize>() <= Hub::MAX_BYTES);
        assert_eq!(honoured(&mut events).await.len(), 400);
        held.push((events, opened));
    }
    assert!(is_crowded(stage.try_listen(&texts(&long(2, 400))).await), "a part of it would look like all there is");
    let known = long(1, 400);
    let mut same = stage.listen(&texts(&known)).await;
    assert_eq!(honoured(&mut same).await.len(), 400, "what is listened to anyway takes no more room");
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_listens_to_ever_more_leaves_room_to_others() {
    let stage = Stage::new(&[ANY]);
    let mut server = stage.play("any-1");
    let mut greedy = stage.listen_as("greedy", &texts(&long(0, 500))).await.unwrap();
    let _first = server.accepting().await;
    assert_eq!(honoured(&mut greedy).await.len(), 500);
    assert!(is_crowded(stage.listen_as("greedy", &texts(&long(1, 400))).await));

    let many = long(1, 400);
    let mut other = stage.listen_as("other", &texts(&many)).await.unwrap();
    let _second = server.accepting().await;
    assert_eq!(honoured(&mut other).await.len(), 400);
    drop(greedy);
    assert!(stage.listen_as("greedy", &texts(&long(0, 400))).await.is_ok(), "it has given everything back");
}

#[tokio::test(start_paused = true)]
async fn at_start_a_uri_waits_for_its_server_to_be_listed() {
    let stage = Stage::starting(&[]);
    let mut files = stage.play("files-1");
    let mut events = stage.listen(&["r://1"]).await;
    assert!(quiet(&mut events).await);
    advance(Duration::from_secs(1)).await;
    stage.tables.replace(super::stage::table(&[FILES]), true);
    stage.hub.review();
    let _opened = files.accepting().await;
    assert_eq!(honoured(&mut events).await, ["r://1"]);
}
