//! What arrived at a server, counted, so that a test can tell "once" from "twice" and "never".

use std::{collections::HashMap, sync::Mutex};

use axum::http::HeaderMap;
use serde_json::Value;
use tokio::sync::watch;

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Arrivals of each tool's calls.
    pub calls: HashMap<String, usize>,
    /// Calls of `hang` that were cancelled or dropped.
    pub abandoned: usize,
    /// Arrivals of each method, notifications included.
    pub methods: HashMap<String, usize>,
}

/// The books of one server; a test reads them or awaits an entry.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: watch::Sender<Counts>,
    requests: Mutex<Vec<(HeaderMap, Value)>>,
}

impl Ledger {
    /// How many calls of `tool` arrived.
    pub fn calls(&self, tool: &str) -> usize {
        self.counts.borrow().calls.get(tool).copied().unwrap_or_default()
    }

    /// How many calls of each tool arrived.
    pub fn all_calls(&self) -> HashMap<String, usize> {
        self.counts.borrow().calls.clone()
    }

    /// How many messages of `method` arrived.
    pub fn methods(&self, method: &str) -> usize {
        self.counts.borrow().methods.get(method).copied().unwrap_or_default()
    }

    /// How many calls of `hang` were cancelled or dropped.
    pub fn abandoned(&self) -> usize {
        self.counts.borrow().abandoned
    }

    /// Resolves when the counts are as wanted.
    pub async fn until(&self, mut wanted: impl FnMut(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        super::soon("an entry in the ledger", counts.wait_for(|counts| wanted(counts)))
            .await
            .expect("we hold a sender");
    }

    /// Headers and bodies of all POSTs that arrived over HTTP, in order.
    pub fn posts(&self) -> Vec<(HeaderMap, Value)> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn post(&self, headers: &HeaderMap, body: &Value) {
        self.requests.lock().unwrap().push((headers.clone(), body.clone()));
    }

    pub(super) fn count_method(&self, method: &str) {
        self.counts.send_modify(|counts| *counts.methods.entry(method.into()).or_default() += 1);
    }

    pub(super) fn count_call(&self, tool: &str) {
        self.counts.send_modify(|counts| *counts.calls.entry(tool.into()).or_default() += 1);
    }

    pub(super) fn count_abandoned(&self) {
        self.counts.send_modify(|counts| counts.abandoned += 1);
    }
}
