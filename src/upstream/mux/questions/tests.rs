use crate::upstream::quiet::{NOTICED, QUIET};
use crate::{
    Method, Revision, Session,
    json::Json,
    reply::{Ask, Event, Events},
    upstream::{
        OfClient,
        ask::MAX_ASKS,
        mux::{
            Mux, Ticket,
            tests::{connected, deliver, outbound, outgoing},
        },
    },
};
use futures_util::{FutureExt, StreamExt};
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

/// A client's call that was opened and sent.
fn of_client(mux: &Mux) -> Ticket {
    of(mux, None)
}

/// A call of the client with this session.
fn of(mux: &Mux, session: Option<&Arc<Session>>) -> Ticket {
    let mut outbound = outbound(mux, Method::TOOLS_CALL, "{}");
    outbound.call.extensions.insert(OfClient::default());
    outbound.call.session = session.cloned();
    let (_, ticket) = mux.open(&outbound).unwrap();
    assert!(mux.begin(ticket.id()));
    ticket
}

fn session(id: &str) -> Arc<Session> {
    Session::new(id, Revision::V2025_11_25, Json::from_static("{}"), Json::from_static("{}")).into()
}

fn pong(mux: &Mux, ping: &str) {
    let id = &serde_json::from_str::<serde_json::Value>(ping).unwrap()["id"];
    deliver(mux, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
}

fn asks(mux: &Mux, id: &str) {
    deliver(mux, format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"m"}}}}"#));
}

fn events(ticket: Ticket) -> Events {
    ticket.now_or_never().expect("something came").unwrap().into_events()
}

#[test]
fn a_call_whose_question_was_refused_is_woken_by_its_answer() {
    let mux = connected();
    let ticket = of_client(&mux);
    asks(&mux, "7");
    let mut events = tokio_test::task::spawn(events(ticket));
    let Poll::Ready(Some(Ok(Event::Ask(_open)))) = events.poll_next() else { panic!("no question") };
    assert!(events.poll_next().is_pending());
    asks(&mux, "7");
    assert!(!events.is_woken());
    assert!(outgoing(&mux).unwrap().contains("-32603"));
    deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into());
    assert!(events.is_woken());
}

fn asked(events: &mut Events) -> Ask {
    match events.next().now_or_never() {
        Some(Some(Ok(Event::Ask(ask)))) => *ask,
        other => panic!("no question: {other:?}"),
    }
}

fn code(frame: &str) -> i64 {
    serde_json::from_str::<serde_json::Value>(frame).unwrap()["error"]["code"].as_i64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_question_goes_to_the_only_call_and_its_answer_back_under_the_servers_id() {
    let mux = connected();
    let control = mux.open(&outbound(&mux, Method::TOOLS_LIST, "{}")).unwrap().1;
    assert!(mux.begin(control.id()), "the gateway's own call is nobody's to ask");
    let ticket = of_client(&mux);
    for id in ["\"a\\u0041\"", "-7", "18446744073709551617"] {
        asks(&mux, id);
    }
    let mut events = events(ticket);
    let (first, second, third) = (asked(&mut events), asked(&mut events), asked(&mut events));
    assert_eq!((first.method.as_str(), first.params.as_str()), ("elicitation/create", r#"{"message":"m"}"#));
    third.answer(Err(Json::from_static(r#"{"code":-1,"message":"no"}"#)));
    first.answer(Ok(Json::from_static(r#"{"action":"accept"}"#)));
    assert!(events.next().now_or_never().is_none());
    let mut frames = [outgoing(&mux).unwrap(), outgoing(&mux).unwrap()];
    frames.sort();
    assert_eq!(frames[0], r#"{"jsonrpc":"2.0","id":"a\u0041","result":{"action":"accept"}}"#);
    assert_eq!(frames[1], r#"{"jsonrpc":"2.0","id":18446744073709551617,"error":{"code":-1,"message":"no"}}"#);
    drop(second);
    assert!(events.next().now_or_never().is_none());
    assert_eq!(code(&outgoing(&mux).unwrap()), -32603, "nobody answers");
    deliver(&mux, format!(r#"{{"jsonrpc":"2.0","result":{{}},"id":{}}}"#, 2));
    assert!(matches!(events.next().now_or_never(), Some(Some(Ok(Event::Done(_))))));
    drop(events);
    assert_eq!(outgoing(&mux), None);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_may_be_of_either_call_is_refused() {
    let mux = connected();
    let (a, b) = (of_client(&mux), of_client(&mux));
    asks(&mux, "1");
    assert_eq!(code(&outgoing(&mux).unwrap()), -32603);
    deliver(&mux, r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#.into());
    deliver(&mux, r#"{"jsonrpc":"2.0","result":{},"id":1}"#.into());
    assert!(a.now_or_never().unwrap().unwrap().as_single().is_some(), "nor is a log message anybody's");
    asks(&mux, "2");
    assert_eq!(asked(&mut events(b)).method, Method::ELICIT);
}

#[test]
fn that_questions_are_refused_is_told_once_a_connection_and_holds_up_nobody() {
    let (mux, told) = (connected(), Arc::<AtomicUsize>::default());
    let (looked_at, count) = (mux.clone(), told.clone());
    let writer = move || {
        assert!(looked_at.shared.state.try_lock().is_ok(), "every call needs the lock");
        count.fetch_add(1, Relaxed);
        std::io::sink()
    };
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(writer).finish();
    tracing::subscriber::with_default(subscriber, || {
        for connection in 1..=2 {
            (0..3).for_each(|_| asks(&mux, "1"));
            assert_eq!(told.load(Relaxed), connection);
            mux.connect();
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_may_still_ask_and_nobody_else_is_shown_that() {
    let (one, other) = (session("one"), session("other"));
    for (cancelled, next) in [(Some(&one), Some(&other)), (Some(&one), None), (None, Some(&one))] {
        for (answered, pause) in [(false, QUIET), (true, NOTICED)] {
            let mux = connected();
            drop(of(&mux, cancelled));
            assert!(outgoing(&mux).unwrap().contains("notifications/cancelled"));
            let ping = outgoing(&mux).unwrap();
            if answered {
                pong(&mux, &ping);
            }
            let next = of(&mux, next);
            tokio::time::advance(pause - Duration::from_millis(1)).await;
            asks(&mux, "1");
            assert_eq!(code(&outgoing(&mux).unwrap()), -32603);
            tokio::time::advance(Duration::from_millis(1)).await;
            asks(&mux, "2");
            assert_eq!(asked(&mut events(next)).method, Method::ELICIT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_cancelled_a_call_may_be_asked_at_once_for_the_next() {
    let (mux, one) = (connected(), session("one"));
    drop(of(&mux, Some(&one)));
    let next = of(&mux, Some(&one));
    asks(&mux, "1");
    assert_eq!(asked(&mut events(next)).method, Method::ELICIT);
    // After another client has cancelled as well, the question may be that one's.
    let mux = connected();
    drop(of(&mux, Some(&session("other"))));
    drop(of(&mux, Some(&one)));
    let _next = of(&mux, Some(&one));
    let frames = [(); 4].map(|()| outgoing(&mux).unwrap());
    assert!(frames[0].contains("cancelled") && frames[1].contains("ping") && frames[2].contains("cancelled"));
    asks(&mux, "1");
    assert_eq!(code(&outgoing(&mux).unwrap()), -32603);
}

#[tokio::test(start_paused = true)]
async fn where_clients_look_alike_nobody_is_asked_until_the_server_has_read_the_cancellation() {
    let mux = connected();
    drop(of_client(&mux));
    let [cancelled, ping] = [outgoing(&mux).unwrap(), outgoing(&mux).unwrap()];
    assert!(cancelled.contains("notifications/cancelled") && ping.contains("\"ping\""), "{ping}");
    let next = of_client(&mux);
    asks(&mux, "1");
    assert_eq!(code(&outgoing(&mux).unwrap()), -32603);
    pong(&mux, &ping);
    asks(&mux, "2");
    assert_eq!(asked(&mut events(next)).method, Method::ELICIT);
}

#[tokio::test(start_paused = true)]
async fn where_messages_overtake_each_other_no_answer_shows_that_a_cancellation_was_read() {
    let (one, other) = (session("one"), session("other"));
    for (cancelled, next) in [(Some(&one), Some(&other)), (Some(&one), None), (None, Some(&one)), (None, None)] {
        let mux = Mux::new().unordered();
        mux.connect();
        drop(of(&mux, cancelled));
        assert!(outgoing(&mux).unwrap().contains("notifications/cancelled"));
        assert_eq!(outgoing(&mux), None, "nothing is asked whose answer means nothing");
        pong(&mux, r#"{"id":2}"#);
        let answered = of(&mux, next);
        deliver(&mux, format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, answered.id()));
        drop(answered);
        let next = of(&mux, next);
        tokio::time::advance(QUIET - Duration::from_millis(1)).await;
        asks(&mux, "1");
        assert_eq!(code(&outgoing(&mux).unwrap()), -32603);
        tokio::time::advance(Duration::from_millis(1)).await;
        asks(&mux, "2");
        assert_eq!(asked(&mut events(next)).method, Method::ELICIT);
    }
    let mux = Mux::new().unordered();
    mux.connect();
    drop(of(&mux, Some(&one)));
    let next = of(&mux, Some(&one));
    asks(&mux, "1");
    assert_eq!(asked(&mut events(next)).method, Method::ELICIT, "it is that client's question in any case");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_refuses_what_is_open_unless_nobody_is_there_to_hear() {
    let mux = connected();
    let ticket = of_client(&mux);
    asks(&mux, "1");
    asks(&mux, "2");
    let mut reply = events(ticket);
    let held = asked(&mut reply);
    drop(reply);
    assert!(held.is_moot());
    assert_eq!([outgoing(&mux), outgoing(&mux)].map(|frame| code(&frame.unwrap())), [-32603; 2]);
    assert!(outgoing(&mux).unwrap().contains("notifications/cancelled"));
    assert!(outgoing(&mux).unwrap().contains("\"ping\""));

    tokio::time::advance(QUIET).await;
    let ticket = of_client(&mux);
    asks(&mux, "3");
    let reply = events(ticket);
    mux.connect();
    drop(reply);
    assert_eq!(outgoing(&mux), None, "an answer to the connection before");
}

#[tokio::test(start_paused = true)]
async fn a_server_takes_its_question_back() {
    let mux = connected();
    let ticket = of_client(&mux);
    asks(&mux, "\"q\"");
    let mut reply = events(ticket);
    let ask = asked(&mut reply);
    let taken = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}"#;
    deliver(&mux, taken.into());
    assert!(reply.next().now_or_never().is_none());
    assert!(ask.is_moot());
    ask.answer(Ok(Json::from_static("{}")));
    assert!(reply.next().now_or_never().is_none());
    assert_eq!(outgoing(&mux), None);
}

#[tokio::test(start_paused = true)]
async fn questions_are_bounded_and_an_id_is_open_once() {
    let mux = connected();
    let _ticket = of_client(&mux);
    for id in 0..=MAX_ASKS {
        asks(&mux, &id.to_string());
    }
    assert!(outgoing(&mux).unwrap().contains(&format!("\"id\":{MAX_ASKS},")));
    assert_eq!(outgoing(&mux), None);
    asks(&mux, "0");
    assert_eq!(code(&outgoing(&mux).unwrap()), -32603);
}

#[tokio::test(start_paused = true)]
async fn a_log_message_of_no_call_is_for_the_session_that_has_made_all() {
    const LOG: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
    let heard = |session: &Arc<Session>| poll_fn(|cx| session.poll_told(cx)).now_or_never().is_some();
    let (mux, one, other) = (connected(), session("one"), session("other"));
    let call = |session| {
        let ticket = of(&mux, session);
        deliver(&mux, format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, ticket.id()));
        drop(ticket);
    };
    deliver(&mux, LOG.into());
    call(Some(&one));
    assert!(!heard(&one), "nobody has called yet");
    deliver(&mux, LOG.into());
    assert!(heard(&one) && !heard(&one));
    call(Some(&other));
    deliver(&mux, LOG.into());
    assert!(!heard(&one) && !heard(&other), "it may be meant for either");
}

#[tokio::test(start_paused = true)]
async fn where_all_calls_are_of_one_client_the_oldest_is_asked() {
    let (mux, one) = (connected(), session("one"));
    let alone = || {
        let mut outbound = outbound(&mux, Method::TOOLS_CALL, "{}");
        outbound.call.extensions.insert(OfClient { alone: true, hears: true });
        outbound.call.session = Some(one.clone());
        let (_, ticket) = mux.open(&outbound).unwrap();
        assert!(mux.begin(ticket.id()));
        ticket
    };
    let (first, second) = (alone(), alone());
    asks(&mux, "1");
    assert!(second.now_or_never().is_none());
    assert_eq!(asked(&mut events(first)).method, Method::ELICIT);
}
