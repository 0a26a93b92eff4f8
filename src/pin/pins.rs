use super::{
    Fingerprint, InvalidPins, Prints,
    ledger::{Ledger, MAX_TOOLS},
};
use serde::Serialize;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// What is pinned of all servers of a gateway; clones are the same.
///
/// They live in memory. A program that shall remember across restarts writes [`to_json`](Self::to_json) somewhere whenever
/// [`news`](Self::news) says so, and begins with [`from_json`](Self::from_json), as the `tower-mcp-gateway` command does
/// in the user's state folder.
///
/// ```
/// use tower_mcp_gateway::{pin::{Pin, Pins}, registry::Registry};
///
/// let kept = br#"{ "servers": {} }"#;
/// let pins = Pins::from_json(kept)?;
/// let (registry, driver) = Registry::builder().pin(Pin::Block).pins(pins.clone()).build();
/// # drop((registry, driver));
/// // Later, when the operator has read what is new:
/// for (server, change) in pins.changed() {
///     println!("{server}: {:?} has another {}", change.tool, change.fields.join(" and "));
///     // This change, and not one that came while it was read.
///     pins.accept(&server, |one| *one == change);
/// }
/// # Ok::<(), tower_mcp_gateway::pin::InvalidPins>(())
/// ```
#[derive(Clone, Default)]
pub struct Pins(Arc<Inner>);

#[derive(Default)]
struct Inner {
    ledger: Mutex<Ledger>,
    news: watch::Sender<u64>,
    accepted: watch::Sender<u64>,
}

/// A tool that is not what was first seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Change {
    /// Its own name at its server.
    #[serde(rename = "name")]
    pub tool: Box<str>,
    /// Which of [`Fingerprint::FIELDS`] are others.
    pub fields: Vec<&'static str>,
    /// Digits of what it is now, which tell one change from the next.
    pub now: String,
}

impl Change {
    pub(super) fn new(tool: &str, pinned: &Fingerprint, now: &Fingerprint) -> Self {
        Self { tool: tool.into(), fields: pinned.differences(now), now: now.short() }
    }
}

/// What came of comparing one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Review {
    /// Whether each tool, in the order of the list, is what is pinned.
    pub(crate) same: Vec<bool>,
    pub(crate) changes: Vec<Change>,
    /// How many tools were not pinned, because too many are.
    pub(crate) beyond: usize,
}

impl Pins {
    /// The most tools that are pinned of one server name. Those beyond are reported as one, and treated as changed.
    pub const MAX_TOOLS: usize = MAX_TOOLS;

    /// What [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`InvalidPins`] for anything else.
    pub fn from_json(text: &[u8]) -> Result<Self, InvalidPins> {
        let pins = Self::default();
        *pins.ledger() = read(text)?;
        Ok(pins)
    }

    /// All of it, to be kept.
    pub fn to_json(&self) -> Vec<u8> {
        // Maps of strings: nothing in it can fail to be written.
        serde_json::to_vec(&*self.ledger()).unwrap_or_default()
    }

    /// Takes over what others who share the place where it is kept have pinned and accepted.
    ///
    /// # Errors
    ///
    /// [`InvalidPins`] if `text` is not what [`to_json`](Self::to_json) wrote; nothing has changed then.
    pub fn take_over(&self, text: &[u8]) -> Result<(), InvalidPins> {
        let kept = read(text)?;
        if self.ledger().take_over(kept) {
            self.0.accepted.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Takes those tools of the server as they are now whose change `is_meant`; gives the changes. A gateway that withholds
    /// them has them again at once.
    ///
    /// A server may change a tool once more while somebody reads what it says, so a change that was read is compared as a
    /// whole, with [`now`](Change::now): by its name alone the latest would be accepted, which nobody has seen.
    ///
    /// ```
    /// use tower_mcp_gateway::pin::Pins;
    ///
    /// let pins = Pins::default();
    /// for (server, change) in pins.changed() {
    ///     if pins.accept(&server, |one| *one == change).is_empty() {
    ///         println!("{:?} is something else by now: read it again", change.tool);
    ///     }
    /// }
    /// // Whatever they are:
    /// assert!(pins.accept("files", |_| true).is_empty());
    /// ```
    ///
    /// # Caveats
    ///
    /// `is_meant` is asked under the lock of these pins and must not call them.
    pub fn accept(&self, server: &str, is_meant: impl Fn(&Change) -> bool) -> Vec<Change> {
        let accepted = self.ledger().accept(server, is_meant);
        if !accepted.is_empty() {
            self.0.accepted.send_modify(|count| *count += 1);
            self.0.news.send_modify(|count| *count += 1);
        }
        accepted
    }

    /// The tools that are not what is pinned, each with the name of its server.
    pub fn changed(&self) -> Vec<(String, Change)> {
        self.ledger().changed().map(|(server, change)| (server.to_owned(), change)).collect()
    }

    /// A counter that moves whenever there is more to keep than before.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// A counter that moves whenever something was accepted.
    pub(crate) fn accepted(&self) -> watch::Receiver<u64> {
        self.0.accepted.subscribe()
    }

    /// Compares what the replicas of `server` list, and pins what is new.
    pub(crate) fn review(&self, server: &str, lists: &[Prints]) -> Vec<Review> {
        let (reviews, news) = self.ledger().review(server, lists);
        if news {
            self.0.news.send_modify(|count| *count += 1);
        }
        reviews
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(text: &[u8]) -> Result<Ledger, InvalidPins> {
    // A list counts as an object without names for serde.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(InvalidPins("not an object".into()));
    }
    // The text of the error may hold what a server wrote; the place is enough.
    serde_json::from_slice(text)
        .map_err(|error| InvalidPins(format!("line {}, column {}", error.line(), error.column())))
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins").field("changed", &self.changed()).finish_non_exhaustive()
    }
}
