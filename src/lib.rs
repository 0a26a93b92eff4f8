//! Many MCP servers behind one endpoint: a Model Context Protocol gateway as a tower middleware stack.

pub mod balance;
mod call;
pub mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod edge;
pub mod error;
mod gateway;
pub mod health;
pub mod json;
pub mod limit;
pub mod load;
pub mod meta;
mod method;
pub mod origin;
pub mod registry;
pub mod reply;
pub mod retry;
mod revision;
pub mod route;
mod session;
pub mod sse;
pub mod subscribe;
pub mod timeout;
pub mod upstream;

pub use self::{
    call::{Call, EndpointId, Providers, ServerName},
    error::BoxError,
    gateway::{Gateway, Stack},
    method::Method,
    reply::Reply,
    revision::{Revision, UnknownRevision},
    session::Session,
};
