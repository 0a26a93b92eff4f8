//! The part of a subscription that a server keeps in the session of one client.

use super::{
    feed::{ACKNOWLEDGE, Failed, Stream, acknowledged, listen},
    inbox::Inbox,
    topics::Uris,
};
use crate::{
    BoxError, Call, Method, Reply,
    json::{Params, object::Edit},
    meta,
    reply::{Event, Note},
    upstream::{Backoff, InSession},
};
use futures_util::StreamExt;
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::Service;

/// The longest `_meta` of a listener that is kept, since its URIs may come to an endpoint at any time: twice what a
/// client may tell about itself in `initialize`, so that it costs ten thousand listeners no more than their sessions do.
const MAX_CLIENT: usize = 16 << 10;

/// What is kept of a listener's call: who it is, without what it asked for. `None` where that is too long; then it has
/// no sessions of its own.
pub(super) fn kept(client: &Call) -> Option<Call> {
    let meta = client.params.meta();
    let meta = meta.as_ref().map(|meta| meta.as_bytes());
    if meta.is_some_and(|meta| meta.len() > MAX_CLIENT) {
        return None;
    }
    let params = Params::empty();
    let params = meta.map_or_else(|| params.clone(), |meta| params.edit_shallow(&[Edit::Set(meta::META, meta)]));
    Some(client.clone().with(|asked| asked.params = params))
}

/// A listener that has come to an endpoint with a client of its own.
///
/// Servers that keep a session for each client may tell of a resource in the session only that subscribed to it. So the
/// listener is subscribed there as well, and as long as it is, that is where it hears of its resources.
#[derive(Debug)]
pub(super) struct Arrival {
    number: u64,
    /// Who listens: a call of that client.
    client: Call,
    /// The URIs at this endpoint, each with its place in the inbox.
    uris: BTreeMap<Arc<str>, usize>,
    inbox: Arc<Inbox>,
    /// Cancelled when the listener goes, or none of these URIs is at this endpoint any more.
    gone: CancellationToken,
    /// What cancels that, until the endpoint has seen who came: from then on only those have it who listen.
    stay: Option<Arc<DropGuard>>,
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
    /// With no URIs yet.
    pub(super) fn new(number: u64, client: Call, inbox: Arc<Inbox>) -> Self {
        inbox.settle(true);
        let (settling, gone) = (Some(Settling(inbox.clone())), CancellationToken::new());
        let stay = Some(Arc::new(gone.clone().drop_guard()));
        Self { number, client, uris: BTreeMap::new(), inbox, gone, stay, settling }
    }

    /// Comes for a URI as well, before the endpoint has seen it; what is given back keeps it there.
    pub(super) fn take(&mut self, uri: &Arc<str>, place: usize) -> Option<Arc<DropGuard>> {
        self.uris.insert(uri.clone(), place);
        self.inbox.entrust(place, Some(self.number));
        self.stay.clone()
    }

    /// The URI is asked for elsewhere; whether others are left.
    pub(super) fn leave(&mut self, uri: &str) -> bool {
        self.uris.remove(uri);
        !self.uris.is_empty()
    }

    /// As the endpoint sees it.
    pub(super) fn seen(mut self) -> Self {
        self.stay = None;
        self
    }

    /// Keeps the subscription until nobody wants it here any more; ends at once where the endpoint has no such sessions.
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
        let asked: Uris = self.uris.keys().cloned().collect();
        let filter = listen(&asked);
        let call = client.with(|asked| {
            asked.method = Method::LISTEN;
            asked.params = asked.params.edit_shallow(&[Edit::Set("notifications", &filter)]);
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
    arrival: u64,
    inbox: Arc<Inbox>,
    uris: Vec<(Arc<str>, usize)>,
}

impl Own {
    fn new(arrival: &Arrival, honoured: &Uris) -> Self {
        let (number, inbox) = (arrival.number, arrival.inbox.clone());
        let uris =
            arrival.uris.iter().filter(|(uri, place)| honoured.contains(*uri) && inbox.own(**place, number, true));
        let uris = uris.map(|(uri, place)| (uri.clone(), *place)).collect();
        Self { arrival: number, inbox, uris }
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
            if self.inbox.own(*place, self.arrival, false) {
                // What was said between the two nobody has heard.
                self.inbox.mark(*place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_listener_is_kept_who_it_is_if_that_is_no_more_than_there_is_room_for() {
        let call = |name: &str| {
            let params =
                serde_json::json!({"notifications": {"resourceSubscriptions": ["r://1"]}, "_meta": {"n": name}});
            Call::new(Method::LISTEN, Params::from_value(&params).unwrap())
        };
        assert_eq!(kept(&call("ada")).unwrap().params.as_str(), r#"{"_meta":{"n":"ada"}}"#);
        assert_eq!(kept(&Call::new(Method::LISTEN, Params::empty())).unwrap().params.as_str(), "{}");
        assert!(kept(&call(&"x".repeat(MAX_CLIENT))).is_none());
    }
}
