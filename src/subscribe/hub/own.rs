//! The part of a subscription that a server keeps in the session of one client.

use super::{
    feed::{ACKNOWLEDGE, Failed, Stream, acknowledged, listen},
    inbox::Inbox,
    topics::Uris,
};
use crate::{
    BoxError, Call, Method, Reply,
    json::object::Edit,
    reply::{Event, Note},
    upstream::{Backoff, InSession},
};
use futures_util::StreamExt;
use std::sync::Arc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// A listener that has come to an endpoint with a client of its own.
///
/// Servers that keep a session for each client may tell of a resource in the session only that subscribed to it. So the
/// listener is subscribed there as well, and as long as it is, that is where it hears of its resources.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Who listens: a call of that client.
    client: Call,
    /// The URIs at this endpoint, each with its place in the inbox.
    uris: Vec<(Arc<str>, usize)>,
    inbox: Arc<Inbox>,
    /// Cancelled when the listener goes.
    pub(super) gone: CancellationToken,
    /// Until it is known whether there is a session of its own.
    settling: Option<Settling>,
}

/// The listener's acknowledgement waits while this lives.
#[derive(Debug)]
struct Settling(Arc<Inbox>);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.settle(false);
    }
}

impl Arrival {
    pub(super) fn new(client: Call, uris: Vec<(Arc<str>, usize)>, inbox: Arc<Inbox>, gone: CancellationToken) -> Self {
        inbox.settle(true);
        let settling = Some(Settling(inbox.clone()));
        Self { client, uris, inbox, gone, settling }
    }

    /// Keeps the subscription until the listener goes; ends at once where the endpoint has no such sessions.
    pub(super) async fn keep<S>(self, service: S)
    where
        S: Service<Call, Response = Reply> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        let gone = self.gone.clone();
        gone.run_until_cancelled_owned(self.follow(service)).await;
    }

    async fn follow<S>(mut self, service: S)
    where
        S: Service<Call, Response = Reply> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        let mut backoff = Backoff::default();
        let mut client = self.client.clone();
        client.extensions.insert(InSession);
        let asked: Uris = self.uris.iter().map(|(uri, _)| uri.clone()).collect();
        let filter = listen(&asked);
        let call = client.with(|asked| {
            asked.method = Method::LISTEN;
            asked.params = asked.params.edit(&[Edit::Set("notifications", &filter)]);
        });
        while let Some(stream) = opened(service.clone(), call.clone(), &asked).await {
            if let Some(stream) = stream {
                let own = Own::new(&self, &stream.honoured);
                self.settling = None;
                let mut events = stream.events;
                while let Some(Ok(event)) = events.next().await {
                    match event {
                        Event::Note(note) => own.heard(&note),
                        Event::Ask(_) | Event::Part(_) => {}
                        Event::Done(_) => break,
                    }
                }
                backoff.reset();
            }
            self.settling = None;
            sleep(backoff.next()).await;
        }
    }
}

/// A stream, or nothing for now; `None` where there will never be one.
async fn opened<S>(service: S, call: Call, asked: &Uris) -> Option<Option<Stream>>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    match timeout(ACKNOWLEDGE, acknowledged(service, call, asked)).await {
        Ok(Ok(stream)) if stream.honoured.is_empty() => None,
        Ok(Ok(stream)) => Some(Some(stream)),
        Ok(Err(Failed::Refused)) => None,
        Ok(Err(Failed::Lost)) | Err(_) => Some(None),
    }
}

/// While it lives, the listener hears of these places from its own session only.
struct Own {
    inbox: Arc<Inbox>,
    uris: Vec<(Arc<str>, usize)>,
}

impl Own {
    fn new(arrival: &Arrival, honoured: &Uris) -> Self {
        let uris: Vec<_> = arrival.uris.iter().filter(|(uri, _)| honoured.contains(uri)).cloned().collect();
        uris.iter().for_each(|(_, place)| arrival.inbox.own(*place, true));
        Self { inbox: arrival.inbox.clone(), uris }
    }

    fn heard(&self, note: &Note) {
        if note.method != Method::RESOURCES_UPDATED {
            return;
        }
        let Some(updated) = note.params.uri() else { return };
        for (uri, place) in &self.uris {
            let rest = updated.strip_prefix(&**uri);
            if rest.is_some_and(|rest| rest.is_empty() || uri.ends_with('/') || rest.starts_with(['/', '#', '?'])) {
                self.inbox.mark(*place);
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        for (_, place) in &self.uris {
            self.inbox.own(*place, false);
            // What was said between the two nobody has heard.
            self.inbox.mark(*place);
        }
    }
}
