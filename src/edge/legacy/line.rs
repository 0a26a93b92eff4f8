use super::session::{Entry, lock};
use crate::sse;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::runtime::Handle;

/// How long a client waits before it comes again: long enough not to hammer a gateway that just broke.
const RETRY: Duration = Duration::from_secs(1);

/// The messages of one event stream, from wherever they come.
pub(super) type Source = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// An event stream to a client, which may be read over several connections, one after the other.
///
/// Whoever reads last is the reader: coming back takes the stream away from a connection that is dead but not known
/// to be.
pub(super) struct Line {
    number: u64,
    /// Whether it goes on without a reader; what is told outside of calls does not.
    outlives: bool,
    over: AtomicBool,
    state: Mutex<State>,
}

struct State {
    source: Option<Source>,
    /// The messages said so far.
    said: u64,
    /// Readers so far; the last one is the reader.
    turn: u64,
    waker: Option<Waker>,
}

impl Line {
    fn new(number: u64, outlives: bool) -> Self {
        let state = State { source: None, said: 0, turn: 0, waker: None };
        Self { number, outlives, over: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Whether nothing more will be said on it.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The id of the event with the message at `place`: which stream, and where in it.
    fn id(&self, place: u64) -> String {
        let kind = if self.outlives { CALL } else { LISTEN };
        format!("{kind}{:x}-{place:x}", self.number)
    }

    /// Makes a reader of it, from a source where it has none; `None` where it has none and is given none.
    fn read(self: &Arc<Self>, entry: &Arc<Entry>, source: Option<Source>, after: Option<u64>) -> Reader {
        let (old, replay, turn) = {
            let mut state = lock(&self.state);
            state.turn += 1;
            let replay = after.map(|place| entry.history().after(self.number, place)).unwrap_or_default();
            let old = match source {
                Some(source) => state.source.replace(source),
                None => None,
            };
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            (old, replay, state.turn)
        };
        drop(old);
        Reader { entry: entry.clone(), line: self.clone(), turn, replay, drains: false }
    }
}

const CALL: char = 'c';
const LISTEN: char = 'l';

/// Where a client's last event was.
pub(super) struct Place {
    /// Whether the stream was that of what is told outside of calls.
    pub(super) listening: bool,
    line: u64,
    place: u64,
}

impl Place {
    /// Reads an event's id; `None` for one that no stream of any session had.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let listening = id.starts_with(LISTEN);
        let (line, place) = id.strip_prefix([LISTEN, CALL])?.split_once('-')?;
        let number = |hex| u64::from_str_radix(hex, 16).ok();
        Some(Self { listening, line: number(line)?, place: number(place)? })
    }
}

impl Entry {
    /// A stream of answers: all of it reaches the client, over this response or over later ones.
    pub(super) fn say(self: &Arc<Self>, source: Source) -> impl Stream<Item = Bytes> + Send + use<> {
        let line = self.history().add(|number| Line::new(number, true));
        let prime = self.is_primed().then(|| sse::encode(&sse::Event::default().with_id(line.id(0)).with_retry(RETRY)));
        stream::iter(prime).chain(line.read(self, Some(source), None))
    }

    /// The stream of what is told outside of calls, continued where the client has had one before.
    pub(super) fn tell(
        self: &Arc<Self>,
        source: Source,
        from: Option<&Place>,
    ) -> impl Stream<Item = Bytes> + Send + use<> {
        let before = from.and_then(|from| Some((self.history().line(from.line)?, from.place)));
        let before = before.filter(|(line, _)| !line.outlives);
        let after = before.as_ref().map(|(_, place)| *place);
        let line = before.map_or_else(|| self.history().add(|number| Line::new(number, false)), |(line, _)| line);
        line.read(self, Some(source), after)
    }

    /// Goes on with a stream after the message the client had last; `None` where nothing is known of it.
    pub(super) fn resume(self: &Arc<Self>, from: &Place) -> Option<Reader> {
        let line = self.history().line(from.line)?;
        let running = lock(&line.state).source.is_some();
        (line.outlives != from.listening && (line.outlives || running)).then(|| line.read(self, None, Some(from.place)))
    }
}

/// Reads a stream, as frames with ids: first what was said before, then what is said from here on.
pub(super) struct Reader {
    entry: Arc<Entry>,
    line: Arc<Line>,
    turn: u64,
    replay: VecDeque<(u64, Bytes)>,
    drains: bool,
}

impl Reader {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<(u64, Bytes)>> {
        let over;
        {
            let mut state = lock(&self.line.state);
            if state.turn != self.turn {
                return Poll::Ready(None);
            }
            let Some(source) = &mut state.source else { return Poll::Ready(None) };
            match source.as_mut().poll_next(cx) {
                Poll::Pending => {
                    state.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(Some(message)) => {
                    state.said += 1;
                    self.entry.history().record(self.line.number, state.said, message.clone());
                    return Poll::Ready(Some((state.said, message)));
                }
                Poll::Ready(None) => over = state.source.take(),
            }
        }
        drop(over);
        if self.line.outlives {
            self.line.over.store(true, Ordering::Release);
            self.entry.history().finished(self.line.number);
        }
        Poll::Ready(None)
    }
}

impl Stream for Reader {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let next = match self.replay.pop_front() {
            Some(replayed) => Poll::Ready(Some(replayed)),
            None => self.poll_source(cx),
        };
        let frame = |(place, message)| sse::encode(&sse::Event::new(message).with_id(self.line.id(place)));
        next.map(|next| next.map(frame))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let abandoned = {
            let mut state = lock(&self.line.state);
            match state.turn == self.turn {
                true if self.line.outlives && !self.drains => None,
                true => state.source.take(),
                false => return,
            }
        };
        drop(abandoned);
        if self.line.outlives
            && !self.drains
            && !self.line.is_over()
            && let Ok(runtime) = Handle::try_current()
        {
            let (entry, line) = (self.entry.clone(), self.line.clone());
            let mut reader = Self { entry, line, turn: self.turn, replay: VecDeque::new(), drains: true };
            // Read on for a client that may come back; its messages wait in the history.
            runtime.spawn(async move { while reader.next().await.is_some() {} });
        }
    }
}
