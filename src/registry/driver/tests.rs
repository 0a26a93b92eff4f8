use super::{Driver, State, Timing, UPDATES};
use crate::{
    BoxError, Call, Glob, Method, Reply, ServerName,
    catalog::Naming,
    json::{Json, Params},
    policy::{Policies, Policy},
    registry::{Registry, Server},
    reply::{Event, Note, Outcome},
    route::{Pool, Versions},
};
use futures_util::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tower::{Service, service_fn};

/// A server that lists the same tool each time, and says so often that its tools have changed.
fn answer(call: &Call, says: &watch::Sender<u64>) -> Reply {
    let result = |text: &'static str| Outcome::Result(Json::from_static(text)).into();
    match call.method.as_str() {
        "server/discover" => result(r#"{"capabilities":{"tools":{"listChanged":true}}}"#),
        "tools/list" => result(r#"{"tools":[{"name":"same","inputSchema":{"type":"object"}}]}"#),
        "subscriptions/listen" => {
            let note = |method| Ok(Event::from(Note::new(method, Params::empty())));
            let changes = stream::unfold((says.subscribe(), 0), move |(mut said, heard)| async move {
                let count = *said.wait_for(|count| *count > heard).await.ok()?;
                Some((note(Method::TOOLS_LIST_CHANGED), (said, count)))
            });
            Reply::stream(stream::iter([note(Method::LISTEN_ACKNOWLEDGED)]).chain(changes))
        }
        _ => Outcome::Accepted.into(),
    }
}

fn connect(
    says: watch::Sender<u64>,
) -> impl Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static {
    service_fn(move |call: Call| std::future::ready(Ok::<_, BoxError>(answer(&call, &says))))
}

fn lab(key: &str) -> Server {
    Server::http("lab", "lab", "http://localhost/mcp").unwrap().header("x-key", key).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_made_before_a_reload_is_worked_off_has_every_server() {
    let says = watch::Sender::new(0);
    let make = |_: &Server| (connect(says.clone()), connect(says.clone()));
    let (registry, _idle) = Registry::builder().build_with([lab("1")]).unwrap();
    let pooling = (Default::default(), Arc::new(|_: &ServerName, pool: Pool| pool) as _);
    let driver = Driver::new(&registry.shared, "g".into(), pooling, Naming::default(), Timing::default());
    let (updates, mut arriving) = mpsc::channel(UPDATES);
    let mut state = State::new(driver, updates);
    state.reconcile(&make).await;
    state.take(arriving.recv().await.unwrap());
    state.publish();
    let tables = registry.tables();
    assert!(tables.load().tool("same").is_some());
    assert_eq!(registry.reload([lab("2")]).unwrap().changed, ["lab".into()]);
    // As for a listing that is taken first.
    state.publish();
    assert!(tables.load().tool("same").is_some());
    state.reconcile(&make).await;
    assert!(tables.load().tool("same").is_some());
    assert_eq!(tables.versions().borrow().tools, 1, "no table lacked it");
}

#[tokio::test(start_paused = true)]
async fn who_must_not_know_of_a_server_is_not_told_that_it_says_its_lists_changed() {
    let says = watch::Sender::new(0);
    let sees = Policy::new("sees").servers([Glob::new("lab")]);
    let other = Policy::new("other").servers([Glob::new("files")]);
    let policies = Policies::default().principal(Glob::new("a"), &sees).principal(Glob::new("b"), &other);
    let says_it = says.clone();
    let builder = Registry::builder().policies(&policies).connect(move |_: &Server| connect(says_it.clone()));
    let builder = builder.endpoint(|_: &Server, connection| connection);
    let (registry, driver) = builder.build_with([lab("1")]).unwrap();
    let driver = tokio::spawn(driver);
    let versions = |policy: &Policy| -> watch::Receiver<Versions> { policy.view().tables().versions() };
    let (mut all, mut seen, hidden) = (registry.tables().versions(), versions(&sees), versions(&other));
    let counted = async |versions: &mut watch::Receiver<Versions>, tools| {
        let told = versions.wait_for(|versions| versions.tools == tools);
        timeout(Duration::from_secs(600), told).await.expect("it is told").expect("the registry runs");
    };
    counted(&mut all, 1).await;
    says.send_modify(|count| *count += 1);
    counted(&mut seen, 2).await;
    // Told last of all tables.
    counted(&mut all, 2).await;
    assert_eq!(hidden.borrow().tools, 0);
    driver.abort();
}
