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

pub(super) use self::{connection::Fate, upload::Arriving};

use self::{connection::Connection, deadline::Due, ended::Ended};
use super::{HttpService, Limits, Place, signal::Signal, socket::Moves};
use crate::metrics::{Count, Metrics};
use std::{error::Error, io, pin::Pin};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// A connection that `S` answers. Boxed, because its task is another when it moves.
pub(super) struct Http1<T, S: HttpService>(Pin<Box<Connection<T, S, S::ResponseBody>>>);

impl<T, S> Http1<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    /// The client's time for its first request has been running since `begun`. When `closing` is given, the answer in flight
    /// is the last one.
    pub(super) fn new(
        stream: T,
        service: S,
        limits: Limits,
        begun: Instant,
        closing: &Signal,
        place: Option<Place>,
    ) -> Self {
        Self(Box::pin(Connection::new(stream, service, limits, begun, closing.given(), place)))
    }

    /// Serves it to its end, or until it moves.
    pub(super) async fn serve(&mut self, metrics: &Metrics) -> Fate {
        let error = match self.0.as_mut().await {
            Ok(fate) => return fate,
            Err(error) => error,
        };
        match &error {
            Ended::Refused(_) => metrics.count(Count::Malformed),
            Ended::Late(Due::Stall) => metrics.count(Count::StalledClient),
            Ended::Late(Due::Request) => metrics.count(Count::SlowClient),
            _ => {}
        }
        tracing::debug!(error = &error as &dyn Error, "connection ended");
        Fate::Over
    }

    /// Known to no runtime from here on, until it [arrives](Self::arrive) on another.
    pub(super) fn leave(&mut self) -> io::Result<()>
    where
        T: Moves,
    {
        self.0.as_mut().leave()
    }

    /// Served by the runtime that this is called in.
    pub(super) fn arrive(&mut self) -> io::Result<()>
    where
        T: Moves,
    {
        self.0.as_mut().arrive()
    }
}
