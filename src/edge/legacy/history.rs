use super::{line::Line, session::lock};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// What the streams of one session said last, so that a client whose connection broke can have it again
/// (2025-11-25, "basic/transports: Resumability and Redelivery").
///
/// The oldest messages are forgotten first, whichever stream they are of; where all sessions together keep too much,
/// whichever session they are of.
pub(super) struct History {
    told: Arc<Mutex<Told>>,
    budget: Arc<Budget>,
}

struct Told {
    lines: BTreeMap<u64, Known>,
    messages: VecDeque<Message>,
    bytes: usize,
    next: u64,
    closed: bool,
    /// Where it stands among all sessions, if it keeps any message: at its oldest, or at one that was it before.
    stands: Option<u64>,
}

struct Message {
    line: u64,
    place: u64,
    text: Bytes,
    /// Which of all messages of an edge it is.
    number: u64,
}

/// A stream, and how many messages of it are kept.
struct Known {
    line: Arc<Line>,
    kept: usize,
}

/// The bytes that all sessions of an edge keep.
#[derive(Default)]
pub(super) struct Budget {
    bytes: AtomicUsize,
    /// Messages that were ever kept.
    last: AtomicU64,
    /// The sessions that keep any, by the number of the oldest, or of one that was it: who forgets a message and keeps others
    /// would else come here with each message it keeps. Changed under the lock of the session; who holds this one takes none
    /// of those.
    oldest: Mutex<BTreeMap<u64, Arc<Mutex<Told>>>>,
}

impl Budget {
    /// What broken connections may cost in all: some ten large answers, or all small ones of ten thousand sessions.
    const MAX_BYTES: usize = 64 << 20;

    /// Forgets the oldest messages of all sessions until there is room.
    fn make_room(&self) {
        while self.bytes.load(Ordering::Relaxed) > Self::MAX_BYTES {
            let first = lock(&self.oldest).first_key_value().map(|(number, told)| (*number, told.clone()));
            let Some((number, told)) = first else { return };
            let forgotten = lock(&told).give_way(number, &told, self);
            drop(forgotten);
        }
    }
}

impl History {
    /// The most messages that are kept: a call that reports its progress each second, for four minutes.
    const MAX_MESSAGES: usize = 256;
    /// The most bytes that are kept: room for one large answer, as large as the largest request.
    pub(super) const MAX_BYTES: usize = 4 << 20;

    /// Empty; the first stream has the number after `base`.
    pub(super) fn new(base: u64, budget: Arc<Budget>) -> Self {
        let told = Told {
            lines: BTreeMap::new(),
            messages: VecDeque::new(),
            bytes: 0,
            next: base + 1,
            closed: false,
            stands: None,
        };
        Self { told: Arc::new(Mutex::new(told)), budget }
    }

    /// Takes in the stream that `make` makes of its number.
    pub(super) fn add(&self, make: impl FnOnce(u64) -> Line) -> Arc<Line> {
        let mut told = lock(&self.told);
        let number = told.next;
        told.next += 1;
        let line = Arc::new(make(number));
        if !told.closed {
            told.lines.insert(number, Known { line: line.clone(), kept: 0 });
        }
        line
    }

    pub(super) fn line(&self, number: u64) -> Option<Arc<Line>> {
        lock(&self.told).lines.get(&number).map(|known| known.line.clone())
    }

    /// The stream of what is told outside of calls.
    pub(super) fn telling(&self) -> Option<Arc<Line>> {
        let told = lock(&self.told);
        told.lines.values().rev().find(|known| known.line.tells()).map(|known| known.line.clone())
    }

    /// The stream of this number, which is gone on with: it is not forgotten from here on.
    pub(super) fn reopened(&self, number: u64) -> Option<Arc<Line>> {
        let told = lock(&self.told);
        let known = told.lines.get(&number)?;
        known.line.reopen();
        Some(known.line.clone())
    }

    /// Keeps a message, and forgets the oldest where there is no room. One for which there never is costs no other its
    /// place.
    pub(super) fn record(&self, line: u64, place: u64, text: Bytes) {
        if text.len() > Self::MAX_BYTES {
            return;
        }
        let mut text = Some(text);
        loop {
            // One at a time, which is all there usually is: what is forgotten is dropped without the lock.
            let (forgotten, more) = lock(&self.told).change(&self.told, &self.budget, |told| {
                match text.take() {
                    Some(_) if told.closed => return (None, false),
                    Some(text) => told.keep(line, place, text, &self.budget),
                    None => {}
                }
                let forgotten = if told.is_full() { told.forget_oldest() } else { None };
                (forgotten, told.is_full())
            });
            drop(forgotten);
            if !more {
                break;
            }
        }
        self.budget.make_room();
    }

    /// What was said on a stream after a place.
    pub(super) fn after(&self, line: u64, place: u64) -> VecDeque<(u64, Bytes)> {
        let told = lock(&self.told);
        let later = told.messages.iter().filter(|message| message.line == line && message.place > place);
        later.map(|message| (message.place, message.text.clone())).collect()
    }

    /// A stream has said its last; it is known for as long as a message of it is kept.
    pub(super) fn finished(&self, line: u64) {
        let forgotten = lock(&self.told).forget(line, 0);
        drop(forgotten);
    }

    /// Forgets everything, and keeps nothing more.
    pub(super) fn close(&self) {
        let forgotten = lock(&self.told).change(&self.told, &self.budget, |told| {
            told.closed = true;
            told.bytes = 0;
            (mem::take(&mut told.lines), mem::take(&mut told.messages))
        });
        drop(forgotten);
    }
}

impl Told {
    /// Makes a change of what `here` holds, after which the session stands among all exactly if it keeps anything.
    fn change<T>(&mut self, here: &Arc<Mutex<Told>>, budget: &Budget, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.bytes;
        let changed = change(self);
        self.account(before, budget);
        if self.stands.is_some() == self.messages.is_empty() {
            self.stand(here, budget);
        }
        changed
    }

    /// Says by how much it differs from the bytes it had before: once for what came and what went for it, which most messages of
    /// a stream are as long as.
    fn account(&self, before: usize, budget: &Budget) {
        if self.bytes != before {
            budget.bytes.fetch_add(self.bytes.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// Goes to where its oldest message is.
    #[cold]
    fn stand(&mut self, here: &Arc<Mutex<Told>>, budget: &Budget) {
        let mut oldest = lock(&budget.oldest);
        self.stands.take().map(|before| oldest.remove(&before));
        self.stands = self.messages.front().map(|message| message.number);
        self.stands.map(|now| oldest.insert(now, here.clone()));
    }

    /// Forgets its oldest message if that was found the oldest of all, at `number`, and goes to where the next one is; or only
    /// goes there, if it has forgotten that one since.
    fn give_way(&mut self, number: u64, here: &Arc<Mutex<Told>>, budget: &Budget) -> Option<(Bytes, Option<Known>)> {
        if self.stands != Some(number) {
            return None;
        }
        let (is_oldest, before) = (self.messages.front().is_some_and(|message| message.number == number), self.bytes);
        let forgotten = if is_oldest { self.forget_oldest() } else { None };
        self.account(before, budget);
        self.stand(here, budget);
        forgotten
    }

    fn keep(&mut self, line: u64, place: u64, text: Bytes, budget: &Budget) {
        self.bytes += text.len();
        let number = budget.last.fetch_add(1, Ordering::Relaxed);
        self.messages.push_back(Message { line, place, text, number });
        if let Some(known) = self.lines.get_mut(&line) {
            known.kept += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.messages.len() > History::MAX_MESSAGES || self.bytes > History::MAX_BYTES
    }

    /// Keeps the oldest message no longer; what went with it is to be dropped without the lock.
    fn forget_oldest(&mut self) -> Option<(Bytes, Option<Known>)> {
        let Message { line, text, .. } = self.messages.pop_front()?;
        self.bytes -= text.len();
        Some((text, self.forget(line, 1)))
    }

    /// So many messages of a stream are kept no longer. Takes it out if nothing more can be said or asked of it.
    fn forget(&mut self, line: u64, messages: usize) -> Option<Known> {
        let known = self.lines.get_mut(&line)?;
        known.kept -= messages;
        if known.kept == 0 && known.line.is_over() { self.lines.remove(&line) } else { None }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Mark,
        edge::{
            legacy::{
                dialogue::Said,
                line::{Place, Reader},
                session::Entry,
            },
            stream::WriteEvents,
        },
    };
    use futures_util::{StreamExt, stream};
    use std::{
        hint::spin_loop,
        pin::{Pin, pin},
        task::{Context, Poll, Wake, Waker},
        thread,
    };

    #[test]
    fn the_oldest_goes_first_by_number_and_by_size() {
        let budget = Arc::new(Budget::default());
        let history = History::new(0, budget.clone());
        for place in 1..=300 {
            history.record(1, place, Bytes::from_static(b"x"));
        }
        let kept = history.after(1, 0);
        assert_eq!((kept.len(), kept[0].0), (256, 45));
        history.record(2, 1, vec![b'x'; History::MAX_BYTES - 1].into());
        assert_eq!((history.after(1, 0).len(), history.after(2, 0).len()), (1, 1));
        history.record(2, 2, vec![b'x'; History::MAX_BYTES + 1].into());
        let kept = (history.after(1, 0).len(), history.after(2, 1).len());
        assert_eq!(kept, (1, 0), "what is larger than all room is not kept, and takes none");
        assert_eq!(budget.bytes.load(Ordering::Relaxed), History::MAX_BYTES);
    }

    fn session() -> Arc<Entry> {
        let (queue, _) = crate::edge::outbox::channel();
        Arc::new(Entry::streaming("7".into(), Mark::default(), queue))
    }

    fn lines(entry: &Entry) -> usize {
        lock(&entry.history().told).lines.len()
    }

    #[test]
    fn who_listens_again_and_again_leaves_no_streams_behind() {
        let entry = session();
        for _ in 0..3 {
            drop(entry.tell(Box::pin(stream::pending()), None));
        }
        assert_eq!(lines(&entry), 0);
        let mut ended = Box::pin(entry.tell(Box::pin(stream::empty()), None));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(ended.as_mut().poll_write(&mut cx, &mut Vec::new()), Poll::Ready(None)));
        assert_eq!(lines(&entry), 0);
    }

    #[test]
    fn a_stream_that_is_listened_to_again_is_known_for_as_long_as_it_is() {
        let entry = session();
        let said = || Said::Meanwhile(Bytes::from_static(b"{}"));
        let (mut out, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
        let mut read = |reader: &mut Pin<Box<Reader>>| reader.as_mut().poll_write(&mut cx, &mut out).is_ready();
        let source = || Box::pin(stream::iter([said()]).chain(stream::pending()));
        let mut reader = Box::pin(entry.tell(source(), None));
        assert!(read(&mut reader));
        drop(reader);
        assert_eq!(lines(&entry), 1, "a message of it is kept");
        let from = Place::parse("l1-0").unwrap();
        let mut again = Box::pin(entry.tell(source(), Some(&from)));
        for place in 0..History::MAX_MESSAGES as u64 {
            entry.history().record(9, place, Bytes::new());
        }
        assert_eq!(lines(&entry), 1, "of a stream that goes on nothing need be kept");
        assert!(read(&mut again) && read(&mut again) && !read(&mut again));
        drop(again);
        assert_eq!(lines(&entry), 1);
    }

    #[test]
    fn a_line_that_is_not_read_holds_no_task() {
        let entry = session();
        let task = Arc::new(Task);
        let mut reader = Box::pin(entry.tell(Box::pin(stream::pending()), None));
        let from = Place::parse("l1-0").unwrap();
        let waker = Waker::from(task.clone());
        assert!(reader.as_mut().poll_write(&mut Context::from_waker(&waker), &mut Vec::new()).is_pending());
        drop(waker);
        let line = entry.history().line(1);
        drop(reader);
        assert_eq!(Arc::strong_count(&task), 1, "though the line is known");
        assert!(entry.resume(&from).is_none(), "nothing is said on it");
        drop(line);
    }

    #[test]
    fn who_comes_back_as_the_connection_before_breaks_gets_the_stream_or_none() {
        let entry = session();
        for number in 1..=ROUNDS {
            let (reader, from) =
                (entry.tell(Box::pin(stream::pending()), None), Place::parse(&format!("l{number:x}-0")));
            let (from, come) = (from.unwrap(), AtomicUsize::new(0));
            let resumed = thread::scope(|scope| {
                scope.spawn(|| {
                    meet(&come, number % 32);
                    drop(reader);
                });
                meet(&come, number / 32 % 32);
                entry.resume(&from)
            });
            if let Some(resumed) = resumed {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(pin!(resumed).poll_write(&mut cx, &mut Vec::new()).is_pending(), "a stream without a source");
            }
        }
        assert_eq!(lines(&entry), 0);
    }

    /// Enough for the two to meet in every way.
    const ROUNDS: u64 = 10_000;

    /// Goes on when both have come, and this many turns later.
    fn meet(come: &AtomicUsize, turns: u64) {
        come.fetch_add(1, Ordering::AcqRel);
        while come.load(Ordering::Acquire) < 2 {
            thread::yield_now();
        }
        (0..turns).for_each(|_| spin_loop());
    }

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn all_sessions_share_one_budget_and_give_it_back() {
        let budget = Arc::new(Budget::default());
        let large = Bytes::from(vec![b'x'; History::MAX_BYTES]);
        let histories: Vec<_> = (0..20).map(|_| History::new(0, budget.clone())).collect();
        histories.iter().for_each(|history| history.record(1, 1, large.clone()));
        let kept = || histories.iter().map(|history| history.after(1, 0).len()).collect::<Vec<_>>();
        let fit = Budget::MAX_BYTES / History::MAX_BYTES;
        assert_eq!(kept(), [vec![0; 20 - fit], vec![1; fit]].concat(), "the oldest go first, of whichever session");
        histories[0].record(1, 2, Bytes::from_static(b"x"));
        histories[0].record(1, 3, Bytes::from_static(b"x"));
        assert_eq!(kept(), [vec![2], vec![0; 20 - fit], vec![1; fit - 1]].concat(), "whoever speaks is heard");
        let session = lock(&budget.oldest).values().filter(|told| Arc::ptr_eq(told, &histories[0].told)).count();
        assert_eq!(session, 1);
        drop(histories);
        assert_eq!((budget.bytes.load(Ordering::Relaxed), lock(&budget.oldest).len()), (0, 0));
    }

    #[test]
    fn a_session_that_has_forgotten_its_oldest_is_not_the_oldest_for_it() {
        let budget = Arc::new(Budget::default());
        let large = Bytes::from(vec![b'x'; History::MAX_BYTES]);
        let histories: Vec<_> = (0..17).map(|_| History::new(0, budget.clone())).collect();
        let kept = |of: usize| histories[of].after(1, 0).len();
        histories[0].record(1, 1, Bytes::from_static(b"x"));
        histories[1].record(1, 1, large.clone());
        (0..History::MAX_MESSAGES as u64).for_each(|place| histories[0].record(1, 2 + place, Bytes::from_static(b"x")));
        histories[2..].iter().for_each(|history| history.record(1, 1, large.clone()));
        assert_eq!((kept(0), kept(1), kept(2)), (History::MAX_MESSAGES, 0, 1));
        drop(histories);
        assert_eq!((budget.bytes.load(Ordering::Relaxed), lock(&budget.oldest).len()), (0, 0));
    }
}
