//! Deadlines for the head, the silence and the whole of a reply.

pub mod error;
