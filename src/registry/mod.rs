//! Servers registered and unregistered at run time.
//!
//! [`Registry`] is the handle, [`Builder`] what shapes it, and the driver that [`Builder::build`] returns does the work.
//! Per server it runs a [`Probe`](crate::health::Probe) and a [`Refresh`](crate::catalog::Refresh) on the connection
//! itself, and puts the endpoint's stack into the pool of its name:
//!
//! ```text
//! pool      Retry ─ Balance ◀─ Healthy ◀─ Change<EndpointId, …>
//! endpoint                     Metered ─ Rate ─ Observe ─ LoadShed ─ Caught ─ (Builder::endpoint) ─ (Builder::connect)
//! ```

mod address;
mod builder;
mod changes;
mod driver;
mod endpoint;
mod error;
mod handle;
mod measured;
mod member;
mod panic;
mod pool;
mod server;
mod status;
mod terms;

pub use self::{
    builder::{Builder, Connect, Endpoint},
    changes::Changes,
    error::RegisterError,
    handle::Registry,
    measured::Measured,
    server::{Connection, InvalidServer, Server, Sessions},
    status::{Entry, Status},
    terms::Resend,
};
