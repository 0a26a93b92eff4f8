//! Balancing calls over the endpoints of one pool.
//!
//! [`balance`] splits a pool in two, as hyper's `handshake` does a connection: the [`Balance`] that callers clone, and the
//! [`Driver`] that follows a [`Discover`](tower::discover::Discover) and must be spawned. The driver publishes what it
//! knows as one immutable snapshot; the service loads it, lets the [`Policy`](policy::Policy) pick with the call in hand,
//! and sends the call to a clone of what was picked.
//!
//! # Differences from `tower::balance::p2c`
//!
//! tower's balancer picks an endpoint before it sees the request, and must be shared through a
//! [`Buffer`](https://docs.rs/tower/0.5/tower/buffer/index.html), which costs a hop to a worker per call. It also waits
//! for ever on an empty set. The parts are the same: any `Discover` goes in here, and
//! [`Metered`](crate::load::Metered) services work in tower's balancer as well.

mod candidates;
mod driver;
pub mod error;
pub mod future;
mod members;
mod patience;
pub mod policy;
mod service;
mod tried;

pub use self::{
    candidates::Candidates,
    driver::Driver,
    members::Member,
    patience::Patience,
    policy::{Policy, Strategy},
    service::{Balance, balance},
    tried::Tried,
};
