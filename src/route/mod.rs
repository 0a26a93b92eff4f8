//! Calls to pools, by name.

pub mod error;
mod table;

pub use self::table::{Tables, Versions};
