use crate::{
    BoxError, Method,
    json::{
        Json, Params,
        object::{self, push_member},
    },
    reply::{Event, Note, Outcome},
    route::Versions,
};
use futures_util::{Stream, stream};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// The shortest time between two tellings on one stream, so that a server whose lists flicker does not make every
/// client ask for them all the time.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

type Kind = (&'static str, Method, fn(&Versions) -> u64);

/// What can be told: the wish, the note, and the version that counts it.
const KINDS: [Kind; 3] = [
    ("toolsListChanged", Method::TOOLS_LIST_CHANGED, |versions| versions.tools),
    ("promptsListChanged", Method::PROMPTS_LIST_CHANGED, |versions| versions.prompts),
    ("resourcesListChanged", Method::RESOURCES_LIST_CHANGED, |versions| versions.resources),
];

/// Which of [`KINDS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes([bool; 3]);

impl Wishes {
    /// What the `notifications` of a listen asks for, as far as it is honoured; `None` if they are no object.
    pub(super) fn parse(notifications: &Json) -> Option<Self> {
        let mut wishes = Self::default();
        object::each_member(notifications.as_bytes(), |key, value| {
            if let Some(at) = KINDS.iter().position(|(wish, ..)| *wish == key) {
                wishes.0[at] = value.get() == "true";
            }
        })
        .ok()?;
        Some(wishes)
    }

    fn changed(self, old: &Versions, new: &Versions) -> Self {
        let mut changed = self;
        for (wanted, (_, _, count)) in changed.0.iter_mut().zip(&KINDS) {
            *wanted &= count(old) != count(new);
        }
        changed
    }

    fn take_first(&mut self) -> Option<Method> {
        let at = self.0.iter().position(|wanted| *wanted)?;
        self.0[at] = false;
        Some(KINDS[at].1.clone())
    }

    fn acknowledgement(self) -> Note {
        let mut out = b"{\"notifications\":{".to_vec();
        for (_, (wish, ..)) in self.0.iter().zip(&KINDS).filter(|(wanted, _)| **wanted) {
            push_member(&mut out, wish, b"true");
        }
        out.extend_from_slice(b"}}");
        let params = Params::parse(Json::trusted(out.into())).expect("an object was written");
        Note::new(Method::LISTEN_ACKNOWLEDGED, params)
    }
}

struct Listener {
    wishes: Wishes,
    versions: watch::Receiver<Versions>,
    shutdown: CancellationToken,
    told: Versions,
    /// What is to be told at once.
    pending: Wishes,
    /// Before that, nothing more is told.
    quiet_until: Option<Instant>,
    acknowledged: bool,
}

/// The acknowledgement, then the changes from here on.
pub(super) fn changes(
    wishes: Wishes,
    versions: watch::Receiver<Versions>,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<Event, BoxError>> + Send {
    let told = *versions.borrow();
    let (pending, quiet_until, acknowledged) = (Wishes::default(), None, false);
    let listener = Listener { wishes, versions, shutdown, told, pending, quiet_until, acknowledged };
    stream::unfold(listener, |mut listener| async move { Some((Ok(listener.next().await), listener)) })
}

impl Listener {
    async fn next(&mut self) -> Event {
        if !self.acknowledged {
            self.acknowledged = true;
            return Event::Note(self.wishes.acknowledgement());
        }
        loop {
            if let Some(method) = self.pending.take_first() {
                return Event::Note(Note::new(method, Params::empty()));
            }
            let shutdown = self.shutdown.clone();
            let more = tokio::select! {
                biased;
                () = shutdown.cancelled() => false,
                more = self.change() => more,
            };
            if !more {
                return Event::Done(Outcome::Result(Json::from_static("{}")));
            }
        }
    }

    /// Waits for something to tell, and until it may be told; `false` if there will never be anything.
    async fn change(&mut self) -> bool {
        let (wishes, told) = (self.wishes, self.told);
        let changed = |versions: &Versions| wishes.changed(&told, versions) != Wishes::default();
        if self.versions.wait_for(changed).await.is_err() {
            return false;
        }
        if let Some(quiet_until) = self.quiet_until {
            sleep_until(quiet_until).await;
        }
        // Read after the wait: what changed meanwhile is told with it.
        let versions = *self.versions.borrow_and_update();
        self.pending = wishes.changed(&told, &versions);
        self.told = versions;
        self.quiet_until = Some(Instant::now() + MIN_INTERVAL);
        true
    }
}
