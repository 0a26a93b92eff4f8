use crate::{
    Method, Revision,
    auth::Mark,
    edge::{
        error::Refusal,
        legacy::{Asking, announce, post, session::Entry, sse, store},
        outbox::Outbox,
        running::{Inner, Running},
    },
    json::{Id, Json, Params},
};
use http::Extensions;
use std::sync::{Arc, Weak};
use tokio_util::sync::CancellationToken;

/// The one session of a client that opens with `initialize`: that of an HTTP+SSE client, whose messages all go one way
/// too. The session ends with the last of its calls once this is dropped.
pub(super) struct Legacy<S> {
    inner: Arc<S>,
    entry: Arc<Entry>,
    /// Cancelled when what only listens is over.
    over: CancellationToken,
}

impl<S: Inner> Legacy<S> {
    pub(super) fn new(inner: Arc<S>, queue: Outbox, over: CancellationToken, asking: Asking) -> Result<Self, Refusal> {
        let entry = Arc::new(Entry::streaming(store::mint()?, Mark::default(), queue).with_asking(asking));
        Ok(Self { inner, entry, over })
    }

    pub(super) fn request(&self, id: Id, method: Method, params: Params) -> Result<(), Refusal> {
        sse::request(&self.inner, &self.entry, Extensions::new(), id, method, params)
    }

    /// What a notification makes of itself: nothing more to do, or something to hand on.
    pub(super) fn told(&self, method: Method, params: Params) -> Result<Option<Running>, Refusal> {
        if method == Method::INITIALIZED {
            announce::announce(&self.inner, &self.entry, Extensions::new(), self.over.clone());
        }
        post::told(&self.inner, &self.entry, Extensions::new(), method, params)
    }

    /// Whether arrays of messages belong to the session's revision.
    pub(super) fn has_batches(&self) -> bool {
        self.entry.client().is_some_and(|client| client.session().revision() == Revision::V2025_03_26)
    }

    /// Takes the client's answer to a question.
    pub(super) fn answer(&self, id: Option<&Id>, answer: Result<Json, Json>) {
        self.entry.questions().answer(id, answer);
    }

    /// Takes back the running call with this id, if there is one.
    pub(super) fn cancel(&self, id: &Id) {
        self.entry.cancel(id);
    }

    /// Ends the session, with its calls, when it is dropped.
    pub(super) fn end(&self) -> End {
        End(Arc::downgrade(&self.entry))
    }
}

/// The end of a session, if that lives so long; it does not keep it alive.
pub(super) struct End(Weak<Entry>);

impl Drop for End {
    fn drop(&mut self) {
        if let Some(entry) = self.0.upgrade() {
            entry.close();
        }
    }
}

impl<S> Drop for Legacy<S> {
    fn drop(&mut self) {
        // The client has closed its end, so it answers nothing any more, and calls must not wait for that.
        self.entry.questions().close();
    }
}
