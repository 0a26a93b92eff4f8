use super::{
    dialogue::Said,
    passage::Passage,
    session::{Entry, lock},
};
use crate::{
    edge::{
        parts::Broken,
        stream::{WriteEvents, Written, event, piece, room},
    },
    hex, sse,
};
use bytes::Bytes;
use futures_util::Stream;
use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio::runtime::Handle;

/// The rest of the first event: how many milliseconds a client waits before it comes again, long enough not to hammer a
/// gateway that just broke.
const PRIME: &[u8] = b"retry: 1000\ndata: \n\n";

/// The messages of one event stream, from wherever they come.
pub(super) type Source = Pin<Box<dyn Stream<Item = Said> + Send>>;

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
    /// The last of them, while it is said in pieces.
    passage: Option<Passage>,
    /// Readers so far; the last one is the reader.
    turn: u64,
    waker: Option<Waker>,
}

impl Line {
    fn new(number: u64, outlives: bool) -> Self {
        let state = State { source: None, said: 0, passage: None, turn: 0, waker: None };
        Self { number, outlives, over: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Whether nothing more will be said on it.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Appends the event with the message at `place`, whose id says which stream, and where in it.
    fn write(&self, out: &mut Vec<u8>, place: u64, message: &[u8]) {
        self.write_id(out, place);
        event(out, |out| out.extend_from_slice(message));
    }

    fn write_id(&self, out: &mut Vec<u8>, place: u64) {
        room(out);
        out.extend_from_slice(b"id: ");
        out.push(if self.outlives { CALL } else { LISTEN } as u8);
        hex::append(out, self.number);
        out.push(b'-');
        hex::append(out, place);
        out.push(b'\n');
    }

    /// Whether what is told outside of calls is told on it.
    pub(super) fn tells(&self) -> bool {
        !self.outlives && !self.is_over()
    }

    /// More is said on it again, unless it was the answer to a call.
    pub(super) fn reopen(&self) {
        self.over.store(self.outlives && self.is_over(), Ordering::Release);
    }

    /// Nothing more is said on it. Not under the lock of its state, which those hold who look into the history.
    fn end(&self, entry: &Entry) {
        self.over.store(true, Ordering::Release);
        entry.history().finished(self.number);
    }

    /// Makes a reader of what comes from this source from here on.
    fn begin(self: &Arc<Self>, entry: &Arc<Entry>, source: Source, after: Option<u64>) -> Reader {
        let mut state = lock(&self.state);
        let old = state.source.replace(source);
        let reader = self.read(entry, state, after);
        drop(old);
        reader
    }

    /// Makes a reader of it as it is found.
    fn read(self: &Arc<Self>, entry: &Arc<Entry>, mut state: MutexGuard<'_, State>, after: Option<u64>) -> Reader {
        state.turn += 1;
        let replay = after.map(|place| entry.history().after(self.number, place)).unwrap_or_default();
        let (turn, former) = (state.turn, state.waker.take());
        drop(state);
        former.into_iter().for_each(Waker::wake);
        Reader { entry: entry.clone(), line: self.clone(), turn, replay, primes: false, drains: false, ended: false }
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
    pub(super) fn say(self: &Arc<Self>, source: Source) -> Reader {
        let line = self.history().add(|number| Line::new(number, true));
        let mut reader = line.begin(self, source, None);
        reader.primes = self.is_primed();
        reader
    }

    /// The stream of what is told outside of calls, continued where the client has had one before.
    pub(super) fn tell(self: &Arc<Self>, source: Source, from: Option<&Place>) -> Reader {
        let before = from.and_then(|from| Some((self.history().reopened(from.line)?, from.place)));
        let before = before.filter(|(line, _)| !line.outlives);
        let after = before.as_ref().map(|(_, place)| *place);
        let line = before.map_or_else(|| self.history().add(|number| Line::new(number, false)), |(line, _)| line);
        line.begin(self, source, after)
    }

    /// Takes over the stream of what is told outside of calls, from here on; `None` where none is read.
    ///
    /// A client that comes again without having had an event knows no id to go on from, and the connection it had may be
    /// dead without anybody's having noticed.
    pub(super) fn take_over(self: &Arc<Self>) -> Option<Reader> {
        let line = self.history().telling()?;
        let state = lock(&line.state);
        state.source.is_some().then(|| line.read(self, state, None))
    }

    /// Goes on with a stream after the message the client had last; `None` where nothing is known of it.
    pub(super) fn resume(self: &Arc<Self>, from: &Place) -> Option<Reader> {
        let line = self.history().line(from.line).filter(|line| line.outlives != from.listening)?;
        let state = lock(&line.state);
        // Under the same lock: the connection that read until now may break at any time, and takes the source with it.
        let goes_on = line.outlives || state.source.is_some();
        goes_on.then(|| line.read(self, state, Some(from.place)))
    }
}

/// Reads a stream, as frames with ids: first what was said before, then what is said from here on.
pub(super) struct Reader {
    entry: Arc<Entry>,
    line: Arc<Line>,
    turn: u64,
    replay: VecDeque<(u64, Bytes)>,
    /// An event without a message comes first, so that the client knows an id from the start.
    primes: bool,
    drains: bool,
    /// Whether it has come to the end of what is said, after which the line may be another reader's.
    ended: bool,
}

impl Reader {
    fn poll_source(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Option<Result<Written, Broken>>> {
        let over;
        {
            let mut state = lock(&self.line.state);
            if state.turn != self.turn {
                return Poll::Ready(None);
            }
            let Some(source) = &mut state.source else { return Poll::Ready(None) };
            match source.as_mut().poll_next(cx) {
                Poll::Pending => {
                    match &mut state.waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Some(said)) => return Poll::Ready(Some(self.say(&mut state, said, out))),
                Poll::Ready(None) => over = (state.source.take(), state.waker.take()),
            }
        }
        // Before the source goes: with it goes the place of the one listener, and then the line may be gone on with.
        self.line.end(&self.entry);
        self.ended = true;
        drop(over);
        Poll::Ready(None)
    }

    /// Writes what is said, and keeps it. Of a message that is said in pieces, a reader that came in the middle gets all at its end.
    fn say(&self, state: &mut State, said: Said, out: &mut Vec<u8>) -> Result<Written, Broken> {
        let is_mine = |passage: &Option<Passage>| passage.as_ref().is_some_and(|passage| passage.is_read_by(self.turn));
        match said {
            Said::Begin(text) => {
                state.said += 1;
                state.passage.insert(Passage::new(self.turn)).add(&text);
                self.line.write_id(out, state.said);
                sse::open(out);
                piece(out, text);
                return Ok(Written::Piece);
            }
            Said::Piece(text) => {
                state.passage.iter_mut().for_each(|passage| passage.add(&text));
                if !is_mine(&state.passage) {
                    return Ok(Written::Event);
                }
                piece(out, text);
                return Ok(Written::Piece);
            }
            Said::End(text) => {
                let is_mine = is_mine(&state.passage);
                let Some(mut passage) = state.passage.take() else { return Ok(Written::Event) };
                passage.add(&text);
                if is_mine {
                    piece(out, text);
                    sse::close(out);
                }
                if let Some(whole) = passage.whole() {
                    self.keep(state, whole, (!is_mine).then_some(out));
                }
            }
            Said::Broken(instead, why) => {
                let is_mine = is_mine(&state.passage);
                state.passage = None;
                self.keep(state, instead, (!is_mine).then_some(out));
                if is_mine {
                    return Err(why.into());
                }
            }
            message => {
                let alone = matches!(message, Said::Alone(_));
                state.said += 1;
                self.keep(state, message.into_message(), Some(out));
                return Ok(if alone { Written::Alone } else { Written::Event });
            }
        }
        Ok(Written::Event)
    }

    /// Keeps the message that was said last, and writes it where it is not written yet.
    fn keep(&self, state: &State, message: Bytes, out: Option<&mut Vec<u8>>) {
        if let Some(out) = out {
            self.line.write(out, state.said, &message);
        }
        self.entry.history().record(self.line.number, state.said, message);
    }

    /// Reads on for a client that may come back; its messages wait in the history.
    async fn drain(mut self) {
        let mut unread = Vec::new();
        while poll_fn(|cx| self.poll_source(cx, &mut unread)).await.is_some() {
            unread.clear();
        }
    }
}

impl WriteEvents for Reader {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Result<Written, Broken>>> {
        if mem::take(&mut self.primes) {
            self.line.write_id(out, 0);
            out.extend_from_slice(PRIME);
            return Poll::Ready(Some(Ok(Written::Event)));
        }
        match self.replay.pop_front() {
            Some((place, message)) => {
                self.line.write(out, place, &message);
                Poll::Ready(Some(Ok(Written::Event)))
            }
            None => self.poll_source(cx, out),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let goes_on = self.line.outlives && !self.drains;
        let abandoned = {
            let mut state = lock(&self.line.state);
            if state.turn != self.turn {
                return;
            }
            (state.source.take_if(|_| !goes_on), state.waker.take())
        };
        if !goes_on {
            self.line.end(&self.entry);
        }
        drop(abandoned);
        if goes_on
            && !self.line.is_over()
            && let Ok(runtime) = Handle::try_current()
        {
            let (entry, line) = (self.entry.clone(), self.line.clone());
            let reader = Self {
                entry,
                line,
                turn: self.turn,
                replay: VecDeque::new(),
                primes: false,
                drains: true,
                ended: false,
            };
            runtime.spawn(reader.drain());
        }
    }
}
