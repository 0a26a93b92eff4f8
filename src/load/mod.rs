//! What a balancer knows of an endpoint.
//!
//! A [`Meter`] belongs to an endpoint, a [`Metered`] service is one way to it. The count of a call in flight rides in its
//! [`Reply`](crate::Reply) to the last event, so that an endpoint busy with ten long streams is seen as busy; tower's
//! `PendingRequests` and `PeakEwma` forget a call at its head, and are not `Clone`.

mod ewma;
pub mod future;
mod meter;
mod service;

pub use self::{
    meter::{Cost, Flight, Meter},
    service::Metered,
};
