use crate::{
    Revision,
    json::Json,
    reply::{Ask, Event, Note},
};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// What an initialize-era client told about itself once, and its later requests rely on.
///
/// The edge makes it, fills every [`Call`](crate::Call)'s `_meta` from it, and closes it; layers behind the edge only
/// read. What belongs to a session elsewhere (an upstream session, a child process) is freed when
/// [`closed`](Session::closed) completes.
///
/// ```
/// use tower_mcp_gateway::{Revision, Session, json::Json};
///
/// let client = Json::from_value(&serde_json::json!({"name": "agent", "version": "1"}))?;
/// let session = Session::new("7", Revision::V2025_11_25, client, Json::from_value(&serde_json::json!({}))?);
/// assert!(!session.is_closed());
/// session.close();
/// assert!(session.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session {
    id: Arc<str>,
    revision: Revision,
    client_info: Json,
    capabilities: Json,
    closed: CancellationToken,
    told: Mutex<Told>,
}

/// What the client is to be told outside of its calls.
#[derive(Default)]
struct Told {
    events: VecDeque<Event>,
    /// Of whoever passes them on, until it is woken.
    waker: Option<Waker>,
    /// Whether somebody does, so that a question reaches the client.
    listening: bool,
}

/// Events that wait for the client to listen; past them the oldest is dropped. A client that listens has none waiting.
const MAX_TOLD: usize = 32;

/// Bytes of the notes among them; past them the oldest note is dropped. A single larger one is still kept. A session may be
/// idle for long, and there are many.
const MAX_TOLD_BYTES: usize = 256 << 10;

impl Told {
    /// Drops the oldest notes until one of so many bytes can wait with the others, or none is left.
    fn make_room(&mut self, room: usize) {
        let waiting: usize = self.events.iter().map(size).sum();
        let mut excess = (waiting + room).saturating_sub(MAX_TOLD_BYTES);
        self.events.retain(|event| {
            let stays = excess == 0 || !matches!(event, Event::Note(_));
            excess = excess.saturating_sub(size(event));
            stays
        });
    }
}

/// The bytes that count of an event: those of a note. A question waits for no one who does not listen.
fn size(event: &Event) -> usize {
    match event {
        Event::Note(note) => note.params.as_bytes().len(),
        _ => 0,
    }
}

impl Session {
    /// A session with the revision that was agreed on and the `clientInfo` and `capabilities` of `initialize`.
    pub fn new(id: impl Into<Arc<str>>, revision: Revision, client_info: Json, capabilities: Json) -> Self {
        let (id, closed, told) = (id.into(), CancellationToken::new(), Mutex::default());
        Self { id, revision, client_info, capabilities, closed, told }
    }

    /// The id the edge gave the client. A secret: who knows it can speak for the client.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As [`id`](Self::id), shared.
    #[cfg(feature = "legacy")]
    pub(crate) fn shared_id(&self) -> &Arc<str> {
        &self.id
    }

    /// The revision client and edge agreed on.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The client's name and version, as it sent them.
    pub fn client_info(&self) -> &Json {
        &self.client_info
    }

    /// What the client can do, as it sent it.
    pub fn capabilities(&self) -> &Json {
        &self.capabilities
    }

    /// Tells the client something that belongs to none of its calls; it hears of it where it listens.
    ///
    /// For what a server says in a session or on a connection that is this client's alone.
    pub fn tell(&self, note: Note) {
        let mut told = self.told();
        if told.events.len() >= MAX_TOLD {
            told.events.pop_front();
        }
        let event = note.into();
        told.make_room(size(&event));
        self.push(told, event);
    }

    /// Asks the client something that belongs to none of its calls, if it listens now and has declared that it can be
    /// asked so; otherwise the question is dropped, which refuses it.
    pub fn ask(&self, ask: Ask) {
        let capability = ask.method.as_str().split('/').next().unwrap_or_default();
        let told = self.told();
        if told.listening && told.events.len() < MAX_TOLD && self.capabilities.member(capability).is_some() {
            self.push(told, ask.into());
        }
    }

    fn push(&self, mut told: MutexGuard<'_, Told>, event: Event) {
        told.events.push_back(event);
        let waker = told.waker.take();
        drop(told);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The next of what was [told](Session::tell) or [asked](Session::ask), for the one who passes it on to the client; the
    /// latest who wants it is woken.
    pub fn poll_told(&self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut told = self.told();
        match told.events.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                told.listening = true;
                let old = told.waker.replace(cx.waker().clone());
                drop(told);
                drop(old);
                Poll::Pending
            }
        }
    }

    /// Nobody passes anything on any more: notes wait for who does next, questions are refused.
    #[cfg(feature = "legacy")]
    pub(crate) fn unheard(&self) {
        let mut told = self.told();
        told.listening = false;
        let old = told.waker.take();
        let (asked, notes) =
            std::mem::take(&mut told.events).into_iter().partition(|event| matches!(event, Event::Ask(_)));
        told.events = notes;
        drop(told);
        let _: (VecDeque<Event>, _) = (asked, old);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session: DELETE, expiry, or the end of its one connection.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Completes once the session has ended.
    pub fn closed(&self) -> WaitForCancellationFuture<'_> {
        self.closed.cancelled()
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        session.field("revision", &self.revision).field("client_info", &self.client_info);
        session.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, json::Params};
    use futures_util::FutureExt;

    fn listening() -> (Session, Context<'static>) {
        let capabilities = Json::from_static(r#"{"roots":{}}"#);
        let session = Session::new("7", Revision::V2025_11_25, Json::from_static("{}"), capabilities);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(session.poll_told(&mut cx).is_pending());
        (session, cx)
    }

    #[test]
    fn questions_behind_notes_and_other_questions_are_asked() {
        let (session, mut cx) = listening();
        session.tell(Note::new(Method::MESSAGE, Params::empty()));
        let mut answers = Vec::new();
        for _ in 0..2 {
            let (ask, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
            session.ask(ask);
            answers.push(answer);
        }
        assert!(matches!(session.poll_told(&mut cx), Poll::Ready(Event::Note(_))));
        for answer in answers {
            let Poll::Ready(Event::Ask(ask)) = session.poll_told(&mut cx) else { panic!("refused") };
            ask.answer(Ok(Json::from_static("{}")));
            assert!(answer.now_or_never().flatten().is_some_and(|answer| answer.is_ok()));
        }
    }

    #[test]
    fn what_waits_for_a_client_is_bounded_in_bytes_and_the_latest_is_kept() {
        let (session, mut cx) = listening();
        let tell = |size: usize| {
            let params = Json::parse(format!("{{\"data\":\"{}\"}}", "x".repeat(size))).unwrap();
            session.tell(Note::new(Method::MESSAGE, Params::parse(params).unwrap()));
        };
        let (ask, _answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
        session.ask(ask);
        (0..4).for_each(|_| tell(MAX_TOLD_BYTES / 3));
        let mut waiting = || std::iter::from_fn(|| Some(session.poll_told(&mut cx)).filter(Poll::is_ready)).count();
        assert_eq!(waiting(), 3, "the question and two notes");
        [0, 2 * MAX_TOLD_BYTES].into_iter().for_each(tell);
        assert_eq!(waiting(), 1, "the large one is the latest");
    }

    #[cfg(feature = "legacy")]
    #[test]
    fn who_stops_listening_is_asked_nothing_and_told_the_rest_later() {
        let (session, mut cx) = listening();
        let (waiting, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
        session.ask(waiting);
        session.tell(Note::new(Method::MESSAGE, Params::empty()));
        session.unheard();
        assert!(answer.now_or_never().is_some_and(|answer| answer.is_none()), "nobody would answer it");
        let (late, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
        session.ask(late);
        assert!(answer.now_or_never().is_some_and(|answer| answer.is_none()));
        assert!(matches!(session.poll_told(&mut cx), Poll::Ready(Event::Note(_))));
        assert!(session.poll_told(&mut cx).is_pending());
    }
}
