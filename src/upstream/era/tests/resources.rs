use super::mock::*;
use crate::{
    Method, Reply,
    json::Params,
    reply::{Event, Events, Note},
    upstream::era::Era,
};
use futures_util::{FutureExt, StreamExt, stream};
use std::time::Duration;
use tower::ServiceExt;

const TELLS: Answer =
    Answer::Result(r#"{"protocolVersion":"2025-06-18","capabilities":{"resources":{"subscribe":true}}}"#);

/// A server that tells about any resource but `u:no`, and has changed three already.
fn telling(greeting: impl Fn() -> Answer + Send + Sync + 'static) -> Mock {
    Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => greeting(),
        "subscriptions/listen" => {
            let notes = ["u:a", "u:b", "u:c/part"].map(|uri| {
                let params = Params::from_value(&serde_json::json!({"uri": uri})).unwrap();
                Ok(Event::from(Note::new(Method::RESOURCES_UPDATED, params)))
            });
            Answer::Reply(Reply::stream(stream::iter(notes).chain(stream::pending())))
        }
        "resources/subscribe" if outbound.call.params.uri().as_deref() == Some("u:no") => {
            Answer::Error(r#"{"code":-32602,"message":"no"}"#)
        }
        _ => Answer::Result("{}"),
    })
}

async fn listen(era: &Era<Mock>, uris: &[&str]) -> (String, Events) {
    let params = serde_json::json!({"notifications": {"resourceSubscriptions": uris}});
    let mut events = era.clone().oneshot(call(Method::LISTEN, &params.to_string())).await.unwrap().into_events();
    (told(&mut events).await, events)
}

async fn told(events: &mut Events) -> String {
    match events.next().await {
        Some(Ok(Event::Note(note))) => note.params.as_str().to_owned(),
        other => panic!("no note: {other:?}"),
    }
}

/// What the server was told about subscriptions so far, and forgets that.
fn heard(mock: &Mock) -> Vec<String> {
    let mut log = mock.log.lock().unwrap();
    let mut heard: Vec<_> = log
        .iter()
        .filter_map(|outbound| {
            let what = outbound.call.method.as_str().strip_prefix("resources/")?;
            Some(format!("{what} {}", outbound.call.params.uri()?))
        })
        .collect();
    log.clear();
    heard.sort();
    heard
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_its_resources_and_the_server_of_the_first_and_the_last() {
    let mock = telling(|| TELLS);
    let era = shared(&mock);
    let (acknowledged, mut one) = listen(&era, &["u:a", "u:no", "u:c", "u:a"]).await;
    assert_eq!(acknowledged, r#"{"notifications":{"resourceSubscriptions":["u:a","u:c"]}}"#);
    assert_eq!(heard(&mock), ["subscribe u:a", "subscribe u:c", "subscribe u:no"]);
    assert_eq!([told(&mut one).await, told(&mut one).await], [r#"{"uri":"u:a"}"#, r#"{"uri":"u:c/part"}"#]);
    assert!(one.next().now_or_never().is_none(), "nothing else");

    let (_, two) = listen(&era, &["u:a", "u:b"]).await;
    assert_eq!(heard(&mock), ["subscribe u:b"]);
    drop(one);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(heard(&mock), ["unsubscribe u:c"]);
    // A listener that takes another's place costs the server nothing.
    let (_, three) = listen(&era, &["u:a", "u:b"]).await;
    drop(two);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(heard(&mock).is_empty());
    drop(three);
    let (_, four) = listen(&era, &["u:a"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = heard(&mock);
    assert!(last.contains(&"unsubscribe u:b".into()), "{last:?}");
    let balance = last.iter().filter(|told| told.ends_with("u:a")).count();
    assert!(balance == 0 || balance == 2, "never left without: {last:?}");
    drop(four);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_tell_is_not_asked() {
    let mock = telling(|| GREETED);
    let (acknowledged, mut events) = listen(&shared(&mock), &["u:a"]).await;
    assert_eq!(acknowledged, r#"{"notifications":{}}"#);
    assert!(heard(&mock).is_empty());
    assert!(events.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_told_anew() {
    let mock = telling(|| TELLS);
    let era = child(&mock);
    let (_, one) = listen(&era, &["u:a"]).await;
    mock.epoch.store(2, std::sync::atomic::Ordering::SeqCst);
    heard(&mock);
    let (acknowledged, _two) = listen(&era, &["u:a"]).await;
    assert_eq!(acknowledged, r#"{"notifications":{"resourceSubscriptions":["u:a"]}}"#);
    assert_eq!(heard(&mock), ["subscribe u:a"]);
    drop(one);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(heard(&mock).is_empty(), "the connection before is gone");
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_before_a_listener_gave_up_is_given_back() {
    let mock = Mock::new(|outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => TELLS,
        "subscriptions/listen" => Answer::Reply(Reply::stream(stream::pending())),
        "resources/subscribe" if outbound.call.params.uri().as_deref() == Some("u:hangs") => Answer::Silence,
        _ => Answer::Result("{}"),
    });
    let era = shared(&mock);
    let opening = listen(&era, &["u:hangs", "u:a"]);
    tokio::time::timeout(Duration::from_secs(1), opening).await.map(drop).unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(heard(&mock), ["subscribe u:a", "subscribe u:hangs", "unsubscribe u:a", "unsubscribe u:hangs"]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_does_not_rely_on_one_that_gave_up() {
    let asked = std::sync::atomic::AtomicBool::new(false);
    let mock = Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => TELLS,
        "subscriptions/listen" => Answer::Reply(Reply::stream(stream::pending())),
        "resources/subscribe" if !asked.swap(true, std::sync::atomic::Ordering::SeqCst) => Answer::Silence,
        _ => Answer::Result("{}"),
    });
    let era = shared(&mock);
    let opening = tokio::time::timeout(Duration::from_secs(1), listen(&era, &["u:a"]));
    let (gone, (acknowledged, _events)) = tokio::join!(opening, listen(&era, &["u:a"]));
    assert!(gone.is_err());
    assert_eq!(acknowledged, r#"{"notifications":{"resourceSubscriptions":["u:a"]}}"#);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(heard(&mock), ["subscribe u:a", "subscribe u:a"]);
}
