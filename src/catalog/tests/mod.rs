mod churn;
mod fetch;
mod merge;
mod refresh;
mod service;

use crate::{
    BoxError, Call, Reply,
    catalog::{Kind, Listing},
    json::Json,
    reply::Outcome,
};
use std::sync::{Arc, Mutex};
use tower::{Service, service_fn};

fn json(text: &str) -> Json {
    Json::parse(text.to_owned()).unwrap()
}

fn tools(array: &str) -> Arc<Listing> {
    Arc::new(Listing::default().capable(json(r#"{"tools":{}}"#)).with(Kind::Tools, json(array)))
}

fn result(text: &str) -> Reply {
    Outcome::Result(json(text)).into()
}

fn refused(code: i64) -> Reply {
    Outcome::Error(json(&format!(r#"{{"code":{code},"message":"no"}}"#))).into()
}

/// What a scripted server was asked: methods, with the cursor where there was one.
type Asked = Arc<Mutex<Vec<String>>>;

/// A server that answers as `script` does, and remembers what it was asked.
fn scripted<F>(
    script: F,
) -> (impl Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static, Asked)
where
    F: Fn(&Call, Option<String>) -> Result<Reply, BoxError> + Clone + Send + Sync + 'static,
{
    let asked = Asked::default();
    let log = asked.clone();
    let service = service_fn(move |call: Call| {
        let cursor = call.params.member("cursor").map(|cursor| cursor.read::<String>().unwrap());
        let line = cursor.as_ref().map_or(call.method.to_string(), |cursor| format!("{} {cursor:?}", call.method));
        log.lock().unwrap().push(line);
        std::future::ready(script(&call, cursor))
    });
    (service, asked)
}
