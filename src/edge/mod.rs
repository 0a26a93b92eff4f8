//! HTTP in, calls out.
