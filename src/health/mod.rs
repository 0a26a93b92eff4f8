//! Which endpoints are well.
