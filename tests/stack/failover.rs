//! A replica that dies, and one that hangs.

use crate::{
    House, INSTANT, SILENCE,
    fleet::{First, Fleet, Mode, tool, who},
};
use futures_util::{StreamExt, future::join_all};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower_mcp_gateway::{
    error::{find, is_connection},
    reply::Event,
    timeout::error::Elapsed,
};

#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_costs_only_what_was_sent_to_it() {
    let fleet = Fleet::default();
    let (dies, lives) = (fleet.peer("a"), fleet.peer("b"));
    let house = House::of(&fleet, [("a", "pool"), ("b", "pool")]).await;
    sleep(Duration::from_millis(10)).await;
    dies.set(Mode::Streaming);
    lives.set(Mode::Streaming);
    let calls = join_all((0..10).map(|_| house.send(tool("echo")))).await;
    assert_eq!((dies.in_flight(), lives.in_flight()), (5, 5));
    let mut calls: Vec<_> = calls.into_iter().map(|reply| reply.unwrap().into_events()).collect();
    for events in &mut calls {
        assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))));
    }

    dies.set(Mode::Down);
    let mut cut = 0;
    for events in &mut calls {
        tokio::select! {
            biased;
            Some(Err(error)) = events.next() => {
                assert!(is_connection(&*error));
                cut += 1;
            }
            () = sleep(Duration::from_millis(1)) => {}
        }
    }
    assert_eq!((cut, dies.in_flight(), lives.in_flight()), (5, 0, 5));
    lives.set(Mode::Up);
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(who(house.send(tool("echo")).await.unwrap()).await, "b");
    }
    assert!(start.elapsed() < INSTANT);
    assert_eq!(dies.calls(), 5, "nothing was even tried there");

    dies.set(Mode::Up);
    sleep(Duration::from_secs(5)).await;
    for _ in 0..100 {
        assert!(house.send(tool("echo")).await.is_ok());
    }
    let begun = dies.calls() - 5;
    assert!((1..50).contains(&begun), "it came back by itself and begins slowly: {begun}");
    sleep(Duration::from_secs(10)).await;
    let before = dies.calls();
    for _ in 0..20 {
        assert!(house.send(tool("echo")).await.is_ok());
    }
    assert_eq!(dies.calls() - before, 10, "and then it has its half");
}

/// The failure is one that another replica is asked for at once when it comes before the first event.
#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_behind_its_first_event_is_not_asked_for_again() {
    for first in [First::Note, First::Part] {
        let fleet = Fleet::default();
        let (breaks, stands_by) = (fleet.peer("a"), fleet.peer("b"));
        let house = House::of(&fleet, [("a", "pool"), ("b", "pool")]).await;
        sleep(Duration::from_millis(10)).await;
        breaks.set(Mode::Breaking(first));
        let mut broken = 0;
        for _ in 0..2 {
            let mut events = house.send(tool("echo")).await.unwrap().into_events();
            match events.next().await {
                Some(Ok(Event::Done(_))) => {}
                Some(Ok(_)) => {
                    assert!(matches!(events.next().await, Some(Err(error)) if is_connection(&*error)));
                    assert!(events.next().await.is_none());
                    broken += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((broken, breaks.calls(), stands_by.calls()), (1, 1, 1), "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_event_passes_all_layers_while_its_server_is_silent_and_waits_for_no_clock() {
    let fleet = Fleet::default();
    let house = House::of(&fleet, [("a", "pool")]).await;
    sleep(Duration::from_millis(10)).await;
    fleet.peer("a").set(Mode::Streaming);
    let begun = Instant::now();
    let mut events = house.send(tool("echo")).await.unwrap().into_events();
    assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))));
    assert_eq!((begun.elapsed(), fleet.peer("a").in_flight()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_pool_answers_at_once_and_keeps_its_tools_listed() {
    let fleet = Fleet::default();
    let house = House::of(&fleet, [("a", "pool"), ("b", "other")]).await;
    fleet.peer("a").lists(["echo", "mine"]).set(Mode::Up);
    sleep(Duration::from_secs(5)).await;
    fleet.peer("a").set(Mode::Down);
    // The first call may be the one that notices; after it nothing is tried any more.
    assert!(house.send(tool("mine")).await.is_err());
    let start = Instant::now();
    let error = house.send(tool("mine")).await.unwrap_err();
    assert!(find::<tower_mcp_gateway::balance::error::NoEndpoint>(&*error).is_some(), "{error}");
    assert!(house.tools().await.contains(&"mine".to_owned()));
    assert!(start.elapsed() < INSTANT);
}

#[tokio::test(start_paused = true)]
async fn one_hung_server_delays_neither_lists_nor_the_calls_of_others() {
    let fleet = Fleet::default();
    fleet.peer("never").set(Mode::Hung);
    let house = House::of(&fleet, [("never", "never"), ("hangs", "hangs"), ("well", "well")]).await;
    fleet.peer("hangs").lists(["slow"]);
    fleet.peer("well").lists(["quick"]);
    sleep(Duration::from_secs(10)).await;
    fleet.peer("hangs").set(Mode::Hung);
    let hung = tokio::spawn(house.send(tool("slow")));
    for _ in 0..200 {
        let start = Instant::now();
        assert_eq!(house.tools().await, ["slow", "quick"]);
        assert_eq!(who(house.send(tool("quick")).await.unwrap()).await, "well");
        assert!(start.elapsed() < INSTANT);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!hung.is_finished());
    let start = Instant::now();
    let error = hung.await.unwrap().unwrap_err();
    assert!(find::<Elapsed>(&*error).is_some() && start.elapsed() < SILENCE);
}

#[tokio::test(start_paused = true)]
async fn breakers_alone_never_take_out_more_than_half_of_a_pool() {
    let fleet = Fleet::default();
    let ids = ["a", "b", "c", "d"];
    let house = House::of(&fleet, ids.map(|id| (id, "pool"))).await;
    sleep(Duration::from_millis(10)).await;
    for id in ids {
        fleet.peer(id).set(Mode::Odd);
    }
    for _ in 0..100 {
        assert!(house.send(tool("echo")).await.is_err());
    }
    let ill = || house.registry.list().iter().filter(|entry| entry.error.is_some()).count();
    assert_eq!(ill(), 2, "half of them are given time, the others go on");
    for id in ids {
        fleet.peer(id).set(Mode::Up);
    }
    for _ in 0..20 {
        assert!(house.send(tool("echo")).await.is_ok());
    }
    sleep(Duration::from_secs(60)).await;
    let before = ids.map(|id| fleet.peer(id).calls());
    for _ in 0..40 {
        assert!(house.send(tool("echo")).await.is_ok());
    }
    let after = ids.map(|id| fleet.peer(id).calls());
    assert_eq!(ill(), 0);
    assert!(std::iter::zip(before, after).all(|(before, after)| after > before), "{before:?} {after:?}");
}
