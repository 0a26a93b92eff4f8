use super::{
    agreed::Agreed,
    subscriptions::{MAX_URIS, Subscribed, is_about},
};
use crate::{
    BoxError, Call, Method, Reply,
    error::find,
    json::{Json, Params, object::Edit},
    meta,
    reply::{Event, Note, Outcome},
    upstream::{
        Hop, Outbound, Transport,
        error::{SessionLost, SessionRefused, Status},
    },
};
use futures_util::{StreamExt, stream};
use std::{collections::HashSet, sync::Arc};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// What can be listened to: its name in the filter, the capability that allows it, and the notification.
const KINDS: [(&str, &str, Method); 3] = [
    ("toolsListChanged", "tools", Method::TOOLS_LIST_CHANGED),
    ("promptsListChanged", "prompts", Method::PROMPTS_LIST_CHANGED),
    ("resourcesListChanged", "resources", Method::RESOURCES_LIST_CHANGED),
];

/// `subscriptions/listen` at an initialize-era server: an acknowledgement of what it can tell, then what it tells
/// outside of calls.
///
/// A server that has no such channel (HTTP 405 to the GET) is acknowledged as telling nothing, and the stream stays
/// open for as long as the session is known: there is nothing to be had by asking again.
pub(super) async fn legacy<T: Transport>(
    transport: T,
    call: Call,
    agreed: &Arc<Agreed>,
    tasks: &TaskTracker,
) -> Result<Reply, BoxError> {
    let (honoured, uris) = (honoured(&call.params, agreed), uris(&call.params, agreed));
    let hop = agreed.hop.clone();
    let outbound = Outbound { call, hop: hop.clone() };
    match transport.clone().oneshot(outbound).await {
        Ok(reply) => {
            // Listened to before it is subscribed, so that no update falls between.
            let subscribed = Subscribed::open(transport, agreed.clone(), tasks.clone(), uris).await;
            let first = stream::iter([Ok(acknowledgement(&honoured, subscribed.uris()))]);
            let rest =
                reply.into_events().flat_map(move |event| stream::iter(heard(event, &honoured, subscribed.uris())));
            Ok(Reply::stream(first.chain(rest)))
        }
        // Which of the two it was is yet to be seen.
        Err(error) if find::<SessionRefused>(&*error).is_some() => Err(error),
        Err(error) if find::<Status>(&*error).is_some_and(|Status(status)| status.is_client_error()) => {
            Ok(silence(hop))
        }
        Err(error) => Err(error),
    }
}

/// What a listener hears of a server that has no channel for what it says outside of calls: that the session of `hop` is lost,
/// because behind the next one may be another server.
pub(super) fn silence(hop: Arc<Hop>) -> Reply {
    let lost = async move {
        hop.lost().await;
        Err(SessionLost.into())
    };
    Reply::stream(stream::iter([Ok(acknowledgement(&[], &[]))]).chain(stream::once(lost)))
}

/// What an event means to a listener that was promised `honoured` and `uris`.
fn heard(
    event: Result<Event, BoxError>,
    honoured: &[(&str, Method)],
    uris: &[Box<str>],
) -> Vec<Result<Event, BoxError>> {
    let Ok(Event::Note(note)) = event else { return vec![event] };
    if note.method != Method::RESOURCES_UPDATED {
        let wanted = honoured.iter().any(|(_, method)| *method == note.method);
        return Vec::from_iter(wanted.then_some(Ok(Event::Note(note))));
    }
    match note.params.uri() {
        Some(uri) => {
            let wanted = uris.iter().any(|subscribed| is_about(subscribed, &uri));
            Vec::from_iter(wanted.then_some(Ok(Event::Note(note))))
        }
        // After a gap: it may have been any of them.
        None => uris.iter().map(|uri| Ok(updated(uri).into())).collect(),
    }
}

fn updated(uri: &str) -> Note {
    let params = Params::from_value(&serde_json::json!({"uri": uri})).expect("an object");
    Note::new(Method::RESOURCES_UPDATED, params)
}

/// The resources that were asked for, if the server tells about any.
fn uris(params: &Params, agreed: &Agreed) -> Vec<String> {
    let offered = agreed.capability("resources").and_then(|declared| declared.member("subscribe"));
    let asked = params.member("notifications").and_then(|asked| asked.member("resourceSubscriptions"));
    let asked = asked.filter(|_| offered.is_some_and(|offered| offered.as_str() == "true"));
    let mut uris: Vec<String> = asked.and_then(|asked| asked.read().ok()).unwrap_or_default();
    let mut seen = HashSet::new();
    uris.retain(|uri| seen.insert(uri.clone()));
    uris.truncate(MAX_URIS);
    uris
}

/// What was asked for and the server has declared.
fn honoured(params: &Params, agreed: &Agreed) -> Vec<(&'static str, Method)> {
    let is_true = |json: Option<Json>| json.is_some_and(|json| json.as_str() == "true");
    let asked = params.member("notifications");
    let wanted = KINDS.into_iter().filter(|(name, capability, _)| {
        is_true(asked.as_ref().and_then(|asked| asked.member(name)))
            && is_true(agreed.capability(capability).and_then(|declared| declared.member("listChanged")))
    });
    wanted.map(|(name, _, method)| (name, method)).collect()
}

fn acknowledgement(honoured: &[(&str, Method)], uris: &[Box<str>]) -> Event {
    let mut names: Vec<_> = honoured.iter().map(|(name, _)| format!("\"{name}\":true")).collect();
    if !uris.is_empty() {
        let uris = Json::from_value(uris).expect("a list of texts");
        names.push(format!("\"resourceSubscriptions\":{uris}"));
    }
    let text = format!("{{\"notifications\":{{{}}}}}", names.join(","));
    let params = Params::parse(Json::trusted(text.into())).expect("built as an object");
    Event::from(Note::new(Method::LISTEN_ACKNOWLEDGED, params))
}

/// The reply of a modern server without the id of the subscription, which is this hop's own.
pub(super) fn untagged(reply: Reply) -> Reply {
    let untag = |params: &Params| params.edit_meta(&[Edit::Remove(meta::SUBSCRIPTION_ID)]);
    let outcome = move |outcome| match outcome {
        Outcome::Result(result) => Outcome::Result(match Params::parse(result.clone()) {
            Ok(params) => Json::from(&untag(&params)),
            Err(_) => result,
        }),
        other => other,
    };
    let events = match reply.into_single() {
        Ok(single) => return Reply::single(outcome(single)),
        Err(events) => events,
    };
    Reply::stream(events.map(move |event| {
        Ok(match event? {
            Event::Note(note) => Event::from(Note::new(note.method, untag(&note.params))),
            Event::Ask(ask) => Event::Ask(ask),
            Event::Part(part) => Event::Part(part),
            Event::Done(done) => Event::Done(outcome(done)),
        })
    }))
}
