//! Live calls as witnesses of an endpoint's health.
//!
//! [`Observe`] goes around one endpoint's stack, inside the balancer: it must see which endpoint failed, and what load
//! shedding and limits answer. Deadlines are set outside the pool, so what it sees of a call that hung is that it is
//! dropped; [`Lapse`](crate::timeout::Lapse) tells it why.

pub mod future;
mod layer;
mod service;
mod witness;

pub use self::{layer::ObserveLayer, service::Observe};
