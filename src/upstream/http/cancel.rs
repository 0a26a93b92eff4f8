use super::Endpoint;
use crate::{Method, json::write, upstream::Hop};
use std::sync::Arc;

impl Endpoint {
    /// Tells an initialize-era server that nobody waits for request `id` any more. Best effort, and nobody waits for it.
    #[cold]
    pub(super) fn cancel(&self, hop: &Arc<Hop>, id: u64) {
        let params = format!("{{\"requestId\":{id}}}");
        let body = write::notification(&Method::CANCELLED, params.as_bytes());
        let request = self.post(hop, None, body);
        let hop = hop.clone();
        self.client.detach_then(request, move || hop.line.taken(id));
    }
}
