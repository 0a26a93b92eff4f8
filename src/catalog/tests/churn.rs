//! A random walk: servers come, go and change what they list, and after each step catalog and route agree with each
//! other and with an oracle that knows nothing of tables.

use super::tools;
use crate::{
    BoxError, Call, Method, Reply, ServerName,
    catalog::{Kind, Merge, Naming, Part},
    json::{Json, Params},
    reply::Outcome,
    route::{Route, Table, Tables},
};
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::{Service, ServiceExt};

/// A pool that says who it is, what it was asked for, and who may answer.
#[derive(Clone, Debug)]
struct Echo(ServerName);

impl Service<Call> for Echo {
    type Response = Reply;
    type Error = BoxError;
    type Future = Ready<Result<Reply, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let providers = call.providers.as_ref().expect("only what is listed is asked for");
        let value = serde_json::json!([self.0, call.params.name(), providers.endpoints()]);
        ready(Ok(Outcome::Result(Json::from_value(&value).unwrap()).into()))
    }
}

const SERVERS: [&str; 4] = ["a", "b", "a__b", "c c"];
const TOOLS: [&str; 6] = ["x", "y", "b__x", "a__b__x", "__", "c_c__y"];

#[derive(Clone, Debug)]
enum Step {
    Unregister(usize),
    /// Server, endpoint, and the tools it lists, as bits; `None`: registered, not listed.
    List(usize, usize, Option<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..SERVERS.len()).prop_map(Step::Unregister),
        4 => (0..SERVERS.len(), 0..3usize, prop::option::weighted(0.9, 0..64u8)).prop_map(|(s, e, l)| Step::List(s, e, l)),
    ]
}

type Oracle = BTreeMap<usize, BTreeMap<usize, Option<u8>>>;

fn parts(oracle: &Oracle) -> Vec<Part<Echo>> {
    let part = |(server, endpoints): (&usize, &BTreeMap<usize, Option<u8>>)| {
        let name = ServerName::from(SERVERS[*server]);
        endpoints.iter().fold(Part::new(name.clone(), Echo(name)), |part, (endpoint, listed)| {
            let id = format!("{server}-{endpoint}");
            let Some(bits) = listed else { return part.unlisted(id) };
            let items = TOOLS.iter().enumerate().filter(|(n, _)| bits & (1 << n) != 0);
            let items: Vec<Value> = items.map(|(_, name)| serde_json::json!({"name": name})).collect();
            part.listed(id, tools(&Value::from(items).to_string()))
        })
    };
    oracle.iter().map(part).collect()
}

/// Which endpoints of a server list a tool.
fn providers(oracle: &Oracle, server: &str, tool: &str) -> Vec<String> {
    let server = SERVERS.iter().position(|name| *name == server).unwrap();
    let bit = 1 << TOOLS.iter().position(|name| *name == tool).unwrap();
    let lists = |listed: &Option<u8>| listed.is_some_and(|bits| bits & bit != 0);
    let endpoints = oracle[&server].iter().filter(|(_, listed)| lists(listed));
    endpoints.map(|(endpoint, _)| format!("{server}-{endpoint}")).collect()
}

fn ask(route: &Route<Echo>, name: &str) -> Option<(String, String, Vec<String>)> {
    let params = Params::from_value(&serde_json::json!({"name": name})).unwrap();
    let reply = route.clone().oneshot(Call::new(Method::TOOLS_CALL, params)).now_or_never().expect("nobody waits");
    reply.ok().map(|reply| reply.as_single().unwrap().result().unwrap().read().unwrap())
}

fn check(oracle: &Oracle, tables: &std::sync::Arc<Tables<Table<Echo>>>, naming: Naming) -> Result<(), TestCaseError> {
    let route = Route::new(tables.clone());
    let table = tables.load();
    let listed: Vec<Value> = table.rendered().list(Kind::Tools).member("tools").unwrap().read().unwrap();
    let mut served = std::collections::BTreeSet::new();
    for tool in &listed {
        let name = tool["name"].as_str().unwrap();
        let Some((server, upstream, providing)) = ask(&route, name) else {
            return Err(TestCaseError::fail(format!("{name} is listed and does not route")));
        };
        prop_assert_eq!(&providing, &providers(oracle, &server, &upstream));
        prop_assert!(!providing.is_empty());
        prop_assert!(served.insert((server, upstream)), "{} is listed twice", name);
    }
    let mut everything = 0;
    for (server, endpoints) in oracle {
        for tool in TOOLS {
            let offered = !providers(oracle, SERVERS[*server], tool).is_empty();
            let shown = served.contains(&(SERVERS[*server].to_owned(), tool.to_owned()));
            everything += usize::from(offered);
            prop_assert!(offered || !shown);
            let hidden = table.notices().iter().any(|notice| notice.to_string().contains("does not appear"));
            prop_assert!(shown || !offered || hidden, "{} of {} is lost in silence", tool, SERVERS[*server]);
        }
        prop_assert_eq!(
            table.unlisted().iter().any(|name| name.as_str() == SERVERS[*server]),
            endpoints.values().all(Option::is_none)
        );
    }
    prop_assert!(listed.len() <= everything);
    if naming == Naming::Auto {
        let first = oracle.keys().find(|server| !providers(oracle, SERVERS[**server], "x").is_empty());
        let bare = ask(&route, "x").map(|(server, upstream, _)| (server, upstream));
        let sole = oracle.len() == 1;
        prop_assert!(sole || bare == first.map(|server| (SERVERS[*server].to_owned(), "x".to_owned())));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn catalog_and_route_agree(steps in prop::collection::vec(step(), 1..40), prefixed in any::<bool>()) {
        let naming = if prefixed { Naming::Prefixed } else { Naming::Auto };
        let merge = Merge::new("gw", "1").naming(naming);
        let tables = Tables::new(merge.table(&[], None));
        tables.settle();
        // A server beside them all, so that names nobody lists are refused.
        let mut oracle = Oracle::from([(0, BTreeMap::new()), (1, BTreeMap::new())]);
        for step in steps {
            match step {
                Step::Unregister(server) if server > 1 => { oracle.remove(&server); }
                Step::Unregister(server) => { oracle.insert(server, BTreeMap::new()); }
                Step::List(server, endpoint, listed) => {
                    oracle.entry(server).or_default().insert(endpoint, listed);
                }
            }
            let old = tables.load_full();
            let before = *tables.versions().borrow();
            tables.replace(merge.table(&parts(&oracle), Some(&old)), true);
            let told = *tables.versions().borrow() != before;
            prop_assert_eq!(told, tables.load().rendered() != old.rendered());
            check(&oracle, &tables, naming)?;
        }
    }
}
