//! Balancing calls over the endpoints of one pool.

pub mod error;
