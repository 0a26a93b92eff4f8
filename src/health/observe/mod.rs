//! Live calls as witnesses of an endpoint's health.

pub mod future;
mod layer;
mod service;
mod stream;
mod witness;

pub use self::{layer::ObserveLayer, service::Observe};
