use super::{
    live::Live,
    session::{Entry, Listening},
};
use crate::{
    BoxError, Method,
    edge::{
        Body,
        answer::{PATIENCE, event_stream, frame},
        error::Refusal,
        incoming::{accepts, not_acceptable},
        legacy::Legacy,
        running::Inner,
    },
    error::{Problem, explain},
    json::{Params, write},
    reply::{Event, Outcome},
};
use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use http::{Extensions, Response, request::Parts};
use std::sync::Arc;
use tokio::time::timeout;

impl Legacy {
    /// The stream of what is told outside of calls; one per session, because each message must go to one stream only.
    pub(super) async fn open_stream<S: Inner>(&self, inner: &S, parts: Parts) -> Result<Response<Body>, Refusal> {
        let entry = self.session(&parts.headers)?.ok_or_else(|| Refusal::method_not_allowed(Self::ALLOW))?;
        if !accepts(&parts.headers, &["text/event-stream", "text/*"]) {
            return Err(not_acceptable());
        }
        let place = entry.listen().ok_or_else(|| Problem::new(409, "stream", "the session has a stream already"))?;
        let mut live = listen(inner, &entry, parts.extensions, place).ok_or_else(super::no_session)?;
        let first = match timeout(PATIENCE, live.next()).await {
            Ok(Some(Ok(Event::Done(Outcome::Error(_))))) => return Err(Refusal::method_not_allowed("POST, DELETE")),
            Ok(Some(Err(error))) => return Err(explain(&*error).into()),
            Ok(event) => event,
            Err(_) => None,
        };
        let frames = stream::iter(first).chain(live).filter_map(|event| future::ready(notice(event).map(frame)));
        Ok(event_stream(frames, self.settings.keep_alive))
    }
}

/// Listens for changes of the lists on behalf of a session, until that ends; `None` before `initialize`.
pub(in crate::edge) fn listen<S: Inner>(
    inner: &S,
    entry: &Arc<Entry>,
    extensions: Extensions,
    place: Listening,
) -> Option<Live<Listening>> {
    let lists = serde_json::json!({
        "notifications": {"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true},
    });
    let params = Params::from_value(&lists).expect("an object");
    let call = entry.call(Method::LISTEN, &params, extensions)?;
    Some(Live::start(inner, call, entry.ended().clone(), place))
}

/// The message an event of such a stream is to the client: its first one and its end are of the later revision.
pub(in crate::edge) fn notice(event: Result<Event, BoxError>) -> Option<Bytes> {
    match event {
        Ok(Event::Note(note)) if note.method != Method::LISTEN_ACKNOWLEDGED => {
            Some(write::notification(&note.method, note.params.as_bytes()))
        }
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "a listening stream ended");
            None
        }
    }
}
