use crate::{
    Bench, bench,
    calls::{call, note, single, streaming},
    patient::verdict,
};
use std::time::Duration;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_mcp_gateway::{
    BoxError,
    error::{explain, find, never_sent},
    health::error::Open,
    upstream::error::{Closed, Protocol},
};

async fn fail(bench: &mut Bench) {
    let (mut reply, respond) = bench.call(call()).await;
    respond.send_error(Protocol("odd".into()));
    assert_ready_err!(reply.poll());
}

/// Opens the breaker, and waits until it is half-open; how long that took.
async fn open(bench: &mut Bench, failures: usize) -> Duration {
    for _ in 0..failures {
        fail(bench).await;
    }
    assert!(!bench.board.verdict("a").is_well(), "open: out of the pool");
    let opened = Instant::now();
    verdict(&bench.board, "a", true).await;
    opened.elapsed()
}

fn refused(bench: &mut Bench) -> BoxError {
    assert_ready_ok!(bench.service.poll_ready());
    let error = assert_ready_err!(task::spawn(bench.service.call(call())).poll());
    assert!(find::<Open>(&*error).is_some());
    error
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_with_an_error_that_may_be_tried_elsewhere() {
    let mut bench = bench().await;
    for _ in 0..5 {
        fail(&mut bench).await;
    }
    let error = refused(&mut bench);
    assert!(never_sent(&*error));
    assert_eq!(explain(&*error).status, 503);
}

#[tokio::test(start_paused = true)]
async fn half_open_admits_one_call_and_its_answer_closes_the_breaker() {
    let mut bench = bench().await;
    open(&mut bench, 5).await;
    assert!(bench.is_well(), "the trial may come");
    let (mut trial, respond) = bench.call(call()).await;
    assert!(!bench.is_well(), "and no other");
    assert!(bench.board.verdict("a").is_well(), "half-open counts as allowed");
    refused(&mut bench);
    respond.send_response(single());
    let _ = assert_ready_ok!(trial.poll());
    assert!(bench.is_well());
    for _ in 0..4 {
        fail(&mut bench).await;
    }
    assert!(bench.is_well(), "closed, and counting from nothing");
}

#[tokio::test(start_paused = true)]
async fn the_first_word_of_a_long_trial_is_enough() {
    let mut bench = bench().await;
    open(&mut bench, 5).await;
    let (mut trial, respond) = bench.call(call()).await;
    let (events, streamed) = streaming();
    events.send(note()).unwrap();
    respond.send_response(streamed);
    let _long = assert_ready_ok!(trial.poll());
    assert!(bench.is_well());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_trial_leaves_its_place_to_the_next() {
    let mut bench = bench().await;
    open(&mut bench, 5).await;
    let (trial, _respond) = bench.call(call()).await;
    drop(trial);
    assert!(bench.is_well());
    let (_next, _respond) = bench.call(call()).await;
}

#[tokio::test(start_paused = true)]
async fn each_failed_trial_doubles_the_pause_up_to_thirty_seconds() {
    let mut bench = bench().await;
    for (failures, seconds) in [(5, 1), (1, 2), (1, 4), (1, 8), (1, 16), (1, 30), (1, 30)] {
        let paused = open(&mut bench, failures).await;
        let expected = Duration::from_secs(seconds);
        let (least, most) = (expected * 9 / 10, expected * 11 / 10 + Duration::from_millis(2));
        assert!((least..=most).contains(&paused), "{paused:?} for {seconds} s");
    }
    let (mut trial, respond) = bench.call(call()).await;
    respond.send_response(single());
    let _ = assert_ready_ok!(trial.poll());
    let paused = open(&mut bench, 5).await;
    assert!(paused < Duration::from_millis(1200), "a success forgets the past: {paused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_connection_fails_waits_for_probe_and_breaker() {
    let mut bench = bench().await;
    open(&mut bench, 5).await;
    let (mut trial, respond) = bench.call(call()).await;
    let started = Instant::now();
    respond.send_error(Closed { sent: true });
    assert_ready_err!(trial.poll());
    assert!(!bench.is_well());
    verdict(&bench.board, "a", true).await;
    assert!(started.elapsed() > Duration::from_millis(1700), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_calls_from_before_tell_does_not_touch_the_trial() {
    let mut bench = bench().await;
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(bench.call(call()).await);
    }
    open(&mut bench, 5).await;
    let (mut trial, trial_respond) = bench.call(call()).await;
    for (n, (mut reply, respond)) in old.into_iter().enumerate() {
        match n {
            0 => respond.send_response(single()),
            1 => respond.send_error(Protocol("odd".into())),
            _ => drop(respond),
        }
        assert!(reply.poll().is_ready());
        drop(reply);
        refused(&mut bench);
    }
    assert_pending!(trial.poll());
    trial_respond.send_response(single());
    let _ = assert_ready_ok!(trial.poll());
    assert!(bench.is_well());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_every_probe_and_dies_of_every_call_is_caught() {
    let mut bench = bench().await;
    for _ in 0..5 {
        let (mut reply, respond) = bench.call(call()).await;
        respond.send_error(Closed { sent: true });
        let died = Instant::now();
        assert_ready_err!(reply.poll());
        verdict(&bench.board, "a", true).await;
        if died.elapsed() > Duration::from_millis(900) {
            return;
        }
    }
    panic!("the fifth time it was back at once");
}
