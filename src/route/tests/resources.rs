use super::*;
use crate::{
    reply::{Event, Note},
    timeout::Lapse,
};
use futures_util::{StreamExt, stream};
use std::time::Duration;

fn listing(uris: &str, templates: &str) -> Listing {
    Listing::default().with(Kind::Resources, json(uris)).with(Kind::Templates, json(templates))
}

fn missing(code: i64) -> Outcome {
    Outcome::Error(json(&format!(r#"{{"code":{code},"message":"not found","data":{{"uri":"x"}}}}"#)))
}

fn found() -> Outcome {
    Outcome::Result(Json::from_static(r#"{"contents":[{"text":"b"}]}"#))
}

fn read(uri: &str) -> Call {
    call(Method::RESOURCES_READ, &format!(r#"{{"uri":"{uri}"}}"#))
}

const ANY_FILE: &str = r#"[{"uriTemplate":"file:///{path}"}]"#;

async fn answer(handle: &mut Handle<Call, Reply>, reply: Reply) {
    handle.allow(1);
    handle.next_request().await.unwrap().1.send_response(reply);
}

#[tokio::test]
async fn who_lists_the_uri_is_asked_before_whose_template_matches() {
    let (a, _at_a) = server("a", listing("[]", ANY_FILE));
    let (b, mut at_b) = server("b", listing(r#"[{"uri":"file:///b.txt"}]"#, "[]"));
    let route = route(&[a, b]);
    let (asked, reply) = exchange(&route, read("file:///b.txt"), &mut at_b, found()).await;
    assert_eq!(asked.providers.unwrap().endpoints()[0].as_str(), "b-1");
    assert!(reply.as_single().unwrap().result().is_some());
}

#[test]
fn involved_templates_of_one_server_take_no_time_from_the_others() {
    // Each would walk over the whole URI for each of its five hundred expressions.
    let involved = "{x}a".repeat(500);
    let hostile: Vec<_> = (0..3_000).map(|n| format!(r#"{{"uriTemplate":"{involved}{n}"}}"#)).collect();
    let (a, _at_a) = server("a", listing("[]", &format!(r#"[{},{{"uriTemplate":"{{all}}"}}]"#, hostile.join(","))));
    let (b, _at_b) = server("b", listing("[]", ANY_FILE));
    let table = Merge::new("test", "1").table(&[a, b], None);
    let asked = |uri: &str| table.resource(uri).iter().map(|target| target.server().to_string()).collect::<Vec<_>>();
    let path = "a".repeat(2_000);
    assert_eq!(asked(&format!("file:///{path}")), ["b"], "what comes last of a's is not reached");
    assert_eq!(table.template("{all}").unwrap().server().as_str(), "a");
    assert_eq!(asked("x"), Vec::<String>::new());
}

#[test]
fn a_thousand_usual_templates_of_one_server_all_match() {
    let usual: Vec<_> =
        (0..1_000).map(|n| format!(r#"{{"uriTemplate":"db://tables/t{n}/{{id}}{{?fields}}"}}"#)).collect();
    let (a, _at_a) = server("a", listing("[]", &format!("[{}]", usual.join(","))));
    let table = Merge::new("test", "1").table(&[a], None);
    for n in [0, 500, 999] {
        assert_eq!(table.resource(&format!("db://tables/t{n}/7?fields=name")).len(), 1, "{n}");
    }
}

#[tokio::test]
async fn a_read_that_is_not_found_goes_on_to_the_next_server() {
    for code in [-32002, -32602] {
        for streamed in [false, true] {
            let (a, mut at_a) = server("a", listing("[]", ANY_FILE));
            let (b, mut at_b) = server("b", listing("[]", ANY_FILE));
            let route = route(&[a, b]);
            let first = if streamed {
                Reply::stream(stream::iter([Ok(Event::Done(missing(code)))]))
            } else {
                missing(code).into()
            };
            let (reply, (), ()) = tokio::join!(
                route.oneshot(read("file:///a/b.txt")),
                answer(&mut at_a, first),
                answer(&mut at_b, found().into())
            );
            assert!(reply.unwrap().as_single().unwrap().result().is_some(), "{code} {streamed}");
        }
    }
}

#[tokio::test]
async fn what_one_server_is_allowed_is_not_for_the_next() {
    let (mut a, mut at_a) = server("a", listing("[]", ANY_FILE));
    let (b, mut at_b) = server("b", listing("[]", ANY_FILE));
    a.request_timeout = Some(Duration::from_secs(2));
    let (mut call, lapse) = (read("file:///a/b.txt"), Lapse::default());
    call.lapse = Some(lapse.clone());
    let seen = async |handle: &mut Handle<Call, Reply>, reply: Reply| {
        answer(handle, reply).await;
        lapse.silence()
    };
    let (_, first, second) = tokio::join!(
        route(&[a, b]).oneshot(call),
        seen(&mut at_a, missing(-32002).into()),
        seen(&mut at_b, found().into())
    );
    assert_eq!((first, second), (Some(Duration::from_secs(2)), None));
}

#[tokio::test]
async fn the_last_answer_stands() {
    let (a, mut at_a) = server("a", listing("[]", ANY_FILE));
    let (b, mut at_b) = server("b", listing("[]", ANY_FILE));
    let (reply, (), ()) = tokio::join!(
        route(&[a, b]).oneshot(read("file:///none")),
        answer(&mut at_a, missing(-32002).into()),
        answer(&mut at_b, missing(-32602).into())
    );
    assert_eq!(reply.unwrap().as_single().unwrap().error_code(), Some(-32602));
}

#[tokio::test]
async fn another_error_and_a_failure_end_the_search() {
    let two = || {
        let (a, at_a) = server("a", listing("[]", ANY_FILE));
        let (b, at_b) = server("b", listing("[]", ANY_FILE));
        (route(&[a, b]), at_a, at_b)
    };
    let (route, mut at_a, mut at_b) = two();
    let forbidden = Outcome::Error(json(r#"{"code":-32602,"message":"path is not allowed"}"#));
    let (_, reply) = exchange(&route, read("file:///a"), &mut at_a, forbidden).await;
    assert_eq!(reply.as_single().unwrap().error_code(), Some(-32602));
    tokio_test::assert_pending!(at_b.poll_request());

    let (route, mut at_a, mut at_b) = two();
    at_a.send_error("down");
    let error = route.clone().oneshot(read("file:///a")).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    tokio_test::assert_pending!(at_b.poll_request());
}

#[tokio::test]
async fn a_server_that_tells_something_first_is_believed_and_nothing_told_is_lost() {
    let (a, mut at_a) = server("a", listing("[]", ANY_FILE));
    let (b, _at_b) = server("b", listing("[]", ANY_FILE));
    let guard = Arc::new(());
    let note = || Ok(Event::from(Note::new(Method::PROGRESS, Params::empty())));
    let told = Reply::stream(stream::iter([note(), note(), Ok(Event::Done(missing(-32002)))])).hold(guard.clone());
    let (reply, ()) = tokio::join!(route(&[a, b]).oneshot(read("file:///a")), answer(&mut at_a, told));
    let mut events = reply.unwrap().into_events();
    assert_eq!(Arc::strong_count(&guard), 2, "the call is still in flight");
    assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))));
    assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))));
    assert!(matches!(events.next().await, Some(Ok(Event::Done(Outcome::Error(_))))));
    assert_eq!(Arc::strong_count(&guard), 1);
}

#[tokio::test]
async fn one_read_asks_each_server_once_and_not_too_many() {
    let both = || listing(r#"[{"uri":"file:///a"}]"#, r#"[{"uriTemplate":"file:///{p}"},{"uriTemplate":"{all}"}]"#);
    let (parts, _handles): (Vec<_>, Vec<_>) = (0..20).map(|n| server(&format!("s{n}"), both())).unzip();
    let tables = settled(&parts);
    let table = tables.load();
    let servers: Vec<_> = table.resource("file:///a").iter().map(|target| target.server().to_string()).collect();
    assert_eq!(servers, ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"]);
}

#[tokio::test]
async fn dropping_the_call_drops_it_at_the_server() {
    let (a, mut at_a) = server("a", listing("[]", ANY_FILE));
    let (b, _at_b) = server("b", listing("[]", ANY_FILE));
    let guard = Arc::new(());
    let reply = Reply::stream(stream::pending()).hold(guard.clone());
    let mut pending = tokio_test::task::spawn(route(&[a, b]).oneshot(read("file:///a")));
    at_a.allow(1);
    tokio_test::assert_pending!(pending.poll());
    at_a.next_request().await.unwrap().1.send_response(reply);
    tokio_test::assert_pending!(pending.poll());
    assert_eq!(Arc::strong_count(&guard), 2);
    drop(pending);
    assert_eq!(Arc::strong_count(&guard), 1);
}
