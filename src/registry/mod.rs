//! Servers registered and unregistered at run time.

mod server;

pub use self::server::{Connection, InvalidServer, Server, Sessions};
