use super::signal::Signal;
use crate::metrics::Metrics;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// The connections of a listener, and what is said to all of them; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connections: TaskTracker,
    closing: Signal,
    cut: Signal,
    metrics: Metrics,
}

impl Tasks {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self(Arc::new(Inner { metrics, ..Inner::default() }))
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Given when answers in flight are the last ones.
    pub(super) fn closing(&self) -> &Signal {
        &self.0.closing
    }

    /// Serves a connection to its end or until it is cut.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static, runtime: &Handle) {
        let cut = self.0.cut.given();
        let served = async move {
            tokio::select! {
                biased;
                () = connection => {}
                () = cut => {}
            }
        };
        self.0.connections.spawn_on(served, runtime);
    }

    /// Lets the answers in flight finish, closes idle connections, and cuts after `grace` what is left.
    pub(super) async fn end(self, grace: Duration) {
        let Inner { connections, closing, cut, .. } = &*self.0;
        closing.give();
        connections.close();
        if tokio::time::timeout(grace, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "answers still in flight are cut");
            cut.give();
            connections.wait().await;
        }
    }
}
