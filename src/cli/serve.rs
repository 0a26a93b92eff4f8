use super::{
    accept::{Accept, Workers, tls::Tls},
    admin::Admin,
    client::url,
    console::Console,
    pins,
    reload::Source,
    report::{Report, Row},
    routes::Routes,
    signal::Stop,
};
use crate::{
    Gateway,
    auth::AuthLayer,
    config::{self, Config, Limits},
    gateway::origin,
    metrics::Metrics,
    registry::{Entry, Registry},
    upstream::stdio::Runtimes,
};
use serde_json::json;
use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use tower::Layer;

/// How long connections may take to deliver what the drain has finished.
const DELIVERY: Duration = Duration::from_millis(300);

/// Where clients are served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faces {
    /// On the port of the configuration.
    pub(super) http: bool,
    /// On stdin and stdout.
    pub(super) stdio: bool,
}

/// Serves until a signal asks to stop, or the client at stdin leaves, and everything has ended.
///
/// The configuration is read again from its source; what tools are is kept in the file, if there is one.
pub(super) async fn serve(
    mut config: Config,
    faces: Faces,
    (tls, source, kept): (Option<Tls>, Source, Option<pins::File>),
    json: bool,
) -> Result<(), Box<dyn Error>> {
    // Before anything is printed: whoever reads the first line may send a signal at once.
    let stop = Stop::listen()?;
    let listener = match faces.http {
        true => Some(bind((config.host, config.port).into(), "--listen or `port`").await?),
        false => None,
    };
    // Beside messages nothing may be on stdout.
    let console = if faces.stdio { Console::open(io::stderr(), json)? } else { Console::open(io::stdout(), json)? };
    let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let (shown, admin) = (config.admin.clone(), admin(&config.admin, faces).await?);
    greet(&console, &config, address);
    let (origin, limits) = (origin(config.host), config.limits.clone());
    let workers = Arc::new(Workers::per_core()?);
    if faces.http {
        config.runtimes = Runtimes::new(workers.runtimes().cloned());
    }
    let (gateway, driver) = Gateway::from_config(config)?;
    let origin = origin.metrics(gateway.metrics().clone());
    let driver = tokio::spawn(driver);
    let draining = Arc::new(AtomicBool::new(false));
    let ready = {
        let (draining, registry) = (Arc::clone(&draining), gateway.registry().clone());
        move || !draining.load(Ordering::Relaxed) && registry.is_settled()
    };
    let drained = CancellationToken::new();
    let accept = {
        let (routes, drained) = (Routes::new(gateway.clone(), ready.clone()).origin(origin), drained.clone());
        let (limits, metrics) = (limits.clone(), gateway.metrics().clone());
        async move {
            let Some(listener) = listener else { return };
            // The listener stays open during the drain, so that probes are told 503 and not left to guess from a
            // refusal.
            let accept = bounded(listener, &limits, &metrics).workers(workers);
            let accept = tls.into_iter().fold(accept, Accept::tls);
            accept.serve(routes, drained.cancelled_owned()).await;
        }
    };
    let admin = operate(admin, shown, (gateway.clone(), ready), limits, drained.clone());
    let left = CancellationToken::new();
    let pipes = async {
        if faces.stdio {
            pipes(&gateway, &left, &drained).await;
        }
    };
    let end = end(stop, left.cancelled(), &gateway, &draining, &drained, &console);
    let served = tokio::select! {
        _ = async { tokio::join!(accept, admin, pipes, end) } => Ok(()),
        never = announce(gateway.registry(), &console) => match never {},
        never = pins::keep(gateway.registry().pins(), kept) => match never {},
        never = source.follow(&gateway, &console) => match never {},
        reason = lost(driver, &draining) => Err(reason),
    };
    console.close();
    served
}

/// Serves operators until all is drained, if they have a listener.
async fn operate(
    listener: Option<TcpListener>,
    shown: config::Admin,
    (gateway, ready): (Gateway, impl Fn() -> bool + Clone + Send + 'static),
    limits: Limits,
    drained: CancellationToken,
) {
    let Some(listener) = listener else { return };
    let metrics = gateway.metrics();
    let auth = shown.auth.unwrap_or(AuthLayer::none()).metrics(metrics.clone());
    let admin = auth.layer(Admin::new(gateway.registry().clone(), ready));
    let admin = origin(shown.host).metrics(metrics.clone()).layer(admin);
    bounded(listener, &limits, metrics).serve(admin, drained.cancelled_owned()).await;
}

/// Serves the client at stdin until it leaves, or can wait no longer for what was drained; `left` says so.
async fn pipes(gateway: &Gateway, left: &CancellationToken, drained: &CancellationToken) {
    let _left = left.clone().drop_guard();
    tokio::select! {
        served = gateway.serve_stdio(tokio::io::stdin(), tokio::io::stdout()) => served.unwrap_or_else(broken),
        () = too_late(drained) => {}
    }
}

fn bounded(listener: TcpListener, limits: &Limits, metrics: &Metrics) -> Accept {
    Accept::new(listener)
        .metrics(metrics.clone())
        .head_timeout(limits.head_timeout)
        .idle_timeout(limits.connection_idle_timeout)
        .stall_timeout(limits.stall_timeout)
        .grace(DELIVERY)
}

/// Completes when whatever has not been delivered since the drain never will be.
async fn too_late(drained: &CancellationToken) {
    drained.cancelled().await;
    sleep(DELIVERY).await;
}

/// A client that went away without reading its answers is no failure of the gateway.
fn broken(error: io::Error) {
    tracing::warn!(%error, "the client at stdin has gone");
}

/// Waits until the driver ends although nobody asked it to: nothing would follow the servers any more.
async fn lost(driver: JoinHandle<()>, draining: &AtomicBool) -> Box<dyn Error> {
    let ended = driver.await;
    if draining.load(Ordering::Relaxed) {
        // Closing the registry ends it, and the drain goes on.
        return std::future::pending().await;
    }
    match ended {
        Ok(()) => "the gateway's driver ended by itself".into(),
        Err(error) => error.into(),
    }
}

/// Waits for a signal, or until the client at stdin has `left`, and ends everything in order; a second signal ends the
/// process as soon as its children are gone.
async fn end(
    mut stop: Stop,
    left: impl Future<Output = ()>,
    gateway: &Gateway,
    draining: &AtomicBool,
    drained: &CancellationToken,
    console: &Console,
) {
    tokio::select! {
        _ = stop.next() => console.note("stopping", "stopping: calls in flight may finish; a second signal ends at once"),
        () = left => {}
    }
    draining.store(true, Ordering::Relaxed);
    let orderly = async {
        gateway.drain().await;
        drained.cancel();
    };
    tokio::select! {
        () = orderly => {}
        code = stop.next() => {
            gateway.halt().await;
            std::process::exit(code)
        }
    }
}

/// Listens where the operator's programs ask. The port that nobody chose is not worth a refusal to start: another gateway
/// of this machine may have it.
async fn admin(admin: &config::Admin, faces: Faces) -> Result<Option<TcpListener>, String> {
    let address = |port| SocketAddr::from((admin.host, port));
    match admin.port {
        Some(0) => Ok(None),
        // One of many that clients launch: not one that an operator would look for.
        None if !faces.http => Ok(None),
        Some(port) => bind(address(port), "`admin.port`").await.map(Some),
        None => match TcpListener::bind(address(config::Admin::PORT)).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::info!(port = config::Admin::PORT, %error, "servers and health are shown nowhere");
                Ok(None)
            }
        },
    }
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let (host, port) = (address.ip(), address.port());
        match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} on {host} is in use: stop the program that uses it, or choose another port with {setting} \
                 in the configuration"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("port {port} on {host} may not be used by this user: choose one above 1023 with {setting}")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "{host} is no address of this machine: set `host` to 127.0.0.1, or to 0.0.0.0 for every network"
                )
            }
            _ => format!("port {port} on {host} cannot be listened on: {error}"),
        }
    })
}

fn greet(console: &Console, config: &Config, address: Option<SocketAddr>) {
    for note in &config.notes {
        console.say("note", format!("note: {note}"), json!({ "message": note }));
    }
    let Some(address) = address else {
        return console.note("listening", format!("{} serves stdin and stdout", config.name));
    };
    let url = url(config, address);
    console.say("listening", format!("{} listens on {url}", config.name), json!({ "name": config.name, "url": url }));
}

/// Prints a line for each server whose fate becomes known, and whenever it changes.
async fn announce(registry: &Registry, console: &Console) -> std::convert::Infallible {
    let mut changes = registry.changes();
    let mut report = Report::default();
    loop {
        changes.borrow_and_update();
        for row in report.news(registry.list().iter().map(row).collect()) {
            console.say("server", row.to_string(), json!(row));
        }
        if changes.changed().await.is_err() {
            // The registry is gone, and no news will come of it.
            return std::future::pending().await;
        }
    }
}

fn row(entry: &Entry) -> Row {
    Row {
        id: entry.id.to_string(),
        name: entry.name.to_string(),
        transport: entry.transport,
        status: entry.status.to_string(),
        tools: entry.listing.as_ref().map(|_| entry.tools().len()),
        latency: entry.last_health_check.as_ref().map(|check| check.latency),
        error: entry.error.clone(),
    }
}
