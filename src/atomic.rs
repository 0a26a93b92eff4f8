//! The atomics and locks of what is made by hand from them. Under `--cfg interleave` they are loom's, so that tests can go through
//! every order in which threads may meet; nothing else of the crate runs then.

#[cfg(not(interleave))]
pub(crate) use futures_util::task::AtomicWaker;
#[cfg(interleave)]
pub(crate) use loom::future::AtomicWaker;
#[cfg(interleave)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(interleave))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
};
