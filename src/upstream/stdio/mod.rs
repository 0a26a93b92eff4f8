//! Servers that are child processes and speak on stdin and stdout, one JSON message a line.
//!
//! [`Stdio`] is a handle; behind it a driver, spawned into the server's [tracker](crate::registry::Server::tasks), owns
//! the child. It starts the child at once, restarts it with backoff when it goes away, and stops it when the last handle
//! and the last reply are gone.
//!
//! - **Place.** The driver runs on the runtime that the handle is made in, or on one of the [`Runtimes`] of the
//!   [settings](super::Settings::runtimes); calls may come from any.
//! - **Start.** No shell ever sees the arguments. The environment is empty but for [`INHERITED`] and what is
//!   configured. The child leads a process group of its own, so that what it starts can be stopped with it.
//! - **stdout** carries messages. Lines that are none (banners, stray prints) are skipped and
//!   [counted](Stats::skipped). An answer above the limit fails its call with
//!   [`TooLarge`](super::error::TooLarge); where its id stands so that it was not kept, the call that is left when all
//!   others are answered. What else is above it is skipped.
//! - **stderr** goes to `tracing`, target `mcp::stderr`, line by line; at most 200 lines a second are logged, and how many were
//!   not is told.
//! - **stdin** is fed from a short queue. A child that does not read fills it, and then its own
//!   [`poll_ready`](tower::Service::poll_ready) is pending; its stdout is read nevertheless.
//! - **Exit** fails every call in flight with [`Closed`](super::error::Closed) at once. The next start follows after
//!   250 ms, then 500 ms, and so on up to 4 s; ten seconds of life begin the row anew.
//! - **Standstill.** A child that answered before, and then leaves [`hung_after`](super::Settings::hung_after) health
//!   checks unanswered (or takes no message for 5 s, or reads no cancellation for as long) without a word on stdout, is killed with its group and started again. One
//!   that has a client's call is left to it until the call is over.
//! - **Stop** closes stdin, then sends SIGTERM and at last SIGKILL to the group, with
//!   [`stop_grace`](super::Settings::stop_grace) and [`kill_grace`](super::Settings::kill_grace) between. A process that
//!   made a session of its own (`setsid`) is out of reach. For the end of a program that cannot stop anything any more
//!   there is a [`watchdog`].

mod backoff;
mod child;
mod connection;
mod driver;
pub mod future;
mod group;
mod lines;
mod runtimes;
mod service;
#[cfg(test)]
mod tests;
pub mod watchdog;
mod writer;

pub(crate) use self::lines::{Line, Lines};
pub use self::{
    child::{CannotStart, INHERITED},
    runtimes::Runtimes,
    service::{Stats, Stdio},
};
