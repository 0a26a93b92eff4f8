//! Longest silence and longest total, to the outcome.

#[path = "../support/calls.rs"]
mod calls;

use calls::{Item, call, done, note, part, single, streaming};
use futures_util::{FutureExt, StreamExt, stream};
use std::{
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};
use tokio::{
    sync::mpsc::UnboundedSender,
    task::coop,
    time::{Instant, advance},
};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tokio_util::sync::CancellationToken;
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply,
    error::find,
    json::{Json, Params},
    reply::{Ask, Event, Events},
    timeout::{
        Timeout, TimeoutLayer,
        error::{Elapsed, Stopping},
    },
};
use tower_test::mock::{self, Mock, Spawn};

const IDLE: Duration = Duration::from_secs(30);
const TOTAL: Duration = Duration::from_secs(100);
const MOMENT: Duration = Duration::from_millis(2);

type Timed = Timeout<Mock<Call, Reply>>;

fn limited(idle: Duration, total: Duration) -> (Spawn<Timed>, mock::Handle<Call, Reply>) {
    mock::spawn_layer(TimeoutLayer::new(idle, total))
}

fn elapsed(error: &BoxError) -> String {
    find::<Elapsed>(&**error).expect("an elapsed deadline").to_string()
}

#[tokio::test(start_paused = true)]
async fn readiness_is_forwarded_and_not_timed() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    handle.allow(0);
    assert_pending!(service.poll_ready());
    advance(TOTAL * 2).await;
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_head_is_an_error() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    let (seen, _never) = handle.next_request().await.unwrap();
    assert_pending!(reply.poll());
    advance(IDLE - MOMENT).await;
    assert_pending!(reply.poll());
    advance(MOMENT * 2).await;
    assert!(reply.is_woken());
    assert_eq!(elapsed(&assert_ready_err!(reply.poll())), "no answer within 30000 ms");
    assert!(seen.lapse.as_ref().unwrap().is_set());
}

#[tokio::test(start_paused = true)]
async fn what_is_called_may_have_a_longest_silence_of_its_own() {
    for allowed in [IDLE / 3, IDLE * 2] {
        let (mut service, mut handle) = limited(IDLE, TOTAL);
        assert_ready_ok!(service.poll_ready());
        let mut reply = task::spawn(service.call(call()));
        let (seen, _never) = handle.next_request().await.unwrap();
        // Also where it turns out after the clock was started.
        assert_pending!(reply.poll());
        seen.lapse.as_ref().unwrap().allow(allowed);
        assert_pending!(reply.poll());
        advance(allowed - MOMENT).await;
        assert_pending!(reply.poll());
        advance(MOMENT * 2).await;
        assert!(reply.is_woken());
        let expected = format!("no answer within {} ms", allowed.as_millis());
        assert_eq!(elapsed(&assert_ready_err!(reply.poll())), expected);
        assert!(seen.lapse.as_ref().unwrap().is_set());
    }
}

#[tokio::test(start_paused = true)]
async fn whole_events_reset_the_silence_and_its_end_is_the_last_event() {
    let (mut service, mut handle) = limited(IDLE, Duration::MAX);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    let (seen, respond) = handle.next_request().await.unwrap();
    let (events, streamed) = streaming();
    advance(IDLE - MOMENT).await;
    respond.send_response(streamed);
    let mut reply = assert_ready_ok!(reply.poll()).into_events();
    for _ in 0..50 {
        advance(IDLE - MOMENT).await;
        events.send(note()).unwrap();
        reply.next().await.unwrap().unwrap();
    }
    let before = Instant::now();
    let error = reply.next().await.unwrap().unwrap_err();
    assert_eq!(elapsed(&error), "no answer within 30000 ms");
    assert!((IDLE..IDLE + MOMENT).contains(&before.elapsed()));
    assert!(seen.lapse.as_ref().unwrap().is_set());
    assert!(events.is_closed(), "the inner reply is dropped: that cancels the call");
    assert!(reply.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_total_ends_a_talkative_call_and_does_not_blame_the_server() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let started = Instant::now();
    let mut reply = task::spawn(service.call(call()));
    let (seen, respond) = handle.next_request().await.unwrap();
    let (events, streamed) = streaming();
    respond.send_response(streamed);
    let mut reply = assert_ready_ok!(reply.poll()).into_events();
    let talk = tokio::spawn(async move {
        while events.send(note()).is_ok() {
            tokio::time::sleep(IDLE / 3).await;
        }
    });
    let error = loop {
        if let Err(error) = reply.next().await.unwrap() {
            break error;
        }
    };
    assert_eq!(elapsed(&error), "no answer within 100000 ms");
    assert!((TOTAL..TOTAL + MOMENT).contains(&started.elapsed()));
    assert!(!seen.lapse.as_ref().unwrap().is_set());
    talk.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_said_anything_is_blamed_by_the_total_too() {
    let (mut service, mut handle) = limited(TOTAL, IDLE);
    assert_ready_ok!(service.poll_ready());
    let reply = service.call(call());
    let (seen, _never) = handle.next_request().await.unwrap();
    assert_eq!(elapsed(&reply.await.unwrap_err()), "no answer within 30000 ms");
    assert!(seen.lapse.as_ref().unwrap().is_set());
}

#[tokio::test(start_paused = true)]
async fn listening_never_times_out_and_notifications_do() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(Call::new(Method::LISTEN, Params::empty())));
    let (_, respond) = handle.next_request().await.unwrap();
    advance(TOTAL * 2).await;
    assert_pending!(reply.poll());
    let (events, streamed) = streaming();
    respond.send_response(streamed);
    let mut listening = task::spawn(assert_ready_ok!(reply.poll()).into_events());
    advance(TOTAL * 2).await;
    assert_pending!(listening.poll_next());
    events.send(done()).unwrap();
    assert_ready!(listening.poll_next()).unwrap().unwrap();

    assert_ready_ok!(service.poll_ready());
    let notification = service.call(Call::new(Method::ROOTS_LIST_CHANGED, Params::empty()));
    let _never = handle.next_request().await.unwrap();
    elapsed(&notification.await.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_there_counts_though_it_is_looked_at_late() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    handle.next_request().await.unwrap().1.send_response(single());
    advance(TOTAL * 2).await;
    assert!(assert_ready_ok!(reply.poll()).as_single().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_inner_error_passes_unchanged_and_a_client_that_leaves_sets_no_lapse() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let failed = service.call(call());
    handle.next_request().await.unwrap().1.send_error("broken");
    assert_eq!(failed.await.unwrap_err().to_string(), "broken");

    assert_ready_ok!(service.poll_ready());
    let mut left = task::spawn(service.call(call()));
    assert_pending!(left.poll());
    let (seen, _) = handle.next_request().await.unwrap();
    drop(left);
    assert!(!seen.lapse.as_ref().unwrap().is_set());
}

/// A reply that has asked a question, the question, and what becomes of its answer.
async fn asked() -> (Events, Ask, UnboundedSender<Item>) {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    let (_, respond) = handle.next_request().await.unwrap();
    let (events, streamed) = streaming();
    respond.send_response(streamed);
    let mut reply = assert_ready_ok!(reply.poll()).into_events();
    advance(IDLE - MOMENT).await;
    let (ask, _answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
    events.send(Ok(ask.into())).unwrap();
    let Some(Ok(Event::Ask(ask))) = reply.next().await else { panic!("the question") };
    (reply, *ask, events)
}

#[tokio::test(start_paused = true)]
async fn both_clocks_stand_still_while_a_person_thinks() {
    let (mut reply, ask, events) = asked().await;
    let mut next = task::spawn(reply.next());
    assert_pending!(next.poll());
    advance(TimeoutLayer::ASK - MOMENT).await;
    assert_pending!(next.poll());
    ask.answer(Ok(Json::from_static("{}")));
    assert!(next.is_woken(), "the clocks go on at once");
    assert_pending!(next.poll());
    advance(IDLE - MOMENT).await;
    assert_pending!(next.poll());
    events.send(done()).unwrap();
    assert!(matches!(assert_ready!(next.poll()), Some(Ok(Event::Done(_)))));
}

#[tokio::test(start_paused = true)]
async fn the_silence_after_an_answer_and_the_rest_of_the_whole_are_counted() {
    let (mut reply, ask, events) = asked().await;
    let mut next = task::spawn(reply.next());
    assert_pending!(next.poll());
    advance(Duration::from_secs(200)).await;
    drop(ask);
    let before = Instant::now();
    assert_eq!(elapsed(&next.await.unwrap().unwrap_err()), "no answer within 30000 ms");
    assert!((IDLE..IDLE + MOMENT).contains(&before.elapsed()), "a refusal is an answer");
    assert!(events.is_closed());

    let (mut reply, ask, events) = asked().await;
    advance(Duration::from_secs(200)).await;
    ask.answer(Ok(Json::from_static("{}")));
    let before = Instant::now();
    let error = loop {
        let mut next = task::spawn(reply.next());
        assert_pending!(next.poll());
        advance(Duration::from_secs(5)).await;
        match next.poll() {
            Poll::Ready(event) => break event.unwrap().unwrap_err(),
            Poll::Pending => drop(events.send(note())),
        }
        drop(next);
        assert!(matches!(reply.next().await, Some(Ok(Event::Note(_)))));
    };
    assert_eq!(elapsed(&error), "no answer within 100000 ms");
    let whole = TOTAL - IDLE;
    assert!((whole..=whole + Duration::from_secs(5)).contains(&before.elapsed()), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_person_who_never_answers_ends_the_call_and_says_nothing_about_the_server() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    let (seen, respond) = handle.next_request().await.unwrap();
    let (events, streamed) = streaming();
    respond.send_response(streamed);
    let mut reply = assert_ready_ok!(reply.poll()).into_events();
    let (ask, _answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
    events.send(Ok(ask.into())).unwrap();
    let Some(Ok(Event::Ask(_ask))) = reply.next().await else { panic!("the question") };
    let before = Instant::now();
    assert_eq!(elapsed(&reply.next().await.unwrap().unwrap_err()), "no answer within 300000 ms");
    assert!((TimeoutLayer::ASK..TimeoutLayer::ASK + MOMENT).contains(&before.elapsed()));
    assert!(!seen.lapse.as_ref().unwrap().is_set());
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_calls_before_and_after_their_head_and_spares_what_is_there() {
    let cut = CancellationToken::new();
    let (mut service, mut handle) = mock::spawn_layer(TimeoutLayer::new(IDLE, TOTAL).cut(cut.clone()));
    let mut replies = Vec::new();
    for _ in 0..3 {
        assert_ready_ok!(service.poll_ready());
        let mut reply = task::spawn(service.call(call()));
        assert_pending!(reply.poll());
        replies.push((reply, handle.next_request().await.unwrap()));
    }
    let (mut answered, (_, respond)) = replies.pop().unwrap();
    let (mut streams, (seen, head)) = replies.pop().unwrap();
    let (mut waits, _never) = replies.pop().unwrap();
    let (events, streamed) = streaming();
    head.send_response(streamed);
    let mut streams = assert_ready_ok!(streams.poll()).into_events();
    let mut next = task::spawn(streams.next());
    assert_pending!(next.poll());
    // Who has been waiting for a moment listens.
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(waits.is_woken() && next.is_woken());
    assert_pending!(waits.poll());
    assert_pending!(next.poll());
    respond.send_response(single());
    cut.cancel();
    assert!(waits.is_woken() && next.is_woken());
    assert!(find::<Stopping>(&*assert_ready_err!(waits.poll())).is_some());
    let error = assert_ready!(next.poll()).unwrap().unwrap_err();
    assert!(find::<Stopping>(&*error).is_some());
    assert!(assert_ready_ok!(answered.poll()).as_single().is_some());
    assert!(events.is_closed());
    assert!(!seen.lapse.as_ref().unwrap().is_set(), "it was not the server");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_just_begun_is_told_of_a_cut_a_moment_later() {
    let cut = CancellationToken::new();
    let (mut service, mut handle) = mock::spawn_layer(TimeoutLayer::new(IDLE, TOTAL).cut(cut.clone()));
    assert_ready_ok!(service.poll_ready());
    let reply = service.call(call());
    let _never = handle.next_request().await.unwrap();
    cut.cancel();
    let began = Instant::now();
    assert!(find::<Stopping>(&*reply.await.unwrap_err()).is_some());
    assert!(began.elapsed() <= Duration::from_millis(60), "{:?}", began.elapsed());
}

/// A reply in which there is always another of `what`.
fn endless(what: fn() -> Item) -> Reply {
    Reply::stream(stream::repeat_with(what))
}

#[tokio::test(start_paused = true)]
async fn the_total_ends_a_reply_in_which_there_is_always_more() {
    let question = || Ok(Ask::new(Method::ROOTS_LIST, Params::empty()).0.into());
    for what in [note, part, question] {
        let (mut service, mut handle) = limited(IDLE, TOTAL);
        assert_ready_ok!(service.poll_ready());
        let mut reply = task::spawn(service.call(call()));
        let (seen, respond) = handle.next_request().await.unwrap();
        respond.send_response(endless(what));
        let mut reply = assert_ready_ok!(reply.poll()).into_events();
        let mut timely = reply.by_ref().take(10_000);
        while let Some(event) = timely.next().now_or_never() {
            let Some(event) = event else { break };
            drop(event.expect("it is not late"));
        }
        advance(TOTAL).await;
        // Whoever reads on at one go leaves the runtime no turn in which a timer would ring.
        let mut late = reply.by_ref().take(1_000);
        let error = loop {
            match late.next().now_or_never().expect("there is always more").expect("it ends soon") {
                Ok(event) => drop(event),
                Err(error) => break error,
            }
        };
        assert_eq!(elapsed(&error), "no answer within 100000 ms");
        assert!(!seen.lapse.as_ref().unwrap().is_set(), "it was not silent");
        assert!(reply.next().await.is_none());
    }
}

/// Who reads slowly takes long for each of these, and asks for the next one long after the last.
#[tokio::test(start_paused = true)]
async fn the_total_ends_large_events_however_slowly_they_are_read() {
    let large = || Ok(Event::Part(vec![b'x'; 64 << 10].into()));
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    let (seen, respond) = handle.next_request().await.unwrap();
    respond.send_response(endless(large));
    let mut reply = assert_ready_ok!(reply.poll()).into_events();
    assert!(reply.next().await.unwrap().is_ok());
    advance(TOTAL).await;
    assert_eq!(elapsed(&reply.next().await.unwrap().unwrap_err()), "no answer within 100000 ms");
    assert!(seen.lapse.as_ref().is_some_and(|lapse| lapse.is_over() && !lapse.is_set()), "it was not silent");
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_a_reply_in_which_there_is_always_more() {
    let cut = CancellationToken::new();
    let (mut service, mut handle) = mock::spawn_layer(TimeoutLayer::new(IDLE, TOTAL).cut(cut.clone()));
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    handle.next_request().await.unwrap().1.send_response(endless(note));
    let mut events = assert_ready_ok!(reply.poll()).into_events();
    assert!(events.next().await.unwrap().is_ok());
    cut.cancel();
    let ends = events.take(1_000).collect::<Vec<_>>().await;
    let error = ends.into_iter().find_map(Result::err).expect("it ends soon");
    assert!(find::<Stopping>(&*error).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_behind_many_events_counts_though_it_is_late() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    let (_, respond) = handle.next_request().await.unwrap();
    let (events, streamed) = streaming();
    (0..63).for_each(|_| events.send(note()).unwrap());
    events.send(done()).unwrap();
    respond.send_response(streamed);
    advance(TOTAL * 2).await;
    let ends = assert_ready_ok!(reply.poll()).into_events().collect::<Vec<_>>().await;
    assert!(matches!(ends.last(), Some(Ok(Event::Done(_)))), "{:?}", ends.last());
}

/// A stream that says nothing, and uses up its task's turn each time that it is asked.
fn busy(guard: Arc<()>) -> Reply {
    Reply::stream(stream::poll_fn(move |cx| {
        let _held = &guard;
        while coop::has_budget_remaining() {
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_call_whose_reading_uses_up_each_turn_of_its_task() {
    let (mut service, mut handle) = limited(IDLE, TOTAL);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    let (_, respond) = handle.next_request().await.unwrap();
    let guard = Arc::new(());
    respond.send_response(busy(guard.clone()));
    let mut reply = assert_ready_ok!(reply.poll()).into_events();
    let reading = tokio::spawn(async move { reply.next().await });
    for _ in 0..4 {
        advance(IDLE / 3).await;
    }
    assert!(reading.is_finished());
    assert_eq!(elapsed(&reading.await.unwrap().unwrap().unwrap_err()), "no answer within 30000 ms");
    assert_eq!(Arc::strong_count(&guard), 1, "the inner reply is dropped: that cancels the call");
}
