use super::*;
use crate::{
    Call, Revision,
    json::{Json, Params},
    reply::{Event, Outcome},
    upstream::error::Protocol,
};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

pub(super) fn outbound(mux: &Mux, method: Method, params: &'static str) -> Outbound {
    let hop = Hop::new(Some(Revision::V2025_11_25), mux.epoch());
    let params = Params::parse(Json::from_static(params)).unwrap();
    Outbound { call: Call::new(method, params), hop: Arc::new(hop) }
}

/// A call that was opened and sent.
pub(super) fn sent(mux: &Mux, method: Method, params: &'static str) -> Ticket {
    let (_, ticket) = mux.open(&outbound(mux, method, params)).unwrap();
    assert!(mux.begin(ticket.id()));
    ticket
}

pub(super) fn connected() -> Mux {
    let mux = Mux::new();
    mux.connect();
    mux
}

pub(super) fn deliver(mux: &Mux, text: String) {
    mux.deliver(text.into()).unwrap();
}

pub(super) fn outgoing(mux: &Mux) -> Option<String> {
    let frame = mux.outgoing().now_or_never()?;
    Some(String::from_utf8(frame.to_vec()).unwrap())
}

fn single(ticket: Ticket) -> Outcome {
    ticket.now_or_never().expect("resolved").unwrap().into_single().expect("a single reply")
}

pub(super) fn progress(token: u64, value: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{value}}}}}"#
    )
}

#[test]
fn the_frame_carries_the_minted_id_and_token_and_the_note_the_own_one() {
    let mux = connected();
    let params = r#"{"_meta":{"progressToken":"mine","k":1},"name":"t"}"#;
    let (frame, mut ticket) = mux.open(&outbound(&mux, Method::TOOLS_CALL, params)).unwrap();
    let expected =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":1,"k":1},"name":"t"}}"#;
    assert_eq!(frame, expected);
    assert!(mux.begin(1));
    assert!((&mut ticket).now_or_never().is_none());
    deliver(&mux, progress(1, 5));
    deliver(&mux, r#"{"jsonrpc":"2.0","result":{"ok":true},"id":"1"}"#.into());
    let mut events = ticket.now_or_never().unwrap().unwrap().into_single().unwrap_err();
    let Some(Some(Ok(Event::Note(note)))) = events.next().now_or_never() else { panic!("a note first") };
    assert_eq!(note.params.as_str(), r#"{"progressToken":"mine","progress":5}"#);
    assert!(matches!(events.next().now_or_never(), Some(Some(Ok(Event::Done(Outcome::Result(_)))))));
    assert!(matches!(events.next().now_or_never(), Some(None)));
    drop(events);
    assert_eq!((mux.in_flight(), outgoing(&mux)), (0, None));
}

#[test]
fn a_response_alone_is_a_single_reply_and_late_messages_are_ignored() {
    let mux = connected();
    let ticket = sent(&mux, Method::PING, "{}");
    deliver(&mux, progress(1, 1));
    deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#.into());
    deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into());
    assert_eq!(single(ticket).error_code(), Some(-1));
    deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into());
    deliver(&mux, r#"{"jsonrpc":"2.0","id":99,"result":{}}"#.into());
    assert_eq!(mux.in_flight(), 0);
}

#[test]
fn dropping_a_sent_call_cancels_it_and_dropping_any_other_does_not() {
    let mux = connected();
    drop(mux.open(&outbound(&mux, Method::PING, "{}")).unwrap());
    assert_eq!(outgoing(&mux), None, "never sent");
    drop(sent(&mux, Method::INITIALIZE, "{}"));
    assert_eq!(outgoing(&mux), None, "initialize must not be cancelled");
    sent(&mux, Method::PING, "{}").abandon();
    assert_eq!(outgoing(&mux), None, "abandoned");
    let answered = sent(&mux, Method::PING, "{}");
    deliver(&mux, format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, answered.id()));
    drop(answered);
    assert_eq!(outgoing(&mux), None, "answered");
    drop(sent(&mux, Method::PING, "{}"));
    let cancelled = outgoing(&mux).unwrap();
    assert!(cancelled.contains("notifications/cancelled") && cancelled.contains(r#""requestId":5"#), "{cancelled}");

    let ticket = sent(&mux, Method::TOOLS_CALL, r#"{"_meta":{"progressToken":0}}"#);
    deliver(&mux, progress(6, 1));
    let reply = ticket.now_or_never().unwrap().unwrap();
    assert_eq!(outgoing(&mux), None, "the reply has taken it over");
    drop(reply);
    assert!(outgoing(&mux).unwrap().contains(r#""requestId":6"#));
    assert_eq!(mux.in_flight(), 0);
}

#[test]
fn a_call_that_ends_wakes_the_writer_only_where_there_is_something_to_say() {
    let mux = connected();
    let (answered, given_up) = (sent(&mux, Method::PING, "{}"), sent(&mux, Method::PING, "{}"));
    let mut writer = tokio_test::task::spawn(mux.outgoing());
    assert!(writer.poll().is_pending());
    deliver(&mux, format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, answered.id()));
    drop(answered);
    assert!(!writer.is_woken(), "an answer needs no word");
    drop(given_up);
    assert!(writer.is_woken(), "the cancellation");
}

#[test]
fn the_end_of_a_connection_fails_each_call_and_says_whether_it_was_sent() {
    let mux = connected();
    let (_, unsent) = mux.open(&outbound(&mux, Method::PING, "{}")).unwrap();
    let (id, begun) = (unsent.id(), sent(&mux, Method::PING, "{}"));
    let old = outbound(&mux, Method::PING, "{}");
    mux.fail_all();
    for (ticket, sent) in [(unsent, false), (begun, true)] {
        let error = ticket.now_or_never().unwrap().unwrap_err();
        assert_eq!(error.downcast_ref::<Closed>().unwrap().sent, sent);
    }
    assert!(!mux.begin(id), "a failed call must not be written on the next connection");
    assert!(mux.open(&outbound(&mux, Method::PING, "{}")).unwrap_err().is::<Replaced>(), "no connection");
    assert_eq!(mux.connect(), 2);
    assert!(mux.open(&old).unwrap_err().is::<Replaced>());
    assert!(mux.notification(&old).is_err() && mux.listen(&old.hop).is_err());
    let (frame, _ticket) = mux.open(&outbound(&mux, Method::PING, "{}")).unwrap();
    assert!(frame.starts_with(br#"{"jsonrpc":"2.0","id":3,"#), "ids are never used again");
}

#[test]
fn a_server_is_answered_a_ping_and_refused_anything_else() {
    let mux = connected();
    deliver(&mux, r#"{"jsonrpc":"2.0","id":"s1","method":"ping"}"#.into());
    deliver(&mux, r#"[{"jsonrpc":"2.0","id":7,"method":"roots/list"}]"#.into());
    assert_eq!(outgoing(&mux).unwrap(), r#"{"jsonrpc":"2.0","id":"s1","result":{}}"#);
    let refusal = outgoing(&mux).unwrap();
    assert!(refusal.starts_with(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"#), "nobody to ask: {refusal}");
    deliver(&mux, r#"{"jsonrpc":"2.0","id":8,"method":"tasks/list"}"#.into());
    let refusal = outgoing(&mux).unwrap();
    assert!(refusal.starts_with(r#"{"jsonrpc":"2.0","id":8,"error":{"code":-32601,"#), "{refusal}");
    for _ in 0..2 * MAX_OUTGOING {
        deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.into());
    }
    assert_eq!(mux.dropped(), MAX_OUTGOING as u64, "a flood of pings is bounded");
}

#[test]
fn listeners_get_what_belongs_to_no_call_and_a_subscription_what_bears_its_id() {
    let mux = connected();
    let hop = Hop::new(Some(Revision::V2025_11_25), 1);
    let mut listener = mux.listen(&hop).unwrap().into_events();
    let subscription = sent(&mux, Method::LISTEN, "{}");
    let changed =
        |meta: &str| format!(r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{{meta}}}}}"#);
    deliver(&mux, changed(""));
    deliver(&mux, changed(""));
    deliver(&mux, changed(r#""_meta":{"io.modelcontextprotocol/subscriptionId":"2"}"#));
    deliver(&mux, changed(r#""_meta":{"io.modelcontextprotocol/subscriptionId":77}"#));
    assert!(matches!(listener.next().now_or_never(), Some(Some(Ok(Event::Note(_))))));
    assert!(listener.next().now_or_never().is_none(), "unread changes of one kind are one");
    let mut events = subscription.now_or_never().unwrap().unwrap().into_events();
    assert!(matches!(events.next().now_or_never(), Some(Some(Ok(Event::Note(_))))));
    assert!(events.next().now_or_never().is_none());
    deliver(&mux, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#.into());
    assert!(matches!(events.next().now_or_never(), Some(Some(Ok(Event::Done(_))))), "the server ended it");
    mux.fail_all();
    assert!(matches!(listener.next().now_or_never(), Some(Some(Err(_)))));
    drop(listener);
    assert_eq!(mux.connect(), 2);
    let hop = Hop::new(Some(Revision::V2025_11_25), 2);
    let all: Vec<_> = (0..MAX_LISTENERS).map(|_| mux.listen(&hop).unwrap()).collect();
    assert!(mux.listen(&hop).unwrap_err().is::<Overloaded>());
    drop(all);
    assert!(mux.listen(&hop).is_ok());
}

#[test]
fn a_slow_reader_loses_progress_but_never_the_outcome() {
    let mux = connected();
    let ticket = sent(&mux, Method::TOOLS_CALL, r#"{"_meta":{"progressToken":0}}"#);
    for value in 0..10 * MAX_NOTES as u64 {
        deliver(&mux, progress(1, value));
    }
    deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into());
    let events = ticket.now_or_never().unwrap().unwrap().into_events();
    let events: Vec<_> = events.map(Result::unwrap).collect().now_or_never().unwrap();
    assert_eq!(events.len(), MAX_NOTES + 1);
    let values = events.iter().filter_map(|event| match event {
        Event::Note(note) => note.params.member("progress")?.read::<u64>().ok(),
        _ => None,
    });
    let values: Vec<_> = values.collect();
    assert!(values.is_sorted() && values.last() == Some(&(10 * MAX_NOTES as u64 - 1)), "{values:?}");
    assert!(matches!(events.last(), Some(Event::Done(_))));
}

#[test]
fn unread_notes_are_bounded_in_bytes_too() {
    let mux = connected();
    let mut listener = mux.listen(&Hop::new(Some(Revision::V2025_11_25), 1)).unwrap().into_events();
    let text = "x".repeat(MAX_NOTE_BYTES / 4);
    let updated = |uri: usize| {
        let params = format!(r#"{{"uri":"r://{uri}","data":"{text}"}}"#);
        deliver(&mux, format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{params}}}"#));
    };
    (0..3).for_each(updated);
    assert_eq!(mux.dropped(), 0);
    (3..20).for_each(updated);
    assert_eq!(mux.dropped(), 1, "after which all are said to be missed");
    let mut read = 0;
    while let Some(Some(Ok(Event::Note(note)))) = listener.next().now_or_never() {
        assert!(note.params.as_bytes().len() < MAX_NOTE_BYTES / 4);
        read += 1;
    }
    assert_eq!(read, 4);
}

#[test]
fn an_unread_note_keeps_no_more_of_its_message_than_it_counts() {
    let fill = "x".repeat(MAX_NOTE_BYTES);
    let note = |params: &str, beside: &str| {
        let method = "notifications/resources/updated";
        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"uri":"{params}"}},"beside":"{beside}"}}"#)
    };
    for (message, is_kept) in [
        (note("a", &fill), false),
        (format!("[{},{}]", note("a", ""), note("a", &fill)), false),
        (note(&fill, ""), true),
        (note("a", "b"), true),
    ] {
        let mux = connected();
        let mut listener = mux.listen(&Hop::new(Some(Revision::V2025_11_25), 1)).unwrap().into_events();
        let message = Bytes::from(message);
        mux.deliver(message.clone()).unwrap();
        assert_ne!(message.is_unique(), is_kept, "what is mostly parameters is not copied");
        let Some(Some(Ok(Event::Note(note)))) = listener.next().now_or_never() else { panic!("a note") };
        assert!(note.params.uri().is_some_and(|uri| uri == "a" || uri == fill));
    }
}

#[test]
fn a_faulty_answer_fails_its_call_and_an_error_without_id_the_only_call() {
    let mux = connected();
    let (first, second) = (sent(&mux, Method::PING, "{}"), sent(&mux, Method::PING, "{}"));
    assert!(mux.deliver(r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#.into()).is_err());
    assert!(first.now_or_never().unwrap().unwrap_err().is::<Protocol>());
    for text in ["", "{", "[", "[1]", "null", "banner", "{\"level\":\"info\"}"] {
        assert!(mux.deliver(text.into()).is_err(), "{text}");
    }
    deliver(&mux, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#.into());
    assert_eq!(single(second).error_code(), Some(-32700));
}

#[test]
fn what_can_be_meant_for_nobody_else_fails_the_only_call() {
    let stray = [
        r#"{"jsonrpc":"2.0","id":999,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"x","result":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","#,
    ];
    for text in stray {
        let mux = connected();
        let only = sent(&mux, Method::PING, "{}");
        let _ = mux.deliver(text.into());
        assert!(only.now_or_never().unwrap().unwrap_err().is::<Protocol>(), "{text}");

        let mux = connected();
        let mut several = [sent(&mux, Method::PING, "{}"), sent(&mux, Method::PING, "{}")];
        let _ = mux.deliver(text.into());
        assert!(several.iter_mut().all(|call| call.now_or_never().is_none()), "{text}: nobody knows whose it is");
        let [first, second] = several;
        deliver(&mux, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.into());
        assert!(single(second).result().is_some(), "{text}");
        assert!(first.now_or_never().unwrap().unwrap_err().is::<Protocol>(), "{text}: no other is left");
    }
}

#[test]
fn what_programs_print_beside_messages_fails_nobody_and_what_breaks_off_as_an_answer_does() {
    let mux = connected();
    let mut call = sent(&mux, Method::PING, "{}");
    for text in [
        r#"{"level":"info","msg":"listening"}"#,
        r#"{"error":"cannot reach the database"}"#,
        r#"{"result":[]}"#,
        "{ name: 'x', id: 1 }",
        "{'id': 1}",
        r#"{"level":"info","#,
        "{",
        "}",
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"roots/list","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"roots/list","par"#,
    ] {
        assert!(mux.deliver(text.into()).is_err(), "{text}");
        assert!((&mut call).now_or_never().is_none(), "{text}");
    }
    drop(call);
    for text in [r#"{"result":{"content":[{"#, r#" { "error" : {"code""#, r#"{"id" "#] {
        let call = sent(&mux, Method::PING, "{}");
        assert!(mux.deliver(text.into()).is_err(), "{text}");
        assert!(call.now_or_never().unwrap().unwrap_err().is::<Protocol>(), "{text}");
    }
}

#[test]
fn where_nothing_but_messages_is_said_whatever_is_none_fails_the_only_call() {
    for text in ["", "{", "[", "[1]", "null", "banner", "{\"level\":\"info\"}"] {
        let mux = Mux::new().pure();
        mux.connect();
        let only = sent(&mux, Method::PING, "{}");
        assert!(mux.deliver(text.into()).is_err(), "{text}");
        assert!(only.now_or_never().unwrap().unwrap_err().is::<Protocol>(), "{text}");
    }
}

#[test]
fn the_late_answer_of_a_call_that_is_over_fails_nobody() {
    let mux = connected();
    drop(sent(&mux, Method::PING, "{}"));
    let mut other = sent(&mux, Method::PING, "{}");
    deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into());
    assert!((&mut other).now_or_never().is_none());
}

#[test]
fn slots_are_bounded() {
    let mux = connected();
    let call = outbound(&mux, Method::PING, "{}");
    let all: Vec<_> = (0..MAX_SLOTS).map(|_| mux.open(&call).unwrap()).collect();
    assert!(mux.open(&call).unwrap_err().is::<Overloaded>());
    drop(all);
    assert!(mux.open(&call).is_ok());
}

/// What happens to calls in an arbitrary order.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Note(usize),
    Answer(usize),
    Drop(usize),
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Open),
        6 => (0usize..32).prop_map(Step::Note),
        3 => (0usize..32).prop_map(Step::Answer),
        2 => (0usize..32).prop_map(Step::Drop),
        1 => Just(Step::Reconnect),
    ]
}

proptest! {
    /// Each call reads exactly its own messages, in order, and the slots of finished calls are free.
    #[test]
    fn no_message_crosses_from_one_call_to_another(steps in prop::collection::vec(step(), 1..MAX_NOTES)) {
        let mux = connected();
        let mut open: Vec<(u64, Ticket, Vec<String>)> = Vec::new();
        let mut sequence = 0u64;
        for step in steps {
            match step {
                Step::Open => {
                    let ticket = sent(&mux, Method::TOOLS_CALL, r#"{"_meta":{"progressToken":"own"}}"#);
                    open.push((ticket.id(), ticket, Vec::new()));
                }
                Step::Note(at) if !open.is_empty() => {
                    let at = at % open.len();
                    sequence += 1;
                    deliver(&mux, progress(open[at].0, sequence));
                    open[at].2.push(format!(r#"{{"progressToken":"own","progress":{sequence}}}"#));
                }
                Step::Answer(at) if !open.is_empty() => {
                    let (id, ticket, mut expected) = open.swap_remove(at % open.len());
                    deliver(&mux, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"for":{id}}}}}"#));
                    expected.push(format!(r#"{{"for":{id}}}"#));
                    prop_assert_eq!(read_all(ticket), expected);
                }
                Step::Drop(at) if !open.is_empty() => {
                    let (id, ticket, _) = open.swap_remove(at % open.len());
                    drop(ticket);
                    let cancelled = outgoing(&mux).unwrap();
                    let named = cancelled.contains(&format!("\"requestId\":{id},"));
                    prop_assert!(named, "{}", cancelled);
                    deliver(&mux, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
                }
                Step::Reconnect => {
                    mux.connect();
                    for (_, ticket, mut expected) in open.drain(..) {
                        expected.push("the server went away during the call".into());
                        prop_assert_eq!(read_all(ticket), expected);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(mux.in_flight(), open.len());
        }
    }
}

fn read_all(ticket: Ticket) -> Vec<String> {
    let reply = match ticket.now_or_never().expect("resolved") {
        Ok(reply) => reply,
        Err(error) => return vec![error.to_string()],
    };
    let texts = reply.into_events().map(|event| match event {
        Ok(Event::Note(note)) => note.params.as_str().to_owned(),
        Ok(Event::Done(Outcome::Result(result))) => result.to_string(),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    });
    texts.collect().now_or_never().expect("complete")
}
