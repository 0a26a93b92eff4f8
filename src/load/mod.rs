//! What a balancer knows of an endpoint.

mod ewma;
pub mod future;
mod meter;
mod service;

pub use self::{
    meter::{Cost, Flight, Meter},
    service::Metered,
};
