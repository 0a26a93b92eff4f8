use super::agreed::Agreed;
use crate::{
    Call, Method,
    json::{Json, Params, write},
    reply::Outcome,
    upstream::{Outbound, Transport},
};
use futures_util::{StreamExt, stream};
use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Resources that one listener may be told about; further ones are not acknowledged.
pub(super) const MAX_URIS: usize = 1024;
/// Subscriptions under way at once.
const AT_ONCE: usize = 16;
/// Longest wait for the answer to one.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many listeners of one session at a server want to know about each resource. The server is told of the first,
/// and of the last that goes.
///
/// A count stays locked while the server is told, so that it hears of changes in their order.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<HashMap<Box<str>, Arc<Mutex<Count>>>>);

/// Who wants to know about a resource.
#[derive(Debug, Default)]
struct Count {
    listeners: usize,
    /// Whether the server has said that it tells: who was counted may have gone before it did.
    is_taken: bool,
}

impl Subscriptions {
    async fn count(&self, uri: &str) -> Arc<Mutex<Count>> {
        self.0.lock().await.entry(uri.into()).or_default().clone()
    }

    /// Forgets resources nobody wants to know about.
    async fn tidy(&self) {
        self.0.lock().await.retain(|_, count| {
            let unused = Arc::strong_count(count) == 1 && count.try_lock().is_ok_and(|count| count.listeners == 0);
            !unused
        });
    }
}

/// What one listener is counted for: from before the server is told until it has refused.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<SyncMutex<Vec<Box<str>>>>);

impl Counted {
    fn add(&self, uri: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(uri.into());
    }

    fn remove(&self, uri: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().rposition(|counted| **counted == *uri) {
            all.swap_remove(at);
        }
    }

    fn take(&self) -> Vec<Box<str>> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one listener is told about; when dropped, the server hears that it is not any more.
pub(super) struct Subscribed<T: Transport> {
    transport: T,
    agreed: Arc<Agreed>,
    tasks: TaskTracker,
    /// Those the server took, in the order in which they were asked for.
    uris: Vec<Box<str>>,
    /// Those that are given back, which while it opens are more.
    counted: Counted,
    is_open: bool,
}

impl<T: Transport> Subscribed<T> {
    /// Subscribes to each of `uris`, as far as the server takes them.
    pub(super) async fn open(transport: T, agreed: Arc<Agreed>, tasks: TaskTracker, uris: Vec<String>) -> Self {
        let counted = Counted::default();
        // Made first, so that whatever is counted is given back if this future is dropped.
        let mut all = Self { transport, agreed, tasks, uris: Vec::new(), counted, is_open: false };
        let (transport, agreed, counted) = (all.transport.clone(), all.agreed.clone(), all.counted.clone());
        let asked = uris.len();
        let taken = stream::iter(uris).map(|uri| {
            let (transport, agreed, counted) = (transport.clone(), agreed.clone(), counted.clone());
            async move { subscribe(transport, &agreed, &counted, &uri).await.then_some(uri) }
        });
        let taken = taken.buffered(AT_ONCE).filter_map(async |uri| uri.map(Into::into));
        all.uris = taken.collect().await;
        if all.uris.len() < asked {
            all.agreed.subscriptions.tidy().await;
        }
        all.is_open = true;
        all
    }

    pub(super) fn uris(&self) -> &[Box<str>] {
        &self.uris
    }
}

/// Whether an update of `uri` is one of `subscribed`, or of a part of it (2025-11-25, "server/resources").
pub(super) fn is_about(subscribed: &str, uri: &str) -> bool {
    let rest = uri.strip_prefix(subscribed);
    rest.is_some_and(|rest| rest.is_empty() || subscribed.ends_with('/') || rest.starts_with(['/', '#', '?']))
}

async fn subscribe<T: Transport>(transport: T, agreed: &Agreed, counted: &Counted, uri: &str) -> bool {
    let count = agreed.subscriptions.count(uri).await;
    let mut count = count.lock().await;
    // Before the server is told: where nobody waits for its answer any more, it hears that it was taken back.
    count.listeners += 1;
    counted.add(uri);
    if !count.is_taken {
        count.is_taken = tell(transport, agreed, Method::RESOURCES_SUBSCRIBE, uri).await;
    }
    if !count.is_taken {
        count.listeners -= 1;
        counted.remove(uri);
    }
    count.is_taken
}

async fn unsubscribe<T: Transport>(transport: T, agreed: &Agreed, uri: &str) {
    let count = agreed.subscriptions.count(uri).await;
    let mut count = count.lock().await;
    count.listeners = count.listeners.saturating_sub(1);
    if count.listeners == 0 {
        count.is_taken = false;
        tell(transport, agreed, Method::RESOURCES_UNSUBSCRIBE, uri).await;
    }
}

async fn tell<T: Transport>(transport: T, agreed: &Agreed, method: Method, uri: &str) -> bool {
    let mut params = br#"{"uri":"#.to_vec();
    write::string(&mut params, uri);
    params.push(b'}');
    let params = Params::parse(Json::trusted(params.into())).expect("built as an object");
    let outbound = Outbound { call: Call::new(method, params), hop: agreed.hop.clone() };
    let answer = timeout(PATIENCE, async { transport.oneshot(outbound).await?.outcome().await }).await;
    matches!(answer, Ok(Ok(Outcome::Result(_))))
}

impl<T: Transport> Drop for Subscribed<T> {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let uris = self.counted.take();
        if uris.is_empty() && self.is_open {
            return;
        }
        let (transport, agreed) = (self.transport.clone(), self.agreed.clone());
        let leaving = async move {
            stream::iter(uris)
                .for_each_concurrent(AT_ONCE, |uri| {
                    let (transport, agreed) = (transport.clone(), &agreed);
                    async move { unsubscribe(transport, agreed, &uri).await }
                })
                .await;
            agreed.subscriptions.tidy().await;
        };
        self.tasks.spawn_on(leaving, &runtime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_about_a_resource_or_a_part_of_it() {
        for uri in ["file:///a", "file:///a/b", "file:///a#c"] {
            assert!(is_about("file:///a", uri), "{uri}");
        }
        assert!(is_about("file:///", "file:///a"));
        assert!(!is_about("file:///a", "file:///ab") && !is_about("file:///a/b", "file:///a"));
    }
}
