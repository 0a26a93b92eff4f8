//! Calls in flight, counted to the last event; and [`Open`], which lets none in any more.
//!
//! # Differences from `tower::limit::ConcurrencyLimit`
//!
//! tower gives the permit back with the head of the response. An MCP call is often a stream that has only begun then:
//! here the permit rides in the [`Reply`](crate::Reply) and comes back once that is complete or abandoned.

pub mod future;
mod layer;
mod open;
mod service;

pub use self::{layer::LimitLayer, open::Open, service::Limit};
