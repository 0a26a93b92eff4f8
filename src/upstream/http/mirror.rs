use super::{
    Endpoint,
    exchange::Exchange,
    reading::{Replying, reply},
};
use crate::{
    BoxError, Call, Method, ParamHeaders, Reply,
    json::{Json, Params, object::Edit},
    meta,
    reply::Outcome,
    upstream::Hop,
};
use futures_util::future::BoxFuture;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Headers and body do not agree: the call was refused before it was made.
const HEADER_MISMATCH: i64 = -32020;
/// Pages of a list that is read again for one call.
const MAX_PAGES: usize = 64;

/// An exchange in which headers repeat what the body says. Where the server says that they do not, its tools are listed anew
/// and the call is made once more (2026-07-28, "streamable-http: Custom Headers").
pub(super) struct Mirrored {
    exchange: Replying<Exchange>,
    then: Then,
    again: Option<BoxFuture<'static, Result<Reply, BoxError>>>,
}

/// What an answer may be good for beside its client.
enum Then {
    Nothing,
    /// It is a list of tools, which says what headers their calls have.
    Learn(Arc<Endpoint>),
    /// It may be that the headers were wrong.
    Again(Arc<Endpoint>, Arc<Hop>, Call),
}

impl Mirrored {
    pub(super) fn begin(endpoint: Arc<Endpoint>, call: Call, hop: Arc<Hop>) -> Self {
        let exchange = Exchange::begin(endpoint.clone(), endpoint.next_id(), &call, hop.clone());
        // A client's own headers are its affair, and so is a list that it has not read lately.
        let then = match call.method {
            _ if !hop.is_modern() => Then::Nothing,
            Method::TOOLS_LIST => Then::Learn(endpoint),
            Method::TOOLS_CALL if call.extensions.get::<ParamHeaders>().is_none() => Then::Again(endpoint, hop, call),
            _ => Then::Nothing,
        };
        Self { exchange: reply(exchange), then, again: None }
    }
}

impl Future for Mirrored {
    type Output = Result<Reply, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(again) = &mut self.again {
            return again.as_mut().poll(cx);
        }
        let reply = ready!(Pin::new(&mut self.exchange).poll(cx))?;
        match std::mem::replace(&mut self.then, Then::Nothing) {
            Then::Learn(endpoint) => Poll::Ready(Ok(reply.map_outcome(move |outcome| endpoint.learn(outcome)))),
            Then::Again(endpoint, hop, call) if is_mismatch(&reply) => {
                let again = self.again.insert(Box::pin(endpoint.again(call, hop, reply)));
                again.as_mut().poll(cx)
            }
            _ => Poll::Ready(Ok(reply)),
        }
    }
}

fn is_mismatch(reply: &Reply) -> bool {
    reply.as_single().and_then(Outcome::error_code) == Some(HEADER_MISMATCH)
}

impl Endpoint {
    /// The call once more where the list names its tool; what it was answered with otherwise.
    async fn again(self: Arc<Self>, call: Call, hop: Arc<Hop>, reply: Reply) -> Result<Reply, BoxError> {
        match self.clone().list(&call, &hop).await {
            true => self.clone().exchange(self.next_id(), &call, hop).await,
            false => Ok(reply),
        }
    }

    fn learn(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Result(page) => Outcome::Result(self.annotations.learn(&page).unwrap_or(page)),
            other => other,
        }
    }

    /// Lists the tools, up to the one that is called; whether it is there.
    async fn list(self: Arc<Self>, call: &Call, hop: &Arc<Hop>) -> bool {
        let mut params = Params::empty();
        if let Some(meta) = call.params.meta() {
            let meta = [Edit::Set(meta::META, meta.as_bytes())];
            params = params.edit_shallow(&meta).edit_meta(&[Edit::Remove(meta::PROGRESS_TOKEN)]);
        }
        let named = |page: &Json| {
            #[derive(serde::Deserialize)]
            struct Tool<'a> {
                #[serde(borrow)]
                name: std::borrow::Cow<'a, str>,
            }
            let tools = page.member("tools");
            let tools = tools.as_ref().and_then(|tools| tools.read::<Vec<Tool<'_>>>().ok());
            tools.is_some_and(|tools| tools.iter().any(|tool| Some(&*tool.name) == call.params.name().as_deref()))
        };
        for _ in 0..MAX_PAGES {
            let listing = Call::new(Method::TOOLS_LIST, params.clone());
            let Ok(reply) = self.clone().exchange(self.next_id(), &listing, hop.clone()).await else { return false };
            let Ok(Outcome::Result(page)) = reply.outcome().await else { return false };
            self.annotations.learn(&page);
            if named(&page) {
                return true;
            }
            let Some(cursor) = page.member("nextCursor").filter(|cursor| cursor.as_str() != "null") else {
                return false;
            };
            params = params.edit_shallow(&[Edit::Set("cursor", cursor.as_bytes())]);
        }
        false
    }
}
