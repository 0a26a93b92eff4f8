use super::MAX_NOTES;
use crate::{
    Method, Revision,
    reply::{Event, Outcome},
    upstream::{
        Hop,
        hop::MISSED,
        mux::tests::{connected, deliver, outgoing, sent},
    },
};
use futures_util::{FutureExt, StreamExt};

#[test]
fn a_listener_that_reads_too_little_is_told_that_it_missed_something() {
    let mux = connected();
    let mut listener = mux.listen(&Hop::new(Some(Revision::V2025_11_25), 1)).unwrap().into_events();
    let mut subscription = sent(&mux, Method::LISTEN, "{}");
    let updated = |uri: usize, meta: &str| {
        let params = format!(r#"{{"uri":"r://{uri}"{meta}}}"#);
        deliver(&mux, format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{params}}}"#));
    };
    for uri in 0..MAX_NOTES {
        updated(uri, "");
        updated(0, "");
        updated(uri, r#","_meta":{"io.modelcontextprotocol/subscriptionId":2}"#);
    }
    assert_eq!(mux.dropped(), 0, "what is said already is one");
    updated(MAX_NOTES, "");
    updated(0, "");
    let missed: Vec<_> = std::iter::from_fn(|| match listener.next().now_or_never() {
        Some(Some(Ok(Event::Note(note)))) => Some((note.method, note.params.uri().is_some())),
        _ => None,
    })
    .collect();
    assert_eq!(missed, MISSED.map(|method| (method, false)), "in place of what waited");

    assert_eq!(outgoing(&mux), None);
    updated(MAX_NOTES, r#","_meta":{"io.modelcontextprotocol/subscriptionId":2}"#);
    let events = (&mut subscription).now_or_never().unwrap().unwrap().into_events();
    let events: Vec<_> = events.map(Result::unwrap).collect().now_or_never().expect("it is over");
    assert!(matches!(events.last(), Some(Event::Done(Outcome::Result(_)))), "and asked for anew");
    assert!(outgoing(&mux).unwrap().contains(r#""requestId":2"#));
}
