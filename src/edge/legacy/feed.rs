use super::{
    live::Live,
    session::{Entry, Listening, lock},
};
use crate::{
    BoxError, Call, Method,
    edge::{patience::PATIENCE, running::Inner},
    error::{Problem, Unfinished},
    json::{Json, Params},
    reply::{Event, Outcome},
};
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http::Extensions;
use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio::{
    sync::{Notify, Semaphore, futures::Notified},
    time::timeout,
};

/// What a session listens to: one `subscriptions/listen` behind the edge, made anew whenever the client subscribes to
/// another resource, since what such a call listens to is fixed.
pub(super) struct Feed {
    state: Mutex<State>,
    /// Makes changes wait for each other.
    turn: Semaphore,
    /// Whether somebody reads for as long as the session lasts.
    announced: AtomicBool,
    /// Told of each subscription, which is heard only once somebody reads.
    subscribed: Notify,
}

#[derive(Default)]
struct State {
    live: Option<Live<()>>,
    uris: BTreeSet<Box<str>>,
    waker: Option<Waker>,
}

impl Default for Feed {
    fn default() -> Self {
        let (announced, subscribed) = (AtomicBool::new(false), Notify::new());
        Self { state: Mutex::default(), turn: Semaphore::new(1), announced, subscribed }
    }
}

impl Feed {
    /// The most resources one session may subscribe to: what a person has open, many times over.
    const MAX_URIS: usize = 256;
    /// The longest URI of those; ten thousand sessions shall not keep what one of them likes to send.
    const MAX_URI_BYTES: usize = 2048;

    /// The subscriptions with one more or one less; `None` if nothing changes.
    fn with(&self, uri: &str, wanted: bool) -> Option<BTreeSet<Box<str>>> {
        let mut uris = lock(&self.state).uris.clone();
        let changed = if wanted { uris.insert(uri.into()) } else { uris.remove(uri) };
        changed.then_some(uris)
    }

    /// Listens to `live` from here on, and only then no longer to what was before.
    fn replace(&self, live: Option<Live<()>>, uris: BTreeSet<Box<str>>) {
        let (old, waker) = {
            let mut state = lock(&self.state);
            state.uris = uris;
            (std::mem::replace(&mut state.live, live), state.waker.take())
        };
        drop(old);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nobody has said yet that he reads for as long as the session lasts.
    pub(super) fn is_first_reader(&self) -> bool {
        !self.announced.swap(true, Ordering::AcqRel)
    }

    /// Completes at the next subscription, or at once if there was one since this completed last.
    pub(super) fn subscribed(&self) -> Notified<'_> {
        self.subscribed.notified()
    }

    /// Nobody reads any more. What is subscribed to goes on, so that nothing is missed until somebody reads again.
    pub(super) fn unread(&self) {
        let old = {
            let mut state = lock(&self.state);
            if state.uris.is_empty() { state.live.take() } else { None }
        };
        drop(old);
    }

    pub(super) fn close(&self) {
        self.replace(None, BTreeSet::new());
    }

    fn is_live(&self) -> bool {
        lock(&self.state).live.is_some()
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>> {
        let mut state = lock(&self.state);
        let Some(live) = &mut state.live else { return Poll::Ready(None) };
        let event = live.poll_next_unpin(cx);
        let over = match &event {
            Poll::Pending => {
                state.waker = Some(cx.waker().clone());
                None
            }
            Poll::Ready(Some(Ok(Event::Note(_) | Event::Ask(_) | Event::Part(_)))) => None,
            Poll::Ready(_) => state.live.take(),
        };
        drop(state);
        drop(over);
        event
    }
}

/// The events a session listens to, for whoever holds the place of their one reader.
pub(super) struct Read(Arc<Entry>, #[expect(dead_code, reason = "held")] Listening);

impl Stream for Read {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.0.feed().poll_next(cx);
        let Some(client) = self.0.client().filter(|_| event.is_pending()) else { return event };
        while let Poll::Ready(event) = client.session().poll_told(cx) {
            match event {
                Event::Note(note) if !self.0.admits(&note) => {}
                event => return Poll::Ready(Some(Ok(event))),
            }
        }
        Poll::Pending
    }
}

/// Listens on behalf of a session, until that ends: the first event, if it comes soon, and the others.
pub(super) async fn listen<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    place: Listening,
) -> Option<(Option<Result<Event, BoxError>>, Read)> {
    let feed = entry.feed();
    let _turn = feed.turn.acquire().await.ok()?;
    let read = Read(entry.clone(), place);
    if feed.is_live() {
        return Some((None, read));
    }
    let uris = lock(&feed.state).uris.clone();
    let call = wishes(entry, &uris, extensions)?;
    feed.replace(Some(Live::start(inner, call, entry.ended().clone(), ())), uris);
    let mut read = read;
    match timeout(PATIENCE, read.next()).await {
        Ok(first) => Some((Some(first?), read)),
        Err(_) => Some((None, read)),
    }
}

/// The call that listens for changes of the lists, and of these resources.
fn wishes(entry: &Entry, uris: &BTreeSet<Box<str>>, extensions: Extensions) -> Option<Call> {
    let mut wishes =
        serde_json::json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
    if !uris.is_empty() {
        wishes["resourceSubscriptions"] = serde_json::json!(uris);
    }
    let params = Params::from_value(&serde_json::json!({"notifications": wishes})).expect("an object");
    entry.call(Method::LISTEN, &params, extensions)
}

/// `resources/subscribe` and `resources/unsubscribe` of a session, as the events of a call.
pub(super) fn change<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    params: &Params,
    extensions: Extensions,
    wanted: bool,
) -> BoxStream<'static, Result<Event, BoxError>> {
    let (inner, entry, uri) = (inner.clone(), entry.clone(), params.uri().map(String::from));
    Box::pin(stream::once(async move {
        let Some(uri) = uri else {
            return Err(Problem::rpc(400, -32602, "\"uri\" must be a string").into());
        };
        let changed = changed(&inner, &entry, &uri, extensions, wanted).await?;
        Ok(Event::Done(changed))
    }))
}

async fn changed<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    uri: &str,
    extensions: Extensions,
    wanted: bool,
) -> Result<Outcome, BoxError> {
    let empty = Outcome::Result(Json::from_static("{}"));
    let feed = entry.feed();
    let _turn = feed.turn.acquire().await?;
    let Some(uris) = feed.with(uri, wanted) else { return Ok(empty) };
    if wanted && (uris.len() > Feed::MAX_URIS || uri.len() > Feed::MAX_URI_BYTES) {
        return Err(Problem::new(503, "subscriptions", "the session subscribes to too much").into());
    }
    if !wanted && uris.is_empty() && !entry.is_listening() {
        feed.replace(None, uris);
        return Ok(empty);
    }
    let call = wishes(entry, &uris, extensions).ok_or_else(Unfinished::new)?;
    let mut live = Live::start(inner, call, entry.ended().clone(), ());
    let answer = timeout(PATIENCE, live.next()).await;
    match answer {
        Ok(Some(Ok(Event::Note(note)))) if !wanted || honours(&note.params, uri) => {
            feed.replace(Some(live), uris);
            feed.subscribed.notify_one();
            Ok(empty)
        }
        // What is not wanted any more is forgotten when the client listens the next time.
        _ if !wanted => {
            lock(&feed.state).uris = uris;
            Ok(empty)
        }
        Ok(Some(Ok(Event::Note(_)))) => {
            let problem = Problem::rpc(400, -32602, "this resource cannot be subscribed to");
            Err(problem.with_data(&serde_json::json!({"uri": uri})).into())
        }
        Ok(Some(Ok(Event::Done(outcome @ Outcome::Error(_))))) => Ok(outcome),
        Ok(Some(Err(error))) => Err(error),
        Ok(_) => Err(Unfinished::new().into()),
        Err(_) => Err(Problem::new(504, "timeout", "the subscription was not acknowledged in time").into()),
    }
}

/// Whether an acknowledgement names the resource.
fn honours(acknowledged: &Params, uri: &str) -> bool {
    let honoured = acknowledged.member("notifications").and_then(|it| it.member("resourceSubscriptions"));
    honoured.and_then(|it| it.read::<Vec<String>>().ok()).is_some_and(|uris| uris.iter().any(|it| it == uri))
}
