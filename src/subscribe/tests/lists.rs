use crate::subscribe::{SubscribeLayer, stream, wishes};
use crate::{
    Call, Method, Reply,
    auth::Principal,
    error::explain,
    json::{Json, Params},
    reply::{Event, Events, Outcome},
    route::{Tables, Versions},
};
use futures_util::{FutureExt, StreamExt};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_ok};
use tokio_util::sync::CancellationToken;
use tower::{Layer, ServiceExt, service_fn};
use tower_test::mock;

const ALL: &str =
    r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}}"#;

fn call(params: &str) -> Call {
    Call::new(Method::LISTEN, Params::parse(Json::parse(params.to_owned()).unwrap()).unwrap())
}

async fn listen(layer: &SubscribeLayer, params: &str) -> Result<Events, crate::BoxError> {
    let inner = service_fn(|_: Call| async { Ok::<Reply, crate::BoxError>(Outcome::Accepted.into()) });
    layer.layer(inner).oneshot(call(params)).await.map(Reply::into_events)
}

/// Past the acknowledgement.
async fn listening(layer: &SubscribeLayer) -> Events {
    let mut events = listen(layer, ALL).await.unwrap();
    assert_eq!(told(&mut events).await, Method::LISTEN_ACKNOWLEDGED);
    events
}

async fn told(events: &mut Events) -> Method {
    match events.next().await {
        Some(Ok(Event::Note(note))) => note.method,
        other => panic!("{other:?}"),
    }
}

fn quiet(events: &mut Events) -> bool {
    events.next().now_or_never().is_none()
}

fn tables() -> Arc<Tables<()>> {
    Tables::new(())
}

fn change(tables: &Tables<()>, edit: impl FnOnce(&mut Versions)) {
    let mut versions = *tables.versions().borrow();
    edit(&mut versions);
    tables.publish((), versions);
}

#[tokio::test]
async fn what_is_honoured_is_acknowledged_first() {
    let tables = tables();
    let layer = SubscribeLayer::new(tables.versions());
    for (asked, honoured) in [
        (ALL, ALL),
        (r#"{"notifications":{}}"#, r#"{"notifications":{}}"#),
        (
            r#"{"notifications":{"resourceSubscriptions":["a"],"promptsListChanged":true,"toolsListChanged":false,"x":1}}"#,
            r#"{"notifications":{"promptsListChanged":true}}"#,
        ),
        (r#"{"notifications":{"toolsListChanged":"true"}}"#, r#"{"notifications":{}}"#),
    ] {
        let mut events = listen(&layer, asked).await.unwrap();
        let Some(Ok(Event::Note(note))) = events.next().await else { panic!("{asked}") };
        assert_eq!((note.method, note.params.as_str()), (Method::LISTEN_ACKNOWLEDGED, honoured));
        assert!(quiet(&mut events));
    }
}

#[tokio::test]
async fn invalid_wishes_are_refused() {
    let tables = tables();
    let layer = SubscribeLayer::new(tables.versions());
    for params in ["{}", r#"{"notifications":null}"#, r#"{"notifications":[]}"#, r#"{"notifications":"all"}"#] {
        let error = listen(&layer, params).await.unwrap_err();
        assert_eq!(explain(&*error).code, -32602, "{params}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_is_told_to_those_who_asked() {
    let tables = tables();
    let layer = SubscribeLayer::new(tables.versions());
    let mut all = listening(&layer).await;
    let mut prompts = listen(&layer, r#"{"notifications":{"promptsListChanged":true}}"#).await.unwrap();
    told(&mut prompts).await;
    change(&tables, |versions| versions.tools += 1);
    assert_eq!(told(&mut all).await, Method::TOOLS_LIST_CHANGED);
    change(&tables, |versions| {
        versions.prompts += 1;
        versions.resources += 1;
    });
    assert_eq!(told(&mut all).await, Method::PROMPTS_LIST_CHANGED);
    assert_eq!(told(&mut all).await, Method::RESOURCES_LIST_CHANGED);
    assert_eq!(told(&mut prompts).await, Method::PROMPTS_LIST_CHANGED);
    change(&tables, |versions| versions.settled = true);
    assert!(quiet(&mut all) && quiet(&mut prompts), "settling is no change of a list");
}

#[tokio::test(start_paused = true)]
async fn changes_come_at_most_once_a_second_and_the_last_one_comes() {
    let tables = tables();
    let mut events = listening(&SubscribeLayer::new(tables.versions())).await;
    let start = Instant::now();
    change(&tables, |versions| versions.tools += 1);
    assert_eq!(told(&mut events).await, Method::TOOLS_LIST_CHANGED);
    assert_eq!(start.elapsed(), Duration::ZERO, "the first one at once");
    for _ in 0..50 {
        change(&tables, |versions| versions.tools += 1);
        assert!(quiet(&mut events));
        advance(Duration::from_millis(10)).await;
    }
    assert_eq!(told(&mut events).await, Method::TOOLS_LIST_CHANGED);
    assert!((1000..=1001).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    advance(Duration::from_secs(60)).await;
    assert!(quiet(&mut events), "fifty changes are told once");
}

#[tokio::test(start_paused = true)]
async fn a_change_between_the_call_and_the_first_read_is_told() {
    let tables = tables();
    let mut events = listen(&SubscribeLayer::new(tables.versions()), ALL).await.unwrap();
    change(&tables, |versions| versions.tools += 1);
    assert_eq!(told(&mut events).await, Method::LISTEN_ACKNOWLEDGED);
    assert_eq!(told(&mut events).await, Method::TOOLS_LIST_CHANGED);
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_a_result_on_shutdown_and_with_their_tables() {
    let tables = tables();
    let shutdown = CancellationToken::new();
    let layer = SubscribeLayer::new(tables.versions()).shutdown(shutdown.clone());
    let (mut draining, mut orphaned) =
        (listening(&layer).await, listening(&SubscribeLayer::new(tables.versions())).await);
    shutdown.cancel();
    assert!(matches!(draining.next().await, Some(Ok(Event::Done(Outcome::Result(_))))));
    assert!(draining.next().await.is_none());
    assert!(quiet(&mut orphaned));
    change(&tables, |versions| versions.tools += 1);
    drop(tables);
    assert_eq!(told(&mut orphaned).await, Method::TOOLS_LIST_CHANGED, "the last change is told before the end");
    assert!(matches!(orphaned.next().await, Some(Ok(Event::Done(Outcome::Result(_))))));
}

#[tokio::test]
async fn places_are_bounded_shared_and_given_back() {
    let tables = tables();
    let layer = SubscribeLayer::new(tables.versions()).max_streams(2);
    let clone = layer.clone();
    let first = listening(&layer).await;
    let _second = listen(&clone, ALL).await.unwrap();
    let problem = explain(&*listen(&layer, ALL).await.unwrap_err());
    assert_eq!(problem.status.as_u16(), 503);
    assert!(problem.retry_after.is_some());
    assert!(listen(&layer, "{}").await.is_err(), "invalid wishes take no place");
    drop(first);
    assert!(listen(&clone, ALL).await.is_ok());
}

#[tokio::test]
async fn a_principal_leaves_places_to_others() {
    let tables = tables();
    let layer = SubscribeLayer::new(tables.versions()).max_streams(4);
    let listen_as = async |name: &str| {
        let inner = service_fn(|_: Call| async { Ok::<Reply, crate::BoxError>(Outcome::Accepted.into()) });
        let call = call(ALL).with(|asked| drop(asked.extensions.insert(Principal::new(name))));
        layer.layer(inner).oneshot(call).await
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(listen_as("greedy").await.unwrap());
    }
    assert_eq!(explain(&*listen_as("greedy").await.unwrap_err()).status, 503);
    let _other = listen_as("other").await.unwrap();
    held.clear();
    assert!(listen_as("greedy").await.is_ok());
}

#[tokio::test]
async fn everything_else_goes_on_and_readiness_is_the_inner_ones() {
    let tables = tables();
    let (mut service, mut handle) = mock::spawn_layer::<Call, Reply, _>(SubscribeLayer::new(tables.versions()));
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let reply = tokio::spawn(service.call(Call::new(Method::TOOLS_CALL, Params::empty())));
    let (asked, answer) = handle.next_request().await.unwrap();
    assert_eq!(asked.method, Method::TOOLS_CALL);
    answer.send_response(Outcome::Accepted.into());
    assert!(reply.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_idle_streams_are_all_told_and_cost_little() {
    let tables = tables();
    let layer = SubscribeLayer::new(tables.versions());
    let mut streams = Vec::new();
    for _ in 0..10_000 {
        streams.push(listening(&layer).await);
    }
    change(&tables, |versions| versions.tools += 1);
    for events in &mut streams {
        assert_eq!(told(events).await, Method::TOOLS_LIST_CHANGED);
    }
    let (lists, versions) = (wishes::Lists::default(), tables.versions());
    let state = stream::changes(lists, versions, None, CancellationToken::new());
    assert!(std::mem::size_of_val(&state) < 1024, "{} bytes", std::mem::size_of_val(&state));
}
