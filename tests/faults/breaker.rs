//! A server that fails its calls and answers its checks, and what happens when one comes back.

use crate::{
    SILENCE,
    client::Session,
    entry, front, gateway,
    support::{
        faults::{Fault, Faulty, Wire},
        servers::{Kind, Running},
    },
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn five_failed_calls_in_a_row_take_a_server_out_although_it_answers_its_checks() {
    for wire in [Wire::Modern, Wire::Legacy] {
        let (bad, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        for _ in 0..5 {
            assert_eq!(session.act("act", Fault::Status500).await.reason(), "status", "{wire:?}");
        }
        let refused = session.act("act", Fault::None).await;
        assert!(refused.is_error() && refused.took < Duration::from_millis(500), "{wire:?} {refused:?}");
        assert_eq!(bad.ledger().calls(&refused.key), 0, "{wire:?}: it was not asked");
        session.untouched("echo").await;
        session.recovered("act").await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_on_calls_is_out_after_five_of_them() {
    let (bad, good) = (Faulty::start(Wire::Modern).await, Running::named(Kind::Modern, "good").await);
    let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    let hung = join_all((0..5).map(|_| session.act("act", Fault::Hang))).await;
    assert!(hung.iter().all(|ended| ended.reason() == "timeout" && ended.took >= SILENCE), "{hung:?}");
    let refused = session.act("act", Fault::None).await;
    assert!(refused.is_error() && refused.took < Duration::from_millis(500), "{refused:?}");
    session.recovered("act").await;
}

#[tokio::test]
async fn no_client_trips_a_breaker_with_bad_arguments() {
    for wire in Wire::ALL {
        let server = Faulty::start(wire).await;
        let front = gateway(vec![entry("one-1", "one", &server)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        for fault in [Fault::Refusal, Fault::ToolError] {
            for _ in 0..20 {
                let ended = session.act("act", fault).await;
                assert!(ended.reason().is_empty(), "{wire:?}: the server's own words: {ended:?}");
                assert_eq!(server.ledger().calls(&ended.key), 1);
            }
        }
        let ended = session.act("act", Fault::None).await;
        assert_eq!(ended.text(), Some(ended.key.as_str()), "{wire:?} {ended:?}");
    }
}

#[tokio::test]
async fn at_most_half_of_a_pool_is_out_for_failed_calls() {
    let servers = [Faulty::start(Wire::Modern).await, Faulty::start(Wire::Modern).await];
    let front = gateway(vec![entry("one-1", "one", &servers[0]), entry("one-2", "one", &servers[1])]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    for _ in 0..40 {
        let ended = session.act("act", Fault::Status500).await;
        assert_eq!(ended.reason(), "status", "there is always one that is asked: {ended:?}");
    }
    let ended = session.act("act", Fault::None).await;
    assert_eq!(ended.text(), Some(ended.key.as_str()), "{ended:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_not_stormed() {
    let server = Faulty::start(Wire::Modern).await;
    let front = gateway(vec![entry("one-1", "one", &server)]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    server.down().await;
    while !session.act("act", Fault::None).await.is_error() {}
    sleep(Duration::from_secs(1)).await;
    let before = server.accepted().len();
    server.up();
    let begun = Instant::now();
    let crowd = join_all((0..100).map(|n| {
        let session = &session;
        async move {
            sleep(Duration::from_millis(2 * n)).await;
            let mut answered = 0;
            while begun.elapsed() < Duration::from_secs(6) {
                // Long enough at the server that each wants a connection of its own.
                answered += usize::from(!session.act("act", Fault::Slow).await.is_error());
                sleep(Duration::from_millis(20)).await;
            }
            answered
        }
    }));
    let answered: usize = crowd.await.into_iter().sum();
    let accepted = server.accepted().split_off(before);
    let first = *accepted.first().expect("it is found again");
    let stormed = accepted.iter().filter(|at| at.duration_since(first) < Duration::from_millis(950)).count();
    assert!(stormed <= 20, "{stormed} connections in the first second");
    assert!(accepted.len() > 20, "all come in the end: {}", accepted.len());
    assert!(answered > 200, "{answered}");
}
