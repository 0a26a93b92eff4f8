use super::tools;
use crate::{
    Call, Method, Reply,
    catalog::{CatalogLayer, Kind, Merge, Part},
    error::explain,
    json::{Json, Params},
    reply::Outcome,
    route::{Table, Tables, Versions},
};
use std::sync::Arc;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower_test::mock;

fn tables() -> Arc<Tables<Table<()>>> {
    Tables::new(Merge::new("gw", "1").table(&[], None))
}

fn call(method: Method, params: &'static str) -> Call {
    Call::new(method, Params::parse(Json::from_static(params)).unwrap())
}

fn listed(reply: Reply) -> Json {
    reply.into_single().unwrap().result().unwrap().clone()
}

#[tokio::test]
async fn lists_are_answered_here_and_share_their_bytes() {
    let tables = tables();
    let part = Part::new("s", ()).listed("s-1", tools(r#"[{"name":"x"}]"#));
    tables.replace(Merge::new("gw", "1").table(&[part], None), true);
    let (mut catalog, mut handle) = mock::spawn_layer::<Call, Reply, _>(CatalogLayer::new(tables));
    handle.allow(1);
    for method in Kind::ALL.map(Kind::method).into_iter().chain([Method::DISCOVER]) {
        assert_ready_ok!(catalog.poll_ready());
        let one = listed(catalog.call(call(method.clone(), "{}")).await.unwrap());
        let two = listed(catalog.call(call(method.clone(), r#"{"cursor":null}"#)).await.unwrap());
        assert_eq!(one.as_bytes().as_ptr(), two.as_bytes().as_ptr(), "{method} is made once");
    }
    assert_pending!(handle.poll_request());
}

#[tokio::test]
async fn everything_else_goes_on_and_readiness_is_the_inner_ones() {
    let (mut catalog, mut handle) = mock::spawn_layer::<Call, Reply, _>(CatalogLayer::new(tables()));
    handle.allow(0);
    assert_pending!(catalog.poll_ready());
    handle.allow(1);
    assert_ready_ok!(catalog.poll_ready());
    let mut reply = task::spawn(catalog.call(call(Method::TOOLS_CALL, r#"{"name":"x"}"#)));
    assert_pending!(reply.poll());
    let (asked, answer) = handle.next_request().await.unwrap();
    assert_eq!(asked.method, Method::TOOLS_CALL);
    answer.send_response(Outcome::Accepted.into());
    assert!(matches!(assert_ready_ok!(reply.poll()).as_single(), Some(Outcome::Accepted)));
}

#[tokio::test]
async fn a_client_with_a_session_sees_what_its_revision_knows() {
    let tables = tables();
    let part = Part::new("s", ()).listed("s-1", tools(r#"[{"name":"x","execution":{"taskSupport":"optional"}}]"#));
    tables.replace(Merge::new("gw", "1").table(&[part], None), true);
    let (mut catalog, mut handle) = mock::spawn_layer::<Call, Reply, _>(CatalogLayer::new(tables));
    handle.allow(1);
    assert_ready_ok!(catalog.poll_ready());
    let modern = call(Method::TOOLS_LIST, "{}");
    let empty = || Json::from_static("{}");
    let session = Arc::new(crate::Session::new("s", crate::Revision::LATEST_LEGACY, empty(), empty()));
    let early = modern.clone().with(|asked| asked.session = Some(session));
    assert!(!listed(catalog.call(modern).await.unwrap()).as_str().contains("execution"));
    assert!(listed(catalog.call(early).await.unwrap()).as_str().contains("execution"));
}

#[tokio::test]
async fn no_list_gives_out_a_cursor_so_none_is_taken() {
    let tables = tables();
    tables.settle();
    let (mut catalog, mut handle) = mock::spawn_layer::<Call, Reply, _>(CatalogLayer::new(tables));
    handle.allow(1);
    assert_ready_ok!(catalog.poll_ready());
    for cursor in [r#"{"cursor":"x"}"#, r#"{"cursor":""}"#, r#"{"cursor":7}"#] {
        let error = catalog.call(call(Method::TOOLS_LIST, cursor)).await.unwrap_err();
        assert_eq!(explain(&*error).code, -32602, "{cursor}");
    }
}

#[tokio::test]
async fn until_the_table_is_settled_lists_wait_and_then_show_what_came() {
    let tables = tables();
    let (mut catalog, mut handle) = mock::spawn_layer::<Call, Reply, _>(CatalogLayer::new(tables.clone()));
    handle.allow(1);
    assert_ready_ok!(catalog.poll_ready());
    let mut reply = task::spawn(catalog.call(call(Method::TOOLS_LIST, "{}")));
    assert_pending!(reply.poll());
    tables.publish(Merge::new("gw", "1").table(&[], None), Versions { tools: 1, ..Versions::default() });
    assert_pending!(reply.poll());
    let part = Part::new("s", ()).listed("s-1", tools(r#"[{"name":"late"}]"#));
    tables.replace(Merge::new("gw", "1").table(&[part], None), true);
    assert!(reply.is_woken());
    let reply = listed(assert_ready!(reply.poll()).unwrap());
    assert_eq!(reply.member("tools").unwrap().as_str(), r#"[{"name":"late"}]"#);
}

#[test]
fn a_thousand_lists_that_wait_hold_nothing_once_dropped_and_the_rest_is_answered() {
    let tables = tables();
    let inner = tower::service_fn(|_: Call| async { Ok::<Reply, crate::BoxError>(Outcome::Accepted.into()) });
    let mut catalog = tower::Layer::layer(&CatalogLayer::new(tables.clone()), inner);
    let held = Arc::strong_count(&tables);
    let mut ask = || task::spawn(tower::Service::call(&mut catalog, call(Method::TOOLS_LIST, "{}")));
    let mut waiting: Vec<_> = (0..1000).map(|_| ask()).collect();
    for reply in &mut waiting {
        assert_pending!(reply.poll());
    }
    waiting.truncate(10);
    assert_eq!(Arc::strong_count(&tables), held + 10);
    tables.settle();
    for mut reply in waiting {
        assert_eq!(listed(assert_ready_ok!(reply.poll())).member("tools").unwrap().as_str(), "[]");
    }
}
