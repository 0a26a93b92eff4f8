use crate::{
    Gateway,
    auth::AuthLayer,
    cli::{
        accept::{Accept, Incoming, Workers, tls::Tls},
        admin::Admin,
        console::Console,
        routes::Routes,
        signal::Stop,
    },
    config::{self, Limits},
    gateway::origin,
    origin::OriginLayer,
};
use futures_util::future::Either;
use http::Request;
use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use tower::{Layer, ServiceExt, service_fn};

/// How long connections may take to deliver what the drain has finished.
const DELIVERY: Duration = Duration::from_millis(300);

/// A gateway that runs, and how far its end is. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Running {
    gateway: Gateway,
    limits: Limits,
    draining: Arc<AtomicBool>,
    drained: CancellationToken,
}

impl Running {
    pub(super) fn new(gateway: Gateway, limits: Limits) -> Self {
        Self { gateway, limits, draining: Arc::default(), drained: CancellationToken::new() }
    }

    /// Serves clients until all is drained, if they have a listener. It stays open during the drain, so that probes are told
    /// 503 and not left to guess from a refusal.
    pub(super) async fn clients(
        self,
        listener: Option<TcpListener>,
        origin: OriginLayer,
        tls: Option<Tls>,
        workers: Arc<Workers>,
    ) {
        let Some(listener) = listener else { return };
        let origin = origin.metrics(self.gateway.metrics().clone());
        let routes = Routes::new(self.gateway.clone(), self.readiness()).origin(origin);
        let accept = self.accept(listener).workers(workers);
        let accept = tls.into_iter().fold(accept, Accept::tls);
        accept.serve(routes, self.drained.cancelled_owned()).await;
    }

    /// Serves operators until all is drained, if they have a listener.
    pub(super) async fn operators(self, listener: Option<TcpListener>, shown: config::Admin) {
        let Some(listener) = listener else { return };
        let metrics = self.gateway.metrics();
        let auth = shown.auth.unwrap_or(AuthLayer::none()).metrics(metrics.clone());
        let open = Admin::new(self.gateway.registry().clone(), self.readiness());
        let guarded = auth.layer(open.clone());
        let admin = service_fn(move |request: Request<Incoming>| match request.uri().path() {
            // Probes have no token, and are told no more than at the clients' address.
            "/healthz" | "/readyz" => Either::Left(open.clone().oneshot(request)),
            _ => Either::Right(guarded.clone().oneshot(request)),
        });
        let admin = origin(shown.host).metrics(metrics.clone()).layer(admin);
        self.accept(listener).serve(admin, self.drained.cancelled_owned()).await;
    }

    /// Serves the client at stdin until it leaves, or can wait no longer for what was drained; `left` says so.
    pub(super) async fn pipes(&self, left: &CancellationToken) {
        let _left = left.clone().drop_guard();
        let served = self.gateway.serve_stdio(tokio::io::stdin(), tokio::io::stdout());
        tokio::select! {
            served = served => served.unwrap_or_else(broken),
            () = self.too_late() => {}
        }
    }

    /// Waits for a signal, or until the client at stdin has `left`, and ends everything in order; a second signal ends the
    /// process as soon as its children are gone.
    pub(super) async fn end(&self, mut stop: Stop, left: impl Future<Output = ()>, console: &Console) {
        tokio::select! {
            _ = stop.next() => console.note("stopping", "stopping: calls in flight may finish; a second signal ends at once"),
            () = left => {}
        }
        self.draining.store(true, Ordering::Relaxed);
        let orderly = async {
            self.gateway.drain().await;
            self.drained.cancel();
        };
        tokio::select! {
            () = orderly => {}
            code = stop.next() => {
                self.gateway.halt().await;
                std::process::exit(code)
            }
        }
    }

    /// Waits until the driver ends although nobody asked it to: nothing would follow the servers any more.
    pub(super) async fn lost(&self, driver: JoinHandle<()>) -> Box<dyn Error> {
        let ended = driver.await;
        if self.draining.load(Ordering::Relaxed) {
            // Closing the registry ends it, and the drain goes on.
            return std::future::pending().await;
        }
        match ended {
            Ok(()) => "the gateway's driver ended by itself".into(),
            Err(error) => error.into(),
        }
    }

    /// What says whether requests should be sent here.
    fn readiness(&self) -> impl Fn() -> bool + Clone + Send + 'static {
        let (draining, registry) = (self.draining.clone(), self.gateway.registry().clone());
        move || !draining.load(Ordering::Relaxed) && registry.is_settled()
    }

    fn accept(&self, listener: TcpListener) -> Accept {
        Accept::new(listener)
            .metrics(self.gateway.metrics().clone())
            .head_timeout(self.limits.head_timeout)
            .idle_timeout(self.limits.connection_idle_timeout)
            .stall_timeout(self.limits.stall_timeout)
            .grace(DELIVERY)
    }

    /// Completes when whatever has not been delivered since the drain never will be.
    async fn too_late(&self) {
        self.drained.cancelled().await;
        sleep(DELIVERY).await;
    }
}

/// A client that went away without reading its answers is no failure of the gateway.
fn broken(error: io::Error) {
    tracing::warn!(%error, "the client at stdin has gone");
}
