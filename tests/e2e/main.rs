//! The gateway between real clients and real servers, over real sockets and pipes.
//!
//! `tests/peers` tries the same peers without the gateway: when both fail, look there first.

#[path = "../support/mod.rs"]
mod support;

mod balance;
mod cancel;
mod change;
mod circle;
mod crossing;
mod crowd;
mod front;
mod large;
mod leave;
mod matrix;
mod names;
mod old;
mod own;
mod patience;
#[path = "../support/piecemeal.rs"]
mod piecemeal;
mod spelling;
mod streamed;
mod table;
mod verbatim;
#[path = "../support/wire.rs"]
mod wire;
