//! What a server said: one outcome, perhaps after other events.
//!
//! A [`Reply`] is to MCP what a body is to HTTP. Most are [single](Reply::single): the outcome is there, and nothing
//! beyond its bytes was allocated. Others are [streams](Reply::stream) of [`Event`]s whose last one is the outcome; a large
//! result may be among them in [parts](Event::Part), before its end is known.
//!
//! Dropping a reply cancels the call: there is no other signal, and every layer and transport keeps to it. What must
//! live as long as the call does, such as a permit or a load counter, rides along with [`Reply::hold`].

mod ask;
mod event;
mod hold;
mod stream;
mod whole;

pub use self::{
    ask::{Answer, Ask},
    event::{Event, Note, Outcome},
    stream::Events,
};
pub(crate) use self::{hold::Watch, whole::Whole};

use crate::BoxError;
use futures_util::{Stream, StreamExt};
use std::{any::Any, fmt};

/// One outcome, optionally after a stream of events.
///
/// ```
/// use futures_util::stream;
/// use tower_mcp_gateway::{BoxError, Method, Reply, json::{Json, Params}, reply::{Event, Note, Outcome}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let (note, done) = (Note::new(Method::PROGRESS, Params::empty()), Outcome::Result(Json::from_static("{}")));
/// assert!(Reply::single(done.clone()).as_single().is_some());
/// let reply = Reply::stream(stream::iter([Ok(note.into()), Ok(Event::Done(done))]));
/// assert!(reply.as_single().is_none(), "it may still be arriving");
/// assert!(reply.outcome().await?.result().is_some());
/// # Ok(()) }
/// ```
#[must_use = "dropping a reply cancels the call"]
pub struct Reply(Kind);

enum Kind {
    Single(Outcome),
    Stream(Events),
}

impl Reply {
    /// A reply that is complete.
    pub const fn single(outcome: Outcome) -> Self {
        Self(Kind::Single(outcome))
    }

    /// A reply that arrives piece by piece. The stream's last item must be an [`Event::Done`] or an error; whatever
    /// follows is never asked for, and a stream that just ends is an [`Unfinished`](crate::error::Unfinished) error.
    pub fn stream<S>(events: S) -> Self
    where
        S: Stream<Item = Result<Event, BoxError>> + Send + 'static,
    {
        Self(Kind::Stream(Events::new(events)))
    }

    /// Keeps `guard` until the reply is complete or abandoned; a single reply is complete already.
    ///
    /// ```
    /// use tower_mcp_gateway::{Reply, reply::Outcome, json::Json};
    /// use std::sync::Arc;
    ///
    /// let permit = Arc::new(());
    /// let reply = Reply::stream(futures_util::stream::pending()).hold(permit.clone());
    /// assert_eq!(Arc::strong_count(&permit), 2);
    /// drop(reply);
    /// assert_eq!(Arc::strong_count(&permit), 1);
    /// ```
    pub fn hold<G: Any + Send>(self, guard: G) -> Self {
        match self.0 {
            Kind::Single(outcome) => Self::single(outcome),
            Kind::Stream(events) => Self(Kind::Stream(events.hold(guard))),
        }
    }

    /// Has `watcher` see how events end; it costs nothing for those before. A single reply has ended already.
    pub(crate) fn watched(events: Events, watcher: impl Watch) -> Self {
        Self(Kind::Stream(events.watch(watcher)))
    }

    /// The outcome, if the reply is complete already.
    pub fn as_single(&self) -> Option<&Outcome> {
        match &self.0 {
            Kind::Single(outcome) => Some(outcome),
            Kind::Stream(_) => None,
        }
    }

    /// The outcome of a complete reply, or the events of one that is still arriving.
    ///
    /// # Errors
    ///
    /// The events, if the reply is a stream.
    pub fn into_single(self) -> Result<Outcome, Events> {
        match self.0 {
            Kind::Single(outcome) => Ok(outcome),
            Kind::Stream(events) => Err(events),
        }
    }

    /// The reply as a stream, whichever kind it is.
    pub fn into_events(self) -> Events {
        match self.0 {
            Kind::Single(outcome) => Events::new(futures_util::stream::iter([Ok(Event::Done(outcome))])),
            Kind::Stream(events) => events,
        }
    }

    /// Waits for the outcome and drops what comes before it; for callers who listen to nothing else.
    ///
    /// # Errors
    ///
    /// What ended the stream in place of an outcome.
    pub async fn outcome(self) -> Result<Outcome, BoxError> {
        let mut events = match self.0 {
            Kind::Single(outcome) => return Ok(outcome),
            Kind::Stream(events) => events,
        };
        let mut whole = Whole::default();
        while let Some(event) = events.next().await {
            if let Some(Event::Done(outcome)) = whole.take(event?) {
                return Ok(outcome);
            }
        }
        Err(crate::error::Unfinished::new().into())
    }

    /// Changes the outcome, now or when it comes. Of a result that came in [parts](Event::Part) nothing can be changed any
    /// more: who wants to clears [`Call::in_parts`](crate::call::Parts::in_parts) beforehand.
    pub fn map_outcome<F>(self, edit: F) -> Self
    where
        F: FnOnce(Outcome) -> Outcome + Send + 'static,
    {
        match self.0 {
            Kind::Single(outcome) => Self::single(edit(outcome)),
            Kind::Stream(events) => {
                let mut edit = Some(edit);
                Self::stream(events.map(move |event| {
                    Ok(match event? {
                        Event::Done(outcome) => Event::Done(match edit.take() {
                            Some(edit) => edit(outcome),
                            None => outcome,
                        }),
                        other => other,
                    })
                }))
            }
        }
    }
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self::single(outcome)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Single(outcome) => f.debug_tuple("Reply").field(outcome).finish(),
            Kind::Stream(events) => f.debug_tuple("Reply").field(events).finish(),
        }
    }
}
