//! What the allocator of the C library is told, so that a large message does not leave its memory behind.
//!
//! glibc learns from each large piece that is freed to take the next of that size from its heaps, up to 32 MiB, and keeps
//! twice as much at the end of each. A gateway that saw a few messages of 8 MiB would stay larger by a hundred for good.
//! It can only be told otherwise through the environment, before a program begins.

use std::{env, os::unix::process::CommandExt, process::Command};

/// Pieces from 1 MiB on are given back when they are freed, and the end of a heap beyond 4 MiB: more than what ordinary
/// answers need again at once.
const TOLD: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "4194304")];

/// Pieces above 768 bytes are not kept by the thread that frees them. What is as large is mostly there for a moment while a
/// connection begins; kept, it stands in the way of the next connection's buffers, and ten thousand clients that listen take
/// a fifth more memory. Calls cost the same. Of each smaller size a thread keeps 127 pieces in place of 7, so that the calls
/// of a hundred connections find again what those before them left.
const TUNED: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_max=768:glibc.malloc.tcache_count=127");

/// Begins this program anew with the allocator told, in the same process, unless somebody has told it something.
///
/// Where that cannot be done the program goes on as it is.
pub(super) fn tell() {
    if cfg!(not(all(target_os = "linux", target_env = "gnu"))) || TOLD.iter().any(|(key, _)| env::var_os(key).is_some())
    {
        return;
    }
    let (mut arguments, Ok(program)) = (env::args_os(), env::current_exe()) else { return };
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Whoever tunes the library otherwise knows why.
    if env::var_os(TUNED.0).is_none() {
        again.env(TUNED.0, TUNED.1);
    }
    let error = again.args(arguments).envs(TOLD).exec();
    tracing::debug!(%error, "the allocator keeps its own settings");
}
