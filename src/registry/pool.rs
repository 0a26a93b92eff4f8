use super::builder::Wrap;
use crate::{
    BoxError, Call, EndpointId, Reply, ServerName,
    balance::{Patience, balance, policy::Strategy},
    error::Problem,
    health::{Board, Healthy, Peers},
    load::Metered,
    metrics::Metrics,
    retry::{Idempotent, Marks},
    route::Pool,
    seal::Keys,
    upstream::{self, era::endpoint_of},
};
use futures_util::{StreamExt, stream};
use std::{collections::HashMap, future::Future};
use tokio::sync::mpsc;
use tower::{Layer, Service, discover::Change, filter::Filter, retry::RetryLayer};

/// Changes of membership on their way to a pool's driver. It takes them as fast as they come, so a full channel only
/// means that it has not been scheduled yet.
const CHANGES: usize = 16;

/// The pools of a registry, one per server name.
pub(super) struct Pools<S> {
    strategy: Strategy,
    wrap: Wrap,
    board: Board,
    /// Opens the states that clients bring back, which name the endpoint that can go on.
    keys: Keys,
    metrics: Metrics,
    by_name: HashMap<ServerName, Entry<S>>,
}

struct Entry<S> {
    pool: Pool,
    changes: mpsc::Sender<Change<EndpointId, Metered<S>>>,
    members: usize,
    peers: Peers,
    marks: Marks,
}

impl<S> Pools<S>
where
    S: Service<Call, Response = Reply, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
{
    pub(super) fn new(strategy: Strategy, wrap: Wrap, board: Board, settings: &upstream::Settings) -> Self {
        let (keys, metrics) = (settings.keys.clone(), settings.metrics.clone());
        Self { strategy, wrap, board, keys, metrics, by_name: HashMap::new() }
    }

    /// The pool of `name`, while it has members.
    pub(super) fn get(&self, name: &ServerName) -> Option<&Pool> {
        self.by_name.get(name).map(|entry| &entry.pool)
    }

    /// The peers of an endpoint that is put into the pool of `name`.
    pub(super) fn peers(&self, name: &ServerName) -> Peers {
        self.by_name.get(name).map(|entry| entry.peers.clone()).unwrap_or_default()
    }

    /// The tools of the pool of `name` whose calls may run twice.
    pub(super) fn marks(&self, name: &ServerName) -> Option<&Marks> {
        self.by_name.get(name).map(|entry| &entry.marks)
    }

    /// Puts an endpoint into the pool of `name`, which is made if there is none; `spawn` then gets its driver.
    pub(super) async fn insert<F>(
        &mut self,
        name: &ServerName,
        (id, endpoint, peers): (EndpointId, Metered<S>, Peers),
        spawn: F,
    ) where
        F: FnOnce(Driver),
    {
        if !self.by_name.contains_key(name) {
            let (entry, driver) = self.make(name, peers);
            spawn(driver);
            self.by_name.insert(name.clone(), entry);
        }
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.members += 1;
            // An error means that the pool's driver has ended, as it does when this one is being dropped.
            let _ = entry.changes.send(Change::Insert(id, endpoint)).await;
        }
    }

    /// Puts an endpoint in the place of the one of its id; `false` if there is no such pool.
    pub(super) async fn replace(&mut self, name: &ServerName, id: EndpointId, endpoint: Metered<S>) -> bool {
        let Some(entry) = self.by_name.get(name) else { return false };
        let _ = entry.changes.send(Change::Insert(id, endpoint)).await;
        true
    }

    /// Takes an endpoint out; the pool goes with its last one.
    pub(super) async fn remove(&mut self, name: &ServerName, id: EndpointId) {
        let Some(entry) = self.by_name.get_mut(name) else { return };
        entry.members -= 1;
        let _ = entry.changes.send(Change::Remove(id)).await;
        if entry.members == 0 {
            self.by_name.remove(name);
        }
    }

    fn make(&self, name: &ServerName, peers: Peers) -> (Entry<S>, Driver) {
        let (changes, arriving) = mpsc::channel(CHANGES);
        let discover = stream::unfold(arriving, |mut arriving| async move {
            let change = arriving.recv().await?;
            Some((Ok::<_, BoxError>(change), arriving))
        });
        let healthy = Healthy::new(discover.boxed(), self.board.subscribe());
        let (balance, driver) = balance(name.clone(), healthy, self.strategy, Patience::default());
        let keys = self.keys.clone();
        let marks = Marks::default();
        let retry = RetryLayer::new(Idempotent::counting(marks.clone(), self.metrics.clone()));
        let pinned = Filter::new(retry.layer(balance), move |call| pinned(call, &keys));
        let pool = (self.wrap)(name, Pool::new(pinned));
        (Entry { pool, changes, members: 0, peers, marks }, Box::pin(driver))
    }
}

/// A call that goes on with an earlier one must reach the endpoint that keeps it.
///
/// # Errors
///
/// −32602 if that endpoint is none of those that have what is called: the state is another call's. Without it the call
/// would begin anew at a server that never asked anything.
fn pinned(mut call: Call, keys: &Keys) -> Result<Call, BoxError> {
    // Who has a session is asked while the call is open, and brings nothing back.
    if call.session.is_none() && call.pin.is_none() {
        call.pin = endpoint_of(keys, &call);
        let has_it = |pin| call.providers.as_ref().is_none_or(|providers| providers.contains(pin));
        if !call.pin.as_ref().is_none_or(has_it) {
            return Err(Problem::rpc(200, -32602, "invalid params: the requestState is not of this call").into());
        }
    }
    Ok(call)
}

/// The driver of one pool.
pub(super) type Driver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, Providers, json::Params, seal::Purpose};
    use std::sync::Arc;

    #[test]
    fn a_state_leads_to_the_endpoint_it_names_and_to_no_server_without_it() {
        let keys = Keys::generate().unwrap();
        let state = keys.seal(Purpose::RequestState, br#"{"endpoint":"a-2","parked":1,"expires":9,"digest":""}"#);
        let retry = |state: &str, endpoints: &[&str]| {
            let params = serde_json::json!({"name": "t", "requestState": state});
            let mut call = Call::new(Method::TOOLS_CALL, Params::from_value(&params).unwrap());
            call.providers = Some(Arc::new(Providers::new(endpoints.iter().map(|id| EndpointId::from(*id)))));
            pinned(call, &keys)
        };
        assert_eq!(retry(&state, &["a-1", "a-2"]).unwrap().pin, Some("a-2".into()));
        assert_eq!(retry("a server's own", &["a-1"]).unwrap().pin, None);
        let error = retry(&state, &["b-1"]).unwrap_err();
        assert_eq!(crate::error::explain(&*error).code, -32602);
    }
}
