//! Deadlines for the head, the silence and the whole of a reply.
//!
//! # Differences from `tower::timeout`
//!
//! tower's deadline ends with the head of the response. Here it goes on to the outcome, and there are two: `idle` is the
//! longest silence (before the head, then between whole events), `total` the longest duration of all. A call that tells
//! of its progress may take long; one that says nothing may not.
//!
//! Every revision asks for both (2025-11-25, "basic/lifecycle: Timeouts"): a clock that progress may reset, and a maximum
//! that it may not.
//!
//! A deadline cancels the call as everything does here, by dropping it; the transports tell the server. What was dropped
//! for silence is marked with a [`Lapse`], so that health can tell a server that hangs from a client that left.
//!
//! A question of the server to a person ([`Event::Ask`](crate::reply::Event::Ask)) stops both clocks until it is answered
//! or refused, for a time of its own; of a call that asks without end, only the first 256.
//!
//! `subscriptions/listen` is quiet by nature and never times out.

pub mod error;
pub mod future;
mod lapse;
mod layer;
mod question;
mod service;
mod stream;
mod watch;

pub use self::{lapse::Lapse, layer::TimeoutLayer, service::Timeout};
