//! Clients that talk to a gateway, or straight to a server: the official SDK's, and a raw one that sends exact bytes.

mod raw;
mod sdk;

pub use self::{
    raw::{Answer, Raw, events, modern},
    sdk::{Client, Mode, connect, launch},
};
