//! Calls in flight, counted to the last event.
