//! The stack as one type, and its construction from a configuration.
