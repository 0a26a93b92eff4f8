//! Which endpoints are well.
//!
//! Two witnesses decide: a [`Probe`] that asks each endpoint in turn, and [`Observe`](observe::Observe) that watches real
//! calls. Both write to the endpoint's [`Vital`]; the [`Board`] tells everyone the [`Verdict`], and [`Healthy`] shows a
//! balancer only the endpoints that are well. An endpoint is well when its last probes say so *and* its breaker admits
//! calls, so a server that answers pings but hangs on calls is caught too.

//! ```text
//!    Probe ── every interval ──▶ ┌───────┐
//!                                │ Vital │ ── is_well(), one atomic load ──▶ Meter ──▶ Balance (this call)
//!  Observe ── how calls end ───▶ └───┬───┘
//!                                    └── verdict ──▶ Board ──▶ Healthy ──▶ Balance (the next snapshot)
//! ```
//!
//! The first way is the fast one: from the moment a failure is seen no call picks the endpoint. The second one is how
//! membership, status and everything else that may take a moment follows.

mod board;
mod breaker;
mod check;
mod discover;
pub mod error;
pub mod observe;
mod peers;
mod probe;
mod reason;
mod share;
mod vital;

pub use self::{
    board::{Board, Thresholds, Verdict, Verdicts},
    check::HealthCheck,
    discover::Healthy,
    peers::Peers,
    probe::Probe,
    vital::Vital,
};
