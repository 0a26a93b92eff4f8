mod mirrors;
mod names;
mod resources;
mod start;

use super::{Route, Table, Tables};
use crate::{
    BoxError, Call, Method, Reply,
    catalog::{Kind, Listing, Merge, Part},
    error::{Problem, explain},
    json::{Json, Params},
    reply::Outcome,
};
use std::sync::Arc;
use tower::ServiceExt;
use tower_test::mock::{self, Handle, Mock};

type Pool = Mock<Call, Reply>;

fn json(text: &str) -> Json {
    Json::parse(text.to_owned()).unwrap()
}

fn call(method: Method, params: &str) -> Call {
    Call::new(method, Params::parse(json(params)).unwrap())
}

/// A server of one endpoint, and the hand that plays it.
fn server(name: &str, listing: Listing) -> (Part<Pool>, Handle<Call, Reply>) {
    let (pool, handle) = mock::pair();
    (Part::new(name, pool).listed(format!("{name}-1"), Arc::new(listing)), handle)
}

fn tools(array: &str) -> Listing {
    Listing::default().capable(json(r#"{"tools":{}}"#)).with(Kind::Tools, json(array))
}

fn settled(parts: &[Part<Pool>]) -> Arc<Tables<Table<Pool>>> {
    let tables = Tables::new(Merge::new("gw", "1").table(parts, None));
    tables.settle();
    tables
}

fn route(parts: &[Part<Pool>]) -> Route<Pool> {
    Route::new(settled(parts))
}

/// Sends a call and answers it once, with this.
async fn exchange(route: &Route<Pool>, call: Call, handle: &mut Handle<Call, Reply>, answer: Outcome) -> (Call, Reply) {
    handle.allow(1);
    let asked = async {
        let (asked, respond) = handle.next_request().await.unwrap();
        respond.send_response(answer.into());
        asked
    };
    let (asked, reply) = tokio::join!(asked, route.clone().oneshot(call));
    (asked, reply.unwrap())
}

async fn refused(route: &Route<Pool>, call: Call) -> Problem {
    let error: BoxError = route.clone().oneshot(call).await.unwrap_err();
    explain(&*error)
}
