use super::Endpoint;
use crate::{Method, json::write, upstream::Hop};
use std::sync::Arc;

/// Tells an initialize-era server that nobody waits for a request any more, when dropped before it was answered.
///
/// Modern servers see the response closed and must be told nothing more; `initialize` must not be cancelled
/// (2025-11-25, "cancellation").
#[derive(Debug)]
pub(super) struct Cancel(Option<(Arc<Endpoint>, Arc<Hop>, u64)>);

impl Cancel {
    /// The guard of request `id`.
    pub(super) fn new(endpoint: &Arc<Endpoint>, hop: &Arc<Hop>, method: &Method, id: u64) -> Self {
        let wanted = !hop.is_modern() && *method != Method::INITIALIZE;
        Self(wanted.then(|| (endpoint.clone(), hop.clone(), id)))
    }

    /// There is nothing left to cancel.
    pub(super) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if let Some((endpoint, hop, id)) = self.0.take() {
            let params = format!("{{\"requestId\":{id}}}");
            let body = write::notification(&Method::CANCELLED, params.as_bytes());
            let request = endpoint.post(&hop, None, body);
            endpoint.client.detach_then(request, move || hop.line.taken(id));
        }
    }
}
