//! Overload, and calls that are dropped wherever they are.

use crate::{
    House, INSTANT, SILENCE,
    fleet::{Fleet, Mode, tool, who},
};
use futures_util::{StreamExt, future::join_all};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tower::load_shed::error::Overloaded;
use tower_mcp_gateway::{error::find, timeout::error::Elapsed};

/// Eight servers with a tool of their own each, named like them.
const EIGHT: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

async fn eight(mode: Mode) -> House {
    let fleet = Fleet::default();
    EIGHT.iter().for_each(|id| drop(fleet.peer(id).lists([id]).clone()));
    let house = House::of(&fleet, EIGHT.map(|id| (id, id))).await;
    sleep(Duration::from_millis(10)).await;
    EIGHT.iter().for_each(|id| drop(fleet.peer(id).set(mode).clone()));
    house
}

fn in_flight(house: &House) -> usize {
    EIGHT.iter().map(|id| house.fleet.peer(id).in_flight()).sum()
}

#[tokio::test(start_paused = true)]
async fn beyond_512_calls_one_more_is_refused_at_once_and_costs_nobody_else() {
    let house = eight(Mode::Busy).await;
    let mut calls: Vec<_> = (0..600).map(|n| tokio::spawn(house.send(tool(EIGHT[n % 8])))).collect();
    sleep(INSTANT).await;
    assert_eq!((in_flight(&house), house.calls.available()), (512, 0));
    let refused = calls.split_off(512);
    for call in refused {
        assert!(call.is_finished());
        assert!(find::<Overloaded>(&*call.await.unwrap().unwrap_err()).is_some());
    }
    assert_eq!(house.tools().await.len(), 8, "lists need no place");
    calls.iter().for_each(|call| call.abort());
    join_all(calls).await;
    assert_eq!((in_flight(&house), house.calls.available()), (0, 512));
    house.fleet.peer("a").set(Mode::Up);
    assert_eq!(who(house.send(tool("a")).await.unwrap()).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_holds_its_hundred_and_no_more() {
    let house = eight(Mode::Up).await;
    house.fleet.peer("a").set(Mode::Busy);
    let start = Instant::now();
    let calls: Vec<_> = (0..150).map(|_| tokio::spawn(house.send(tool("a")))).collect();
    sleep(Duration::from_secs(3)).await;
    assert_eq!((in_flight(&house), calls.iter().filter(|call| call.is_finished()).count()), (100, 50));
    for id in &EIGHT[1..] {
        let start = Instant::now();
        assert_eq!(who(house.send(tool(id)).await.unwrap()).await, *id);
        assert!(start.elapsed() < INSTANT);
    }
    let mut shed = 0;
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        if find::<Overloaded>(&*error).is_some() {
            shed += 1;
        } else {
            assert!(find::<Elapsed>(&*error).is_some(), "{error}");
        }
    }
    assert_eq!(shed, 50);
    assert!(start.elapsed() < SILENCE + Duration::from_secs(1));
    assert_eq!((in_flight(&house), house.calls.available()), (0, 512));
}

#[tokio::test(start_paused = true)]
async fn calls_dropped_at_any_moment_leave_nothing_behind() {
    fastrand::seed(11);
    let house = eight(Mode::Up).await;
    let modes = [Mode::Up, Mode::Streaming, Mode::Busy, Mode::Odd, Mode::Down, Mode::Hung];
    let mut calls = Vec::new();
    for n in 0..2000 {
        let (call, patience) = (house.send(tool(EIGHT[n % 8])), Duration::from_millis(fastrand::u64(..3000)));
        calls.push(tokio::spawn(async move {
            let whole = async {
                if let Ok(reply) = call.await {
                    let _ = reply.into_events().collect::<Vec<_>>().await;
                }
            };
            let _ = timeout(patience, whole).await;
        }));
        if n % 10 == 0 {
            house.fleet.peer(EIGHT[fastrand::usize(..8)]).set(modes[fastrand::usize(..6)]);
            sleep(Duration::from_millis(fastrand::u64(..50))).await;
        }
    }
    join_all(calls).await;
    assert_eq!((in_flight(&house), house.calls.available()), (0, 512));
    EIGHT.iter().for_each(|id| drop(house.fleet.peer(id).set(Mode::Up).clone()));
    sleep(Duration::from_secs(60)).await;
    for id in EIGHT {
        assert_eq!(who(house.send(tool(id)).await.unwrap()).await, id, "it has recovered");
    }
    house.registry.close().await;
    sleep(INSTANT).await;
    assert!(EIGHT.iter().all(|id| house.fleet.peer(id).handles() == 0));
}
