//! The upstream `subscriptions/listen` of one endpoint.

use super::{Kind, Terms};
use crate::{
    BoxError, Call, Method, Reply,
    json::{Params, object::Edit},
    reply::{Event, Events, Outcome},
};
use futures_util::{StreamExt, future::BoxFuture};
use tower::{Service, ServiceExt};

const FILTER: &[u8] = br#"{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}"#;

const CHANGES: [(Method, Kind); 3] = [
    (Method::TOOLS_LIST_CHANGED, Kind::Tools),
    (Method::PROMPTS_LIST_CHANGED, Kind::Prompts),
    (Method::RESOURCES_LIST_CHANGED, Kind::Resources),
];

/// What a server says of its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It will tell; changes up to here were not told.
    Acknowledged,
    /// It will tell of none of its lists.
    Silent,
    /// This list changed.
    Changed(Kind),
    /// It stopped telling.
    Ended,
    /// It never tells.
    Refused,
}

/// Hears what a server says, as long as it is kept.
pub(super) enum Ear {
    Opening(BoxFuture<'static, Result<Reply, BoxError>>),
    Open { events: Events, acknowledged: bool },
    Deaf,
}

impl Ear {
    pub(super) fn open<S>(service: S, terms: &Terms) -> Self
    where
        S: Service<Call, Response = Reply> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        let call = Call::new(Method::LISTEN, terms.params(&[Edit::Set("notifications", FILTER)]));
        Self::Opening(Box::pin(async move { service.oneshot(call).await.map_err(Into::into) }))
    }

    /// The next thing heard; pending for ever after the last. Dropping the future loses nothing.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            match self {
                Ear::Opening(reply) => match reply.await {
                    Ok(reply) => *self = Ear::Open { events: reply.into_events(), acknowledged: false },
                    Err(_) => return self.deafen(Heard::Ended),
                },
                Ear::Open { events, acknowledged } => match events.next().await {
                    Some(Ok(Event::Note(note))) if note.method == Method::LISTEN_ACKNOWLEDGED => {
                        *acknowledged = true;
                        return if tells(&note.params) { Heard::Acknowledged } else { Heard::Silent };
                    }
                    Some(Ok(Event::Note(note))) => {
                        if let Some((_, kind)) = CHANGES.iter().find(|(method, _)| *method == note.method) {
                            return Heard::Changed(*kind);
                        }
                    }
                    Some(Ok(Event::Done(Outcome::Error(_)))) if !*acknowledged => {
                        return self.deafen(Heard::Refused);
                    }
                    _ => return self.deafen(Heard::Ended),
                },
                Ear::Deaf => std::future::pending().await,
            }
        }
    }

    fn deafen(&mut self, heard: Heard) -> Heard {
        *self = Ear::Deaf;
        heard
    }
}

/// Whether an acknowledgement promises to tell of a list; one that says nothing of what it promises, promises what was asked for.
fn tells(acknowledged: &Params) -> bool {
    let Some(honoured) = acknowledged.member("notifications") else { return true };
    let names = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
    names.iter().any(|name| honoured.member(name).is_some_and(|told| told.as_str() == "true"))
}
