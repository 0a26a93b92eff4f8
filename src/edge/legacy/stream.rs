use super::{dialogue::Said, feed::listen, line::Place, questions::Asked, session::Entry};
use crate::{
    BoxError, Method,
    edge::{
        Body, answer::event_stream, error::Refusal, headers::Fields, legacy::Legacy, media::not_acceptable,
        running::Inner,
    },
    error::{Problem, explain},
    header::LAST_EVENT_ID,
    json::write,
    reply::{Event, Outcome},
};
use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use http::{Response, request::Parts};
use std::sync::{Arc, Weak};

impl Legacy {
    /// The stream of what is told outside of calls; one per session, because each message must go to one stream only. It
    /// is that of the latest request for it.
    /// With `Last-Event-ID` the stream that event was of is gone on with, whichever it was.
    pub(super) async fn open_stream<S: Inner>(&self, inner: &Arc<S>, parts: Parts) -> Result<Response<Body>, Refusal> {
        let Fields { media, target } = Fields::of(&parts.headers);
        let entry = self.session(&target, &parts.extensions)?;
        let entry = entry.ok_or_else(|| Refusal::method_not_allowed(Self::ALLOW_WITHOUT))?;
        if !media.accepts(&parts.headers, &["text/event-stream", "text/*"]) {
            return Err(not_acceptable());
        }
        let last = target.last_event.single(&LAST_EVENT_ID)?;
        let from = last.map(|last| Place::parse(last).ok_or_else(unknown)).transpose()?;
        if let Some(from) = &from {
            match entry.resume(from) {
                Some(reader) => return Ok(event_stream(reader, self.settings.keep_alive)),
                // What is told outside of calls begins again after a restart, the answers of before are lost.
                None if !from.listening => return Err(unknown()),
                None => {}
            }
        }
        let Some(place) = entry.listen() else {
            // The latest has it, and the response that had it ends. One that is only about to begin has nothing to give.
            let reader = entry.take_over();
            let reader = reader.ok_or_else(|| Problem::new(409, "stream", "the session's stream is being opened"))?;
            return Ok(event_stream(reader, self.settings.keep_alive));
        };
        let listening = listen(inner, &entry, parts.extensions, place).await;
        let (first, rest) = listening.ok_or_else(super::no_session)?;
        match &first {
            Some(Ok(Event::Done(Outcome::Error(_)))) => return Err(Refusal::method_not_allowed("POST, DELETE")),
            Some(Err(error)) => return Err(explain(&**error).into()),
            _ => {}
        }
        let mut notices = Notices::of(&entry);
        let messages = stream::iter(first)
            .chain(rest)
            .filter_map(move |event| future::ready(notices.take(event).map(Said::Meanwhile)));
        Ok(event_stream(entry.tell(Box::pin(messages), from.as_ref()), self.settings.keep_alive))
    }
}

fn unknown() -> Refusal {
    Problem::new(400, "event", "nothing is known of the stream of this event any more").into()
}

/// What is told a client outside of its calls, as messages; questions are open as long as this lives.
pub(super) struct Notices {
    entry: Weak<Entry>,
    asked: Vec<Asked>,
}

impl Notices {
    pub(super) fn of(entry: &Arc<Entry>) -> Self {
        // The stream must not keep a session that has ended.
        Self { entry: Arc::downgrade(entry), asked: Vec::new() }
    }

    /// The message an event is to the client: the first event and the last are of the later revision.
    pub(super) fn take(&mut self, event: Result<Event, BoxError>) -> Option<Bytes> {
        match event {
            Ok(Event::Note(note)) if note.method != Method::LISTEN_ACKNOWLEDGED => {
                Some(write::notification(&note.method, note.params.as_bytes()))
            }
            Ok(Event::Ask(ask)) => {
                self.asked.retain(Asked::is_open);
                let (asked, message) = self.entry.upgrade()?.ask(*ask)?;
                self.asked.push(asked);
                Some(message)
            }
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%error, "a listening stream ended");
                None
            }
        }
    }
}
