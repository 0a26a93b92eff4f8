use super::{
    super::{Ear, Line, MAX_HEARD_BYTES},
    *,
};
use crate::{
    Call,
    json::Json,
    registry::Server,
    upstream::{OfClient, http::Http},
};
use std::task::{Context, Poll, Waker};

fn reader() -> (Reader, Ear) {
    let url = "http://127.0.0.1:1/mcp";
    let server = Server::http("files-1", "files", url).unwrap();
    let Http(endpoint) = Http::new(&server, &url.parse().unwrap(), &Default::default());
    let (line, hop) = (Line::default(), Hop::new(None, 1));
    let call = Call::new(Method::TOOLS_CALL, Params::empty());
    let ear = line.join(&endpoint, &hop, 7, (&call, OfClient::default()));
    (Reader::new(endpoint, &hop, line.shared.clone()), ear)
}

fn message(method: Method, params: String) -> Message {
    Message::Notification { method, params: Params::parse(Json::parse(params).unwrap()).unwrap() }
}

#[tokio::test]
async fn what_a_call_has_not_read_is_bounded_in_bytes_too() {
    let (mut reader, mut ear) = reader();
    let mut says = |size: usize| {
        let fill = "x".repeat(size);
        reader.take(message(Method::PROGRESS, format!(r#"{{"progressToken":7,"progress":1,"message":"{fill}"}}"#)));
    };
    let mut read = || {
        let mut cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match ear.poll_hear(&mut cx) {
            Poll::Ready(Heard::Note(note)) => Some(note.params.as_bytes().len()),
            _ => None,
        })
        .count()
    };
    for _ in 0..2 {
        (0..4).for_each(|_| says(MAX_HEARD_BYTES / 3));
        assert_eq!(read(), 2, "what is read makes room");
    }
    [2 * MAX_HEARD_BYTES, 0].into_iter().for_each(says);
    assert_eq!(read(), 1, "one that nothing stands before");
}

#[tokio::test]
async fn a_question_is_taken_back_whatever_is_unread() {
    let (mut reader, mut ear) = reader();
    let fill = "x".repeat(2 * MAX_HEARD_BYTES);
    reader.take(message(Method::PROGRESS, format!(r#"{{"progressToken":7,"progress":1,"message":"{fill}"}}"#)));
    reader.take(message(Method::CANCELLED, r#"{"requestId":1}"#.into()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(ear.poll_hear(&mut cx), Poll::Ready(Heard::Note(_))));
    assert!(matches!(ear.poll_hear(&mut cx), Poll::Ready(Heard::Withdrawn(_))));
}

#[tokio::test]
async fn a_question_that_has_no_room_behind_what_is_unread_is_not_offered() {
    let (reader, mut ear) = reader();
    let message = format!(r#"{{"message":"{}"}}"#, "x".repeat(MAX_HEARD_BYTES / 2));
    let question = Params::parse(Json::parse(message).unwrap()).unwrap();
    let asks = |id: u64| offer(&reader.shared.lock(), &Id::from(id), &Method::ELICIT, &question);
    assert_eq!((asks(1), asks(2)), (true, false));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(ear.poll_hear(&mut cx), Poll::Ready(Heard::Ask(..))));
    assert!(asks(3));
}

#[tokio::test]
async fn a_long_note_outside_of_calls_says_no_more_than_that_something_changed() {
    let (mut reader, _ear) = reader();
    let mut notes = reader.endpoint.notes.subscribe();
    let uri = format!(r#"{{"uri":"{}"}}"#, "x".repeat(MAX_PARAMS));
    reader.take(message(Method::RESOURCES_UPDATED, uri.clone()));
    let (_, note) = notes.try_recv().unwrap();
    assert_eq!((note.method, note.params.uri()), (Method::RESOURCES_UPDATED, None));
    reader.take(message(Method::new("notifications/other"), uri));
    assert!(notes.try_recv().is_err());
    reader.take(message(Method::RESOURCES_UPDATED, r#"{"uri":"r://1"}"#.into()));
    assert_eq!(notes.try_recv().unwrap().1.params.uri().as_deref(), Some("r://1"));
}
