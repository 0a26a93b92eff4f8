//! From `register` to the last call after `unregister`.

use crate::{
    entry,
    fleet::{Fleet, Mode, server, tool, who},
    ids, listed, send, start, start_with, status, until,
};
use futures_util::StreamExt;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::timeout;
use tower_mcp_gateway::{
    registry::{RegisterError, Registry, Server, Status},
    reply::Event,
};

#[tokio::test(start_paused = true)]
async fn each_refusal_says_why_and_changes_nothing() {
    let fleet = Fleet::default();
    let (registry, _driver) = start(&fleet);
    registry.register(server("a", "pool")).unwrap();
    let before = *registry.changes().borrow();
    let duplicate = registry.register(server("a", "other")).unwrap_err();
    assert_eq!(duplicate, RegisterError::Duplicate("a".into()));
    let unknown = registry.unregister("b").unwrap_err();
    assert_eq!(unknown, RegisterError::Unknown("b".into()));
    let invalid = registry.register(Server::stdio("c", "pool", "")).unwrap_err();
    assert!(invalid.to_string().starts_with("connection.command: "), "{invalid}");
    assert_eq!((ids(&registry), *registry.changes().borrow()), (vec!["a".to_owned()], before));

    registry.close().await;
    assert_eq!(registry.register(server("d", "pool")).unwrap_err(), RegisterError::Closed);
    assert!(registry.list().is_empty());
}

#[test]
fn a_registry_takes_so_many_servers_and_counts_those_that_are_stopping() {
    let (registry, _driver) = Registry::builder().build();
    for n in 0..Registry::MAX_SERVERS {
        registry.register(server(&format!("{n}"), "pool")).unwrap();
    }
    assert_eq!(registry.register(server("more", "pool")).unwrap_err(), RegisterError::Full);
    registry.unregister("0").unwrap();
    assert_eq!(registry.register(server("more", "pool")).unwrap_err(), RegisterError::Full);
}

/// Notes each new status of `id` until it is gone.
fn note_statuses(registry: &Registry, id: &'static str) -> Arc<Mutex<Vec<Status>>> {
    let (registry, noted) = (registry.clone(), Arc::new(Mutex::new(Vec::new())));
    let notes = Arc::clone(&noted);
    tokio::spawn(async move {
        let mut changes = registry.changes();
        loop {
            if let Some(entry) = entry(&registry, id) {
                let mut notes = notes.lock().unwrap();
                if notes.last() != Some(&entry.status) {
                    notes.push(entry.status);
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    });
    noted
}

#[tokio::test(start_paused = true)]
async fn all_five_statuses_are_seen_in_their_order() {
    let fleet = Fleet::default();
    fleet.peer("a").set(Mode::Hung);
    let (registry, driver) = Registry::builder().connect(fleet.connect()).endpoint(|_: &Server, c| c).build();
    registry.register(server("a", "pool")).unwrap();
    let noted = note_statuses(&registry, "a");
    tokio::task::yield_now().await;
    tokio::spawn(driver);

    status(&registry, "a", Status::Connecting).await;
    assert!(entry(&registry, "a").unwrap().last_health_check.is_none());
    // What hung is cut, and the next check succeeds.
    fleet.peer("a").set(Mode::Up);
    status(&registry, "a", Status::Error).await;
    status(&registry, "a", Status::Connected).await;
    fleet.peer("a").set(Mode::Down);
    status(&registry, "a", Status::Error).await;
    let ill = entry(&registry, "a").unwrap();
    assert_eq!(ill.error.as_deref(), Some("the server cannot be reached: it is down"));
    assert_eq!(ill.last_health_check.unwrap().error.as_deref(), ill.error.as_deref());
    fleet.peer("a").set(Mode::Streaming);
    status(&registry, "a", Status::Connected).await;
    let call = send(&registry, tool("echo")).await.unwrap();
    registry.unregister("a").unwrap();
    status(&registry, "a", Status::Stopped).await;
    drop(call);
    until(&registry, <[_]>::is_empty).await;

    use Status::{Connected, Connecting, Error, Registered, Stopped};
    let expected = [Registered, Connecting, Error, Connected, Error, Connected, Stopped];
    assert_eq!(*noted.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_outlive_unregister_and_keep_the_entry_listed() {
    let fleet = Fleet::default();
    let peer = fleet.peer("a");
    peer.set(Mode::Streaming);
    let (registry, _driver) = start(&fleet);
    registry.register(server("a", "pool")).unwrap();
    listed(&registry, "a").await;
    let mut events = send(&registry, tool("echo")).await.unwrap().into_events();
    assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))));

    registry.unregister("a").unwrap();
    assert_eq!(entry(&registry, "a").unwrap().status, Status::Stopped);
    // Long after everything else of it has ended.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(entry(&registry, "a").unwrap().status, Status::Stopped);
    assert!(registry.tables().load().tool("echo").is_none());
    assert!(send(&registry, tool("echo")).await.is_err());
    assert!(registry.health().is_empty());

    peer.set(Mode::Up);
    assert!(matches!(events.next().await, Some(Ok(Event::Done(_)))), "its end is delivered");
    drop(events);
    until(&registry, <[_]>::is_empty).await;
    assert_eq!((peer.in_flight(), peer.handles()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_id_may_come_back_at_once_while_its_last_calls_end() {
    let fleet = Fleet::default();
    let peer = fleet.peer("a");
    peer.set(Mode::Streaming).lists(["old"]);
    let (registry, _driver) = start(&fleet);
    registry.register(server("a", "pool")).unwrap();
    listed(&registry, "a").await;
    let call = send(&registry, tool("old")).await.unwrap();

    registry.unregister("a").unwrap();
    peer.lists(["new"]);
    registry.register(server("a", "other")).unwrap();
    peer.set(Mode::Up);
    until(&registry, |list| list.len() == 2 && list[0].listing.is_some()).await;
    let list = registry.list();
    assert_eq!((list[0].status, list[0].name.as_str()), (Status::Connected, "other"));
    assert_eq!((list[1].status, list[1].name.as_str()), (Status::Stopped, "pool"));
    assert!(list[0].tools().next().unwrap().as_str().contains("\"new\""));
    assert!(list[1].tools().next().unwrap().as_str().contains("\"old\""));
    assert_eq!(registry.health().len(), 1);
    assert_eq!(who(send(&registry, tool("new")).await.unwrap()).await, "a");
    drop(call);
    until(&registry, |list| list.len() == 1).await;
    assert_eq!(entry(&registry, "a").unwrap().status, Status::Connected, "the end of the old one is not its own");
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn while_a_server_stops_behind_the_one_that_replaces_it_each_sample_is_written_once() {
    let fleet = Fleet::default();
    let peer = fleet.peer("a");
    peer.set(Mode::Streaming);
    let (registry, _driver) = start_with(&fleet, [server("a", "pool")]);
    listed(&registry, "a").await;
    let call = send(&registry, tool("echo")).await.unwrap();
    registry.unregister("a").unwrap();
    registry.register(server("a", "pool")).unwrap();
    peer.set(Mode::Up);
    until(&registry, |list| list.len() == 2 && list[0].status == Status::Connected).await;

    let text = tower_mcp_gateway::metrics::Exposition::new(registry).to_text();
    let mut seen = std::collections::HashSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(seen.insert(line.rsplit_once(' ').unwrap().0), "{line}\n{text}");
    }
    assert!(text.contains(r#"server_status{server="a",name="pool",status="connected"} 1"#), "{text}");
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_comings_and_goings_of_one_id_leave_one_server() {
    let fleet = Fleet::default();
    let (registry, _driver) = start(&fleet);
    for n in 0..1000 {
        registry.register(server("a", "pool")).unwrap();
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
        registry.unregister("a").unwrap();
    }
    registry.register(server("a", "pool")).unwrap();
    until(&registry, |list| list.len() == 1 && list[0].listing.is_some()).await;
    assert_eq!(who(send(&registry, tool("echo")).await.unwrap()).await, "a");
    registry.close().await;
    tokio::task::yield_now().await;
    assert_eq!(fleet.peer("a").handles(), 0);
}

#[tokio::test(start_paused = true)]
async fn servers_of_the_configuration_come_first_in_its_order_and_then_the_others_by_id() {
    let fleet = Fleet::default();
    let (registry, _driver) = start_with(&fleet, [server("z", "z"), server("m", "m")]);
    for id in ["k", "a", "x"] {
        registry.register(server(id, id)).unwrap();
    }
    assert_eq!(ids(&registry), ["z", "m", "a", "k", "x"]);
    until(&registry, |list| list.iter().all(|entry| entry.listing.is_some())).await;
    let tables = registry.tables();
    assert_eq!(tables.load().tool("echo").unwrap().server().as_str(), "z", "the first keeps the bare name");
    let names: Vec<_> = tables.load().backends().iter().map(|backend| backend.server().to_string()).collect();
    assert_eq!(names, ["z", "m", "a", "k", "x"]);
    registry.unregister("z").unwrap();
    registry.register(server("z", "z")).unwrap();
    assert_eq!(ids(&registry)[..5], ["m", "a", "k", "x", "z"], "registered at run time now");
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_the_last_call_and_ends_the_driver() {
    let fleet = Fleet::default();
    fleet.peer("a").set(Mode::Streaming);
    let (registry, driver) = start(&fleet);
    registry.register(server("a", "pool")).unwrap();
    registry.register(server("b", "pool")).unwrap();
    until(&registry, |list| list.iter().all(|entry| entry.listing.is_some())).await;
    let mut calls = Vec::new();
    while fleet.peer("a").in_flight() == 0 {
        calls.push(send(&registry, tool("echo")).await.unwrap());
    }
    assert!(timeout(Duration::from_secs(60), registry.close()).await.is_err(), "a call is in flight");
    assert_eq!(ids(&registry), ["a"]);
    drop(calls);
    registry.close().await;
    driver.await.unwrap();
    assert!(registry.list().is_empty());
}
