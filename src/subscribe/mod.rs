//! Streams of what changes.
