use crate::{
    Bench, bench,
    calls::{Item, call, done, note, part, single, streaming},
    patient::verdict,
};
use futures_util::StreamExt;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::{Layer, ServiceExt, load_shed::error::Overloaded, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply,
    error::{Problem, causes},
    health::{Board, Probe, Verdict, observe::ObserveLayer},
    json::{Json, Members, Params},
    reply::{Event, Outcome},
    timeout::Lapse,
    upstream::error::{Closed, Connect, NotStarted, Protocol, Replaced, Status, TooLarge},
};
use tower_test::mock;

/// A call that fails before the head.
async fn fail(bench: &mut Bench, error: impl Into<BoxError>) {
    let (mut reply, respond) = bench.call(call()).await;
    respond.send_error(error);
    assert_ready_err!(reply.poll());
}

/// Whether the endpoint gets calls after `act` was done five times.
async fn well_after_five(mut act: impl AsyncFnMut(&mut Bench)) -> bool {
    let mut bench = bench().await;
    for _ in 0..5 {
        assert!(bench.is_well(), "not before the fifth time");
        act(&mut bench).await;
    }
    bench.is_well()
}

#[tokio::test(start_paused = true)]
async fn a_failed_connection_takes_the_endpoint_out_at_once_and_has_it_probed_at_once() {
    let errors: [fn() -> BoxError; 4] = [
        || Connect("refused".into()).into(),
        || Closed { sent: true }.into(),
        || Closed { sent: false }.into(),
        || NotStarted(Duration::from_secs(60)).into(),
    ];
    for error in errors {
        let mut bench = bench().await;
        let (mut reply, respond) = bench.call(call()).await;
        respond.send_error(error());
        let started = Instant::now();
        assert_ready_err!(reply.poll());
        assert!(!bench.is_well());
        assert_eq!(bench.board.verdict("a"), Verdict::Ill(causes(&*error()).into()));
        verdict(&bench.board, "a", true).await;
        assert!(started.elapsed() < Duration::from_millis(10), "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_stays_out_while_its_probes_fail() {
    let mut bench = bench().await;
    bench.patient.answers.store(false, Ordering::SeqCst);
    fail(&mut bench, Closed { sent: true }).await;
    let mut verdicts = bench.board.subscribe();
    let back = verdicts.wait_for(|verdicts| verdicts.is_well("a"));
    assert!(tokio::time::timeout(Duration::from_secs(60), back).await.is_err());
    bench.patient.answers.store(true, Ordering::SeqCst);
    verdict(&bench.board, "a", true).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_cut_after_the_head_counts_the_same() {
    for passed_on in [note, part] {
        let mut bench = bench().await;
        let (mut reply, respond) = bench.call(call()).await;
        let (events, streamed) = streaming();
        respond.send_response(streamed);
        let mut reply = assert_ready_ok!(reply.poll()).into_events();
        events.send(passed_on()).unwrap();
        reply.next().await.unwrap().unwrap();
        assert!(bench.is_well());
        events.send(Err(Closed { sent: true }.into())).unwrap();
        reply.next().await.unwrap().unwrap_err();
        assert!(!bench.is_well());
    }
}

/// What comes last of a reply, and whether the endpoint is well after five such.
type End = (fn() -> Option<Item>, bool);

#[tokio::test(start_paused = true)]
async fn a_result_that_breaks_in_its_tail_is_a_failure_though_its_beginning_was_passed_on() {
    let ends: [End; 4] = [
        (|| Some(Err(Protocol("the answer ends within its result".into()).into())), false),
        (|| Some(Err(TooLarge { limit: 1 }.into())), false),
        (|| None, false),
        (|| Some(Ok(Event::Done(Outcome::Passed(Members::default())))), true),
    ];
    for (end, well) in ends {
        let passed_on = async move |bench: &mut Bench| {
            let (mut reply, respond) = bench.call(call()).await;
            let (events, streamed) = streaming();
            respond.send_response(streamed);
            let mut reply = assert_ready_ok!(reply.poll()).into_events();
            events.send(part()).unwrap();
            assert!(matches!(reply.next().await, Some(Ok(Event::Part(_)))));
            end().into_iter().for_each(|end| events.send(end).unwrap());
            drop(events);
            assert_eq!(reply.next().await.unwrap().is_ok(), well);
        };
        assert_eq!(well_after_five(passed_on).await, well);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_cut_with_a_connection_long_gone_do_not_take_the_endpoint_out_again() {
    let mut bench = bench().await;
    let (mut first, first_respond) = bench.call(call()).await;
    let (mut second, second_respond) = bench.call(call()).await;
    first_respond.send_error(Closed { sent: true });
    assert_ready_err!(first.poll());
    verdict(&bench.board, "a", true).await;
    second_respond.send_error(Closed { sent: true });
    assert_ready_err!(second.poll());
    assert!(bench.is_well());
}

#[tokio::test(start_paused = true)]
async fn a_probe_answered_over_a_connection_that_failed_meanwhile_proves_nothing() {
    let board = Board::default();
    let vital = board.endpoint(&"a".into());
    let (service, mut probes) = mock::pair::<Call, Reply>();
    tokio::spawn(Probe::new(service, vital.clone(), Duration::from_secs(15)).run());
    let (_, answer) = probes.next_request().await.unwrap();

    let dead = service_fn(async |_: Call| Err::<Reply, BoxError>(Closed { sent: true }.into()));
    ObserveLayer::new(vital.clone()).layer(dead).oneshot(call()).await.unwrap_err();
    answer.send_response(single());
    let (_, answer) = probes.next_request().await.unwrap();
    assert!(!vital.is_well(), "the answer was older than the failure");
    answer.send_response(single());
    verdict(&board, "a", true).await;
}

#[tokio::test(start_paused = true)]
async fn five_other_failures_in_a_row_open_the_breaker() {
    assert!(!well_after_five(async |bench| fail(bench, Status(http::StatusCode::BAD_GATEWAY)).await).await);
    assert!(!well_after_five(async |bench| fail(bench, Protocol("odd".into())).await).await);
    assert!(!well_after_five(async |bench| fail(bench, TooLarge { limit: 1 }).await).await);
    let cut_later = async |bench: &mut Bench| {
        let (mut reply, respond) = bench.call(call()).await;
        let (events, streamed) = streaming();
        respond.send_response(streamed);
        events.send(Err(Protocol("odd".into()).into())).unwrap();
        assert_ready_ok!(reply.poll()).outcome().await.unwrap_err();
    };
    assert!(!well_after_five(cut_later).await);
    let ended_early = async |bench: &mut Bench| {
        let (mut reply, respond) = bench.call(call()).await;
        respond.send_response(streaming().1);
        assert_ready_ok!(reply.poll()).outcome().await.unwrap_err();
    };
    assert!(!well_after_five(ended_early).await);
}

#[tokio::test(start_paused = true)]
async fn a_success_in_between_starts_the_count_again() {
    let mut bench = bench().await;
    for _ in 0..3 {
        for _ in 0..4 {
            fail(&mut bench, Protocol("odd".into())).await;
        }
        let (mut reply, respond) = bench.call(call()).await;
        respond.send_response(single());
        let _ = assert_ready_ok!(reply.poll());
    }
    assert!(bench.is_well());
}

#[tokio::test(start_paused = true)]
async fn outcomes_of_every_kind_are_successes() {
    let outcomes = [r#"{"code":-32603,"message":"it broke"}"#, r#"{"code":-32602,"message":"unknown tool"}"#];
    for error in outcomes {
        let refused = async move |bench: &mut Bench| {
            let (mut reply, respond) = bench.call(call()).await;
            respond.send_response(Reply::single(Outcome::Error(Json::from_static(error))));
            let _ = assert_ready_ok!(reply.poll());
        };
        assert!(well_after_five(refused).await);
    }
    let is_error = async |bench: &mut Bench| {
        let (mut reply, respond) = bench.call(call()).await;
        let (events, streamed) = streaming();
        events.send(note()).unwrap();
        events.send(done()).unwrap();
        respond.send_response(streamed);
        assert_ready_ok!(reply.poll()).outcome().await.unwrap();
    };
    assert!(well_after_five(is_error).await);
}

#[tokio::test(start_paused = true)]
async fn errors_the_gateway_made_itself_tell_nothing() {
    assert!(well_after_five(async |bench| fail(bench, Overloaded::new()).await).await);
    assert!(well_after_five(async |bench| fail(bench, Replaced).await).await);
    assert!(well_after_five(async |bench| fail(bench, Problem::new(429, "rate_limited", "slowly")).await).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_by_its_client_tells_nothing_and_one_dropped_for_silence_is_a_failure() {
    for (silent, well) in [(false, true), (true, false)] {
        let before_the_head = async move |bench: &mut Bench| {
            let lapse = Lapse::default();
            let mut hung = call();
            hung.lapse = Some(lapse.clone());
            let (reply, _never) = bench.call(hung).await;
            if silent {
                lapse.set();
            }
            drop(reply);
        };
        assert_eq!(well_after_five(before_the_head).await, well, "silent: {silent}");

        let after_it = async move |bench: &mut Bench| {
            let lapse = Lapse::default();
            let mut hung = call();
            hung.lapse = Some(lapse.clone());
            let (mut reply, respond) = bench.call(hung).await;
            let (_events, streamed) = streaming();
            respond.send_response(streamed);
            let reply = assert_ready_ok!(reply.poll());
            if silent {
                lapse.set();
            }
            drop(reply);
        };
        assert_eq!(well_after_five(after_it).await, well, "silent: {silent}");
    }
}

#[tokio::test(start_paused = true)]
async fn pings_are_not_observed() {
    let ping = async |bench: &mut Bench| {
        let (mut reply, respond) = bench.call(Call::new(Method::PING, Params::empty())).await;
        respond.send_error(Closed { sent: true });
        assert_ready_err!(reply.poll());
    };
    assert!(well_after_five(ping).await);
}

#[tokio::test(start_paused = true)]
async fn readiness_is_forwarded() {
    let mut bench = bench().await;
    bench.server.allow(0);
    assert_pending!(bench.service.poll_ready());
    bench.server.send_error("broken");
    assert_ready_err!(bench.service.poll_ready());
}
