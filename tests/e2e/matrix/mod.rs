//! Each kind of client × each kind of server × each feature: prints the matrix, and fails where a cell should hold and does not.

pub(crate) mod caller;
mod features;

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt, future::join_all};

use self::{
    caller::{Caller, Kind as Client},
    features::Feature,
};
use crate::{
    front::Front,
    support::{
        peer::Peer,
        servers::{Kind as Server, Running},
    },
};

const CLIENTS: [Client; 7] = [
    Client::Sse,
    Client::Initialize("2025-03-26"),
    Client::Initialize("2025-06-18"),
    Client::Initialize("2025-11-25"),
    Client::Modern,
    Client::Pipe("2025-11-25"),
    Client::ModernPipe,
];

const SERVERS: [Server; 6] =
    [Server::Sse, Server::Legacy, Server::LegacySessionless, Server::Modern, Server::Pipe, Server::ModernPipe];

/// Less than a wait that fails by itself, so that a matrix with many failures is still printed soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a cell of the matrix says.
#[derive(Clone)]
enum Cell {
    Holds,
    Fails(String),
    /// A pair that cannot have the feature.
    Without,
}

fn asks(feature: Feature) -> bool {
    use Feature::{AskAfterCancel, Elicitation, Roots, Sampling, UrlElicitation};
    matches!(feature, Elicitation | UrlElicitation | Sampling | Roots | AskAfterCancel)
}

/// Whether a pair cannot have a feature, by what the protocol gives it.
fn without(client: Client, server: Server, feature: Feature) -> bool {
    match (client, server, feature) {
        // Without a session there is no way to answer a server, and no stream for its news.
        (_, Server::LegacySessionless, Feature::ListChanged | Feature::Subscription) => true,
        (_, Server::LegacySessionless, _) => asks(feature),
        // Questions by URL came with 2025-11-25.
        (Client::Sse | Client::Initialize("2025-03-26" | "2025-06-18"), _, Feature::UrlElicitation) => true,
        _ => false,
    }
}

/// One row: every feature of a pair.
async fn row(client: Client, server: &Running, front: Option<&Front>) -> Vec<Cell> {
    let at = match front {
        None => server.address(),
        Some(front) if client.is_pipe() => front.pipes(),
        Some(front) => front.address(),
    };
    let mut cells = Vec::new();
    for feature in Feature::ALL {
        if without(client, server.kind, feature) {
            cells.push(Cell::Without);
            continue;
        }
        let tried = async {
            let mut caller = Caller::open(client, at).await;
            feature.check(client, &mut caller, server).await;
        };
        let tried = AssertUnwindSafe(tokio::time::timeout(PATIENCE, tried)).catch_unwind();
        cells.push(match tried.await {
            Ok(Ok(())) => Cell::Holds,
            Ok(Err(_)) => Cell::Fails(format!("not over after {PATIENCE:?}")),
            Err(panic) => Cell::Fails(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".into())),
        });
    }
    cells
}

/// Prints the rows, and the failures under them.
fn judge(rows: &[(String, Vec<Cell>)]) {
    let heads: Vec<_> = Feature::ALL.iter().map(|feature| format!("{feature:?}")).collect();
    println!("{:48} {}", "", heads.join(" "));
    let mut failures = Vec::new();
    for (name, cells) in rows {
        let marks = cells.iter().zip(&heads).map(|(cell, head)| {
            let mark = match cell {
                Cell::Holds => "✓",
                Cell::Fails(_) => "✗",
                Cell::Without => "-",
            };
            format!("{mark:^width$}", width = head.len())
        });
        println!("{name:48} {}", marks.collect::<Vec<_>>().join(" "));
        for (cell, head) in cells.iter().zip(&heads) {
            if let Cell::Fails(why) = cell {
                failures.push(format!("{name}: {head}: {why}"));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// The peers themselves, without a gateway: where this fails, the matrix says nothing about the gateway.
#[tokio::test]
async fn direct() {
    let pairs = [
        (Client::Sse, Server::Sse),
        (Client::Initialize("2025-11-25"), Server::Legacy),
        (Client::Initialize("2025-11-25"), Server::LegacySessionless),
        (Client::Modern, Server::Modern),
        (Client::Pipe("2025-11-25"), Server::Pipe),
        (Client::ModernPipe, Server::ModernPipe),
    ];
    let mut rows = Vec::new();
    for (client, kind) in pairs {
        let server = Running::start(kind, Peer::asking("one")).await;
        rows.push((format!("{client:?} × {kind:?}"), row(client, &server, None).await));
    }
    judge(&rows);
}

#[tokio::test]
async fn through_the_gateway() {
    let rows = join_all(SERVERS.map(|kind| async move {
        let mut rows = Vec::new();
        for client in CLIENTS {
            let server = Running::start(kind, Peer::asking("one")).await;
            let front = Front::of_one(&server).await;
            rows.push((format!("{client:?} × {kind:?}"), row(client, &server, Some(&front)).await));
        }
        rows
    }));
    judge(&rows.await.concat());
}
