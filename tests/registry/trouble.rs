//! Drivers that go, servers that panic, registries that must not see each other.

use crate::{
    entry,
    fleet::{Fleet, Mode, server, tool, who},
    ids, listed, send, start, status, until,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::timeout;
use tower_mcp_gateway::{
    BoxError, Call,
    registry::{RegisterError, Registry, Server, Status},
};

#[tokio::test(start_paused = true)]
async fn without_its_driver_a_registry_is_closed_and_its_servers_are_let_go() {
    let fleet = Fleet::default();
    fleet.peer("a").set(Mode::Streaming);
    let (registry, driver) = start(&fleet);
    let tables = registry.tables();
    registry.register(server("a", "pool")).unwrap();
    listed(&registry, "a").await;
    let call = send(&registry, tool("echo")).await.unwrap();
    driver.abort();
    assert!(driver.await.unwrap_err().is_cancelled());
    timeout(Duration::from_secs(1), registry.close()).await.expect("there is nobody to wait for");
    assert!(registry.list().is_empty());
    assert_eq!(registry.register(server("b", "pool")).unwrap_err(), RegisterError::Closed);
    assert!(tables.load().tool("echo").is_none(), "the table leads nowhere");
    drop(call);
    tokio::task::yield_now().await;
    assert_eq!((fleet.peer("a").in_flight(), fleet.peer("a").handles()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_never_ran_is_no_reason_to_wait_either() {
    let (registry, driver) = Registry::builder().build();
    registry.register(server("a", "pool")).unwrap();
    drop(driver);
    timeout(Duration::from_secs(1), registry.close()).await.expect("there is nobody to wait for");
    assert_eq!(registry.unregister("a").unwrap_err(), RegisterError::Unknown("a".into()));
}

#[tokio::test(start_paused = true)]
async fn a_server_unregistered_before_the_driver_ran_was_never_reached() {
    let fleet = Fleet::default();
    let (registry, driver) = Registry::builder().connect(fleet.connect()).endpoint(|_: &Server, c| c).build();
    registry.register(server("a", "pool")).unwrap();
    registry.unregister("a").unwrap();
    assert_eq!(entry(&registry, "a").unwrap().status, Status::Stopped);
    tokio::spawn(driver);
    until(&registry, <[_]>::is_empty).await;
    assert_eq!(fleet.peer("a").handles(), 0);
}

#[tokio::test(start_paused = true)]
async fn registries_of_one_process_do_not_see_each_other() {
    let (fleet, other) = (Fleet::default(), Fleet::default());
    let ((one, _first), (two, _second)) = (start(&fleet), start(&other));
    fleet.peer("same").lists(["one"]);
    other.peer("same").lists(["two"]);
    one.register(server("same", "pool")).unwrap();
    two.register(server("same", "pool")).unwrap();
    two.register(server("more", "more")).unwrap();
    listed(&one, "same").await;
    listed(&two, "same").await;
    assert_eq!((ids(&one).len(), ids(&two).len()), (1, 2));
    assert!(one.tables().load().tool("two").is_none() && two.tables().load().tool("one").is_none());
    fleet.peer("same").set(Mode::Down);
    status(&one, "same", Status::Error).await;
    assert_eq!(entry(&two, "same").unwrap().status, Status::Connected);
    one.close().await;
    assert_eq!(who(send(&two, tool("two")).await.unwrap()).await, "same");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_panics_ends_nothing_but_itself_and_may_recover() {
    let fleet = Fleet::default();
    fleet.peer("bad").set(Mode::Broken).lists(["bad"]);
    let (registry, driver) = start(&fleet);
    registry.register(server("bad", "bad")).unwrap();
    registry.register(server("good", "good")).unwrap();
    listed(&registry, "good").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!driver.is_finished());
    assert_eq!(who(send(&registry, tool("echo")).await.unwrap()).await, "good");
    assert_eq!(entry(&registry, "bad").unwrap().status, Status::Connecting);
    fleet.peer("bad").set(Mode::Up);
    listed(&registry, "bad").await;
    status(&registry, "bad", Status::Connected).await;
    assert_eq!(who(send(&registry, tool("bad")).await.unwrap()).await, "bad");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_layer_of_ones_own_or_in_a_connection_is_the_error_of_one_call() {
    let fleet = Fleet::default();
    let bombs = Arc::new(AtomicUsize::new(1));
    let fragile = {
        let bombs = bombs.clone();
        move |_: &Server, connection| {
            let bombs = bombs.clone();
            let defuse = move |call: Call| match bombs.load(SeqCst) {
                0 => call,
                _ => panic!("this layer is made to panic"),
            };
            tower::ServiceBuilder::new().map_request(defuse).service(connection)
        }
    };
    let builder = Registry::builder().connect(fleet.connect()).endpoint(fragile);
    let (registry, driver) = builder.build_with([server("a", "a")]).unwrap();
    tokio::spawn(driver);
    listed(&registry, "a").await;
    let told = |error: BoxError| tower_mcp_gateway::error::explain(&*error).code;
    assert_eq!(send(&registry, tool("echo")).await.map_err(told).unwrap_err(), -32603);
    bombs.store(0, SeqCst);
    assert_eq!(who(send(&registry, tool("echo")).await.unwrap()).await, "a");
    fleet.peer("a").set(Mode::Broken);
    assert_eq!(send(&registry, tool("echo")).await.map_err(told).unwrap_err(), -32603);
    fleet.peer("a").set(Mode::Up);
    assert_eq!(who(send(&registry, tool("echo")).await.unwrap()).await, "a");
}
