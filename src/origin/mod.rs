//! DNS rebinding.
