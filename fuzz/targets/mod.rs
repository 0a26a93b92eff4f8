//! What each fuzzer does with its bytes. The fuzzers and the tests that replay their corpus share it.
//!
//! ```sh
//! cargo +nightly fuzz run envelope     # for as long as one likes
//! cargo test --test replay             # the kept corpus, on any compiler
//! ```
//!
//! A finding goes into `corpus/<target>` and stays there.

#![allow(dead_code, unreachable_pub, reason = "each fuzzer uses its part")]

pub mod answering;
pub mod config;
pub mod envelope;
pub mod headers;
pub mod http1;
pub mod params;
pub mod request_state;
pub mod session;
pub mod sse;
pub mod stdio;
pub mod walk;

/// What is done with the bytes.
pub type Run = fn(&[u8]);

/// Every target by the name of its corpus.
pub const ALL: [(&str, Run); 10] = [
    ("config", config::run),
    ("envelope", envelope::run),
    ("headers", headers::run),
    ("http1", http1::run),
    ("params", params::run),
    ("request_state", request_state::run),
    ("session", session::run),
    ("sse", sse::run),
    ("stdio", stdio::run),
    ("walk", walk::run),
];
