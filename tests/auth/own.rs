//! Authentication that is not the gateway's own, and policies that no registry knows.

use crate::support::{
    PATIENCE,
    clients::modern,
    servers::{Kind, Running},
    soon,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{collections::HashSet, convert::Infallible, time::Duration};
use tokio::task::JoinSet;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_mcp_gateway::{
    Gateway, Glob,
    auth::{AuthLayer, Principal, Token},
    edge::Body,
    origin::OriginLayer,
    policy::{Policies, Policy},
    registry::{Registry, Server},
};

/// A proxy that is trusted says with this who asks.
const USER: &str = "x-forwarded-user";

fn ask(header: (&str, &str), method: &str, params: Value) -> Request<String> {
    let (headers, message) = modern(json!(1), method, params);
    let mut request = Request::post("http://localhost/mcp").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.header(header.0, header.1).body(message.to_string()).unwrap()
}

async fn answer<S>(service: &S, request: Request<String>) -> Value
where
    S: Service<Request<String>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let response = soon("an answer", service.clone().oneshot(request)).await.unwrap();
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn names(listed: &Value) -> HashSet<&str> {
    listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_layer_of_ones_own_admits_principals_to_what_their_policies_say() {
    let server = Running::named(Kind::Modern, "one").await;
    let readers = Policy::new("readers").tools([Glob::new("echo")]);
    let policies = Policies::default()
        .principal(Glob::new("reader"), &readers)
        .principal(Glob::new("busy"), &Policy::new("busy").max_in_flight(0))
        .principal(Glob::new("admin"), &Policy::new("admins"));
    let builder = Registry::builder().policies(&policies).start_patience(PATIENCE);
    let (registry, driver) = builder.build_with([Server::http("one-1", "one", &server.url()).unwrap()]).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    let gateway = Gateway::new(registry, OriginLayer::localhost(), Duration::from_secs(30));
    let service = ServiceBuilder::new()
        .map_request(move |mut request: Request<String>| {
            let user = request.headers()[USER].to_str().unwrap().to_owned();
            policies.admit(Principal::new(user), request.extensions_mut());
            request
        })
        .service(gateway);

    let list = |user| answer(&service, ask((USER, user), "tools/list", json!({})));
    assert_eq!(names(&list("reader").await), HashSet::from(["echo"]));
    assert_eq!(list("busy").await["error"]["data"]["reason"], "too_many_calls");
    assert!(names(&list("admin").await).contains("who"));
    assert!(names(&list("stranger").await).is_empty());
}

#[tokio::test]
async fn principals_of_a_policy_that_no_registry_knows_see_nothing_and_are_told_so_at_once() {
    let secret = Token::generate().unwrap();
    let policies = Policies::default().principal(Glob::new("*"), &Policy::new("readers"));
    let auth = AuthLayer::required().token(Token::new("reader", &secret).unwrap()).policies(policies);
    let (registry, driver) = Registry::builder().build();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    let gateway = Gateway::new(registry, OriginLayer::localhost(), Duration::from_secs(30)).auth(auth);
    let header = format!("Bearer {secret}");
    let listed = answer(&gateway, ask(("authorization", &header), "tools/list", json!({}))).await;
    assert!(names(&listed).is_empty(), "{listed}");
}
