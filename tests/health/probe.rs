//! When an endpoint is asked, and what its answers mean.

use crate::{
    calls::{single, streaming},
    patient::{patient, probe, unprobed, verdict},
};
use std::{future::pending, num::NonZeroU32, sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, sleep, timeout};
use tokio_test::{assert_pending, task};
use tower::{load_shed::error::Overloaded, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, EndpointId, Method, Reply,
    health::{Board, HealthCheck, Probe, Thresholds, Verdict},
    json::Json,
    reply::Outcome,
    upstream::error::Connect,
};
use tower_test::mock::{self, Handle};

const INTERVAL: Duration = Duration::from_secs(15);

fn probed(board: &Board) -> Handle<Call, Reply> {
    let (service, handle) = mock::pair();
    tokio::spawn(Probe::new(service, board.endpoint(&"a".into()), INTERVAL).run());
    handle
}

fn ill(reason: &str) -> Verdict {
    Verdict::Ill(reason.into())
}

/// The next question, and how long it was waited for.
async fn asked(handle: &mut Handle<Call, Reply>) -> (Duration, mock::SendResponse<Reply>) {
    let before = Instant::now();
    let (call, respond) = handle.next_request().await.unwrap();
    assert_eq!(call.method, Method::PING);
    (before.elapsed(), respond)
}

async fn last_check(board: &Board) -> HealthCheck {
    tokio::task::yield_now().await;
    board.last_check("a").expect("a check")
}

#[tokio::test(start_paused = true)]
async fn the_first_question_is_asked_at_once_and_the_next_an_interval_later() {
    let board = Board::default();
    let mut handle = probed(&board);
    let (waited, respond) = asked(&mut handle).await;
    assert_eq!((waited, board.verdict("a")), (Duration::ZERO, Verdict::Unknown));
    respond.send_response(single());
    for _ in 0..5 {
        let (waited, respond) = asked(&mut handle).await;
        assert!((INTERVAL * 9 / 10..=INTERVAL * 11 / 10 + Duration::from_millis(2)).contains(&waited), "{waited:?}");
        assert_eq!(board.verdict("a"), Verdict::Well);
        respond.send_response(single());
    }
}

#[tokio::test(start_paused = true)]
async fn any_answer_is_healthy() {
    for outcome in [Outcome::Accepted, Outcome::Error(Json::from_static(r#"{"code":-32601,"message":"no"}"#))] {
        let board = Board::default();
        let mut handle = probed(&board);
        asked(&mut handle).await.1.send_response(Reply::single(outcome));
        verdict(&board, "a", true).await;
        let check = last_check(&board).await;
        assert!(check.healthy && check.error.is_none() && check.server_id == EndpointId::from("a"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_asked_about_again_soon_and_then_less_often_but_within_five_seconds() {
    let board = Board::default();
    let mut handle = probed(&board);
    let mut expected = [0, 500, 1000, 2000, 4000, 4000, 4000].map(Duration::from_millis).into_iter();
    for wait in expected.by_ref() {
        let (waited, respond) = asked(&mut handle).await;
        assert!((wait * 9 / 10..=wait * 11 / 10 + Duration::from_millis(2)).contains(&waited), "{waited:?} {wait:?}");
        respond.send_error("it is down");
        verdict(&board, "a", false).await;
    }
    assert_eq!(last_check(&board).await.error.as_deref(), Some("it is down"));
    assert_eq!(board.verdict("a"), ill("it is down"));
    asked(&mut handle).await.1.send_response(single());
    verdict(&board, "a", true).await;
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_a_failure_and_cancels_the_question() {
    let board = Board::default();
    let mut handle = probed(&board);
    let (_, respond) = asked(&mut handle).await;
    let (events, streamed) = streaming();
    respond.send_response(streamed);
    let started = Instant::now();
    events.closed().await;
    assert!((5000..5010).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    tokio::task::yield_now().await;
    assert_eq!(board.verdict("a"), ill("no answer within 5000 ms"));
    assert!(last_check(&board).await.latency >= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_asked_is_no_verdict() {
    let board = Board::default();
    let mut handle = probed(&board);
    handle.allow(0);
    let mut verdicts = board.subscribe();
    assert!(timeout(INTERVAL * 4, verdicts.changed()).await.is_err());
    assert_eq!(board.last_check("a"), None);
    handle.allow(1);
    let (waited, respond) = asked(&mut handle).await;
    assert!(waited <= Duration::from_millis(600), "{waited:?}");
    respond.send_response(single());
    verdict(&board, "a", true).await;

    let shed = service_fn(async |_: Call| Err::<Reply, BoxError>(Overloaded::new().into()));
    tokio::spawn(Probe::new(shed, board.endpoint(&"full".into()), INTERVAL).run());
    assert!(
        timeout(INTERVAL / 2, verdicts.wait_for(|verdicts| verdicts.get("full") != Verdict::Unknown)).await.is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_all_its_time_however_long_it_took_to_ask() {
    let board = Board::default();
    let mut handle = probed(&board);
    handle.allow(0);
    sleep(Duration::from_millis(4990)).await;
    handle.allow(1);
    let respond = asked(&mut handle).await.1;
    sleep(Duration::from_millis(4990)).await;
    respond.send_response(single());
    tokio::task::yield_now().await;
    assert!(last_check(&board).await.healthy);
    assert!(board.verdict("a").is_well());
}

#[tokio::test(start_paused = true)]
async fn thresholds_count_answers_in_a_row() {
    let three = NonZeroU32::new(3).unwrap();
    let board = Board::new(Thresholds { fall: three, rise: three });
    let mut handle = probed(&board);
    // The first answer decides alone.
    let walk = [(true, true), (false, true), (false, true), (true, true), (false, true), (false, true), (false, false)];
    let back = [(true, false), (true, false), (false, false), (true, false), (true, false), (true, true)];
    for (step, (answers, well)) in walk.into_iter().chain(back).enumerate() {
        let respond = asked(&mut handle).await.1;
        if answers {
            respond.send_response(single())
        } else {
            respond.send_error("down")
        }
        let check = loop {
            tokio::task::yield_now().await;
            if let Some(check) = board.last_check("a").filter(|check| check.healthy == answers) {
                break check;
            }
        };
        assert_eq!((check.healthy, board.verdict("a").is_well()), (answers, well), "step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn forgetting_ends_the_probe_in_whatever_it_is_doing() {
    let board = Board::default();
    let resting = unprobed(&board, "resting");
    let answering = service_fn(async |_: Call| Ok::<_, BoxError>(single()));
    let mut running = task::spawn(Probe::new(answering, resting.vital.clone(), INTERVAL).run());
    assert_pending!(running.poll());
    board.forget(&"resting".into());
    assert!(running.is_woken());
    assert!(running.poll().is_ready());

    let hanging = service_fn(|_: Call| pending::<Result<Reply, BoxError>>());
    let running = tokio::spawn(Probe::new(hanging, board.endpoint(&"hanging".into()), INTERVAL).run());
    tokio::task::yield_now().await;
    board.forget(&"hanging".into());
    timeout(Duration::from_millis(1), running).await.expect("it waits for no answer").unwrap();
    assert_eq!(board.verdict("hanging"), Verdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_comes_back_is_seen_within_five_seconds() {
    let board = Board::default();
    let a = patient(&board, "a").await;
    a.answers.store(false, Ordering::SeqCst);
    verdict(&board, "a", false).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    a.answers.store(true, Ordering::SeqCst);
    let started = Instant::now();
    verdict(&board, "a", true).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_id_registered_again_begins_anew() {
    let board = Board::default();
    let old = patient(&board, "a").await;
    board.forget(&"a".into());
    let new = unprobed(&board, "a");
    assert_eq!(board.verdict("a"), Verdict::Unknown);
    assert!(!old.vital.is_well() && !new.vital.is_well());
    probe(&new);
    verdict(&board, "a", true).await;
    assert!(!old.vital.is_well(), "the entry that was freed stays out");
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_may_take_longer_than_the_others() {
    let board = Board::default();
    let (service, mut handle) = mock::pair();
    let probe = Probe::new(service, board.endpoint(&"a".into()), INTERVAL).first_timeout(Duration::from_secs(60));
    tokio::spawn(probe.run());
    let (_, respond) = asked(&mut handle).await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(board.verdict("a"), Verdict::Unknown, "it may still be downloading");
    respond.send_response(single());
    verdict(&board, "a", true).await;
    let (_, _never) = asked(&mut handle).await;
    let before = Instant::now();
    verdict(&board, "a", false).await;
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&before.elapsed()), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_first_answer_that_never_comes_is_a_failure_in_the_end() {
    let board = Board::default();
    let (service, mut handle) = mock::pair::<Call, Reply>();
    let probe = Probe::new(service, board.endpoint(&"a".into()), INTERVAL).first_timeout(Duration::from_secs(60));
    tokio::spawn(probe.run());
    let (_, _never) = asked(&mut handle).await;
    verdict_of(&board, ill("no answer within 60000 ms")).await;
}

#[tokio::test(start_paused = true)]
async fn the_reason_names_the_cause() {
    let board = Board::default();
    let mut handle = probed(&board);
    let cause = "cannot start \"no-such\": the command was not found";
    asked(&mut handle).await.1.send_error(Connect(cause.into()));
    verdict_of(&board, ill(&format!("the server cannot be reached: {cause}"))).await;
    assert_eq!(last_check(&board).await.error.as_deref(), Some(&*format!("the server cannot be reached: {cause}")));
}

async fn verdict_of(board: &Board, verdict: Verdict) {
    board.subscribe().wait_for(|verdicts| verdicts.get("a") == verdict).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn however_often_it_is_asked_a_server_may_be_busy_for_a_moment() {
    let board = Board::default();
    let (service, mut handle) = mock::pair();
    tokio::spawn(Probe::new(service, board.endpoint(&"a".into()), Duration::from_millis(50)).run());
    let (_, respond) = asked(&mut handle).await;
    sleep(Duration::from_millis(990)).await;
    respond.send_response(single());
    verdict(&board, "a", true).await;
    let (_, _never) = asked(&mut handle).await;
    verdict_of(&board, ill("no answer within 1000 ms")).await;
}
