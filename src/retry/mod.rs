//! Calls repeated where that runs nothing twice.
