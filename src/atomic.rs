//! The atomics of what is made by hand from them. Under `--cfg interleave` they are loom's, so that tests can go through
//! every order in which threads may meet; nothing else of the crate runs then.

#[cfg(not(interleave))]
pub(crate) use futures_util::task::AtomicWaker;
#[cfg(interleave)]
pub(crate) use loom::future::AtomicWaker;
#[cfg(interleave)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
#[cfg(not(interleave))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
