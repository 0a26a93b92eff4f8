//! The command that serves, from its first listener to its last answer.

mod listen;
mod running;

use self::{listen::Listeners, running::Running};
use super::{
    accept::{Workers, tls::Tls},
    console::Console,
    pins,
    reload::Source,
    report::{Report, Row},
    signal::Stop,
};
use crate::{
    Gateway,
    config::Config,
    gateway::origin,
    registry::{Entry, Registry},
    upstream::stdio::Runtimes,
};
use serde_json::json;
use std::{convert::Infallible, error::Error, io, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Where clients and operators are served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faces {
    /// On the port of the configuration.
    pub(super) http: bool,
    /// On stdin and stdout.
    pub(super) stdio: bool,
    /// Operators on any port that is free, whatever the configuration says.
    pub(super) any_admin: bool,
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
    let listeners = Listeners::bind(&config, faces).await?;
    // Beside messages nothing may be on stdout.
    let console = if faces.stdio { Console::open(io::stderr(), json)? } else { Console::open(io::stdout(), json)? };
    listeners.tell(&config, &console)?;
    let (origin, limits, shown) = (origin(config.host), config.limits.clone(), config.admin.clone());
    let workers = Arc::new(Workers::per_core()?);
    if faces.http {
        config.runtimes = Runtimes::new(workers.runtimes().cloned());
    }
    let (gateway, driver) = Gateway::from_config(config)?;
    let driver = tokio::spawn(driver);
    let running = Running::new(gateway.clone(), limits);
    let left = CancellationToken::new();
    let served = async {
        let clients = running.clone().clients(listeners.http, origin, tls, workers);
        let operators = running.clone().operators(listeners.admin, shown);
        let pipes = async {
            if faces.stdio {
                running.pipes(&left).await;
            }
        };
        tokio::join!(clients, operators, pipes, running.end(stop, left.cancelled(), &console))
    };
    let served = tokio::select! {
        _ = served => Ok(()),
        never = announce(gateway.registry(), &console) => match never {},
        never = pins::keep(gateway.registry().pins(), kept) => match never {},
        never = source.follow(&gateway, &console) => match never {},
        reason = running.lost(driver) => Err(reason),
    };
    console.close();
    served
}

/// Prints a line for each server whose fate becomes known, and whenever it changes.
async fn announce(registry: &Registry, console: &Console) -> Infallible {
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
