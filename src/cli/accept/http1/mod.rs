//! One connection of HTTP/1.1, with a deadline for whatever a client may be slow with, and with heads that are read in one way
//! only.
//!
//! An HTTP/1 server for any program must leave more open: upgrades, trailers, half-closed connections, whoever wants to be
//! asked. What this one does for a request is to read it where it arrived, to call the service, and to write head and body of
//! its answer at once.

mod connection;
mod deadline;
mod ended;
mod head;
mod input;
mod line;
mod output;
mod repeated;
mod response;
mod upload;
mod wire;

pub(super) use self::upload::Arriving;

use self::{connection::Connection, deadline::Due, ended::Ended};
use super::{HttpService, Limits, signal::Signal};
use crate::metrics::{Count, Metrics};
use std::{error::Error, future::Future};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// Serves one connection to its end. When `closing` is given, the answer in flight is the last one.
pub(super) fn serve<T, S>(
    stream: T,
    service: S,
    (limits, metrics): (Limits, Metrics),
    begun: Instant,
    closing: Signal,
) -> impl Future<Output = ()> + Send
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let connection = Connection::new(stream, service, limits, begun, closing.given());
    async move {
        let Err(error) = connection.await else { return };
        match &error {
            Ended::Refused(_) => metrics.count(Count::Malformed),
            Ended::Late(Due::Stall) => metrics.count(Count::StalledClient),
            Ended::Late(Due::Request) => metrics.count(Count::SlowClient),
            _ => {}
        }
        tracing::debug!(error = &error as &dyn Error, "connection ended");
    }
}
