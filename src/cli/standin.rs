//! The gateway's and registry's shape, until they are here.
#![allow(dead_code)]
use crate::{EndpointId, ServerName, config::Config};
use http::{Request, Response};
use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};
use tokio::sync::watch;

#[derive(Clone)]
pub(super) struct Registry(Arc<Config>, watch::Sender<u64>);
pub(super) struct Check {
    pub(super) latency: Duration,
}
pub(super) struct Entry {
    pub(super) id: EndpointId,
    pub(super) name: ServerName,
    pub(super) transport: &'static str,
    pub(super) status: &'static str,
    pub(super) listing: Option<()>,
    pub(super) last_health_check: Option<Check>,
    pub(super) error: Option<String>,
}
impl Entry {
    pub(super) fn tools(&self) -> std::slice::Iter<'_, ()> {
        [].iter()
    }
}
impl Registry {
    pub(super) fn list(&self) -> Vec<Entry> {
        let entry = |server: &crate::registry::Server| Entry {
            id: server.id().clone(),
            name: server.name().clone(),
            transport: server.connection().transport(),
            status: "connected",
            listing: Some(()),
            last_health_check: None,
            error: None,
        };
        self.0.servers.iter().map(entry).collect()
    }
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.1.subscribe()
    }
    pub(super) fn is_settled(&self) -> bool {
        true
    }
    pub(super) async fn close(&self) {
        self.1.send_replace(1);
    }
}
#[derive(Clone)]
pub(super) struct Gateway(Registry);
impl Gateway {
    pub(super) fn from_config(
        config: Config,
    ) -> Result<(Self, impl Future<Output = ()> + Send), crate::registry::InvalidServer> {
        let registry = Registry(Arc::new(config), watch::Sender::new(0));
        let mut closed = registry.1.subscribe();
        Ok((Self(registry), async move {
            let _ = closed.wait_for(|closed| *closed == 1).await;
        }))
    }
    pub(super) fn registry(&self) -> &Registry {
        &self.0
    }
    pub(super) async fn drain(&self) {
        self.0.close().await;
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
impl<B> tower::Service<Request<B>> for Gateway {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;
    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::ready(Ok(Response::new(String::new())))
    }
}
