//! Reads of a resource that several servers may have.

use super::{Target, service::enter};
use crate::{
    BoxError, Call, Reply,
    reply::{Event, Outcome},
};
use futures_util::{StreamExt, stream};
use tower::Service;

/// How many servers are asked for one resource at most: a read must not become a call to everyone because everyone
/// declares `{uri}`.
pub(super) const MAX_SERVERS: usize = 8;

/// Asks one server after the other, until one does not say that it has no such resource; the last one's answer
/// stands, whatever it is.
///
/// A failure ends the search. Were a server that is down passed over, the next one could answer with another resource
/// of the same URI, and which one a client reads would depend on health.
pub(super) async fn first_that_has_it<S>(targets: Vec<Target<S>>, call: Call) -> Result<Reply, BoxError>
where
    S: Service<Call, Response = Reply> + Clone,
    S::Error: Into<BoxError>,
{
    let last = targets.len().saturating_sub(1);
    for (at, target) in targets.iter().enumerate() {
        // What one server is allowed is not for the next.
        if let Some(lapse) = &call.lapse {
            lapse.allow_no_more();
        }
        let entry = target.admit(&call)?;
        let reply = enter(entry, target.clone(), target.address(call.clone())).await?;
        if at == last {
            return Ok(reply);
        }
        match look(reply).await? {
            Look::Missing => {}
            Look::Reply(reply) => return Ok(reply),
        }
    }
    Err(crate::error::Unfinished::new().into())
}

enum Look {
    Missing,
    Reply(Reply),
}

/// Looks at the first event, because many servers answer every call with a stream of one. A server that has told
/// something first is believed: what was told cannot be taken back.
async fn look(reply: Reply) -> Result<Look, BoxError> {
    let outcome = match reply.into_single() {
        Ok(outcome) => outcome,
        Err(mut events) => match events.next().await {
            Some(Ok(Event::Done(outcome))) => outcome,
            Some(Err(error)) => return Err(error),
            Some(Ok(note)) => return Ok(Look::Reply(Reply::stream(stream::iter([Ok(note)]).chain(events)))),
            None => return Err(crate::error::Unfinished::new().into()),
        },
    };
    Ok(if is_missing(&outcome) { Look::Missing } else { Look::Reply(outcome.into()) })
}

/// −32002 up to 2025-11-25; since then −32602 with the URI in `data`, which tells it from other invalid parameters.
fn is_missing(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Error(error) => match outcome.error_code() {
            Some(-32002) => true,
            Some(-32602) => error.member("data").is_some_and(|data| data.member("uri").is_some()),
            _ => false,
        },
        _ => false,
    }
}
