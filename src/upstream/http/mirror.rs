use super::Endpoint;
use crate::{
    BoxError, Call, Method, ParamHeaders, Reply,
    json::{Json, Params, object::Edit},
    meta,
    reply::Outcome,
    upstream::Hop,
};
use futures_util::{TryFutureExt, future::Either};
use std::{
    future::{Future, ready},
    sync::Arc,
};

/// Headers and body do not agree: the call was refused before it was made.
const HEADER_MISMATCH: i64 = -32020;
/// Pages of a list that is read again for one call.
const MAX_PAGES: usize = 64;

impl Endpoint {
    /// An exchange in which headers repeat what the body says. Where the server says that they do not, its tools are
    /// listed anew and the call is made once more (2026-07-28, "streamable-http: Custom Headers").
    pub(super) fn mirrored(
        self: Arc<Self>,
        call: Call,
        hop: Arc<Hop>,
    ) -> impl Future<Output = Result<Reply, BoxError>> + Send + use<> {
        // A client's own headers are its affair, and so is a list that it has not read lately.
        let may_differ = call.method == Method::TOOLS_CALL && call.extensions.get::<ParamHeaders>().is_none();
        let kept = hop.is_modern() && (may_differ || call.method == Method::TOOLS_LIST);
        let kept = kept.then(|| (self.clone(), hop.clone()));
        let id = self.next_id();
        let exchange = self.exchange(id, &call, hop);
        exchange.and_then(move |reply| match kept {
            Some((endpoint, _)) if !may_differ => {
                Either::Left(ready(Ok(reply.map_outcome(move |outcome| endpoint.learn(outcome)))))
            }
            Some((endpoint, hop)) if reply.as_single().and_then(Outcome::error_code) == Some(HEADER_MISMATCH) => {
                Either::Right(Box::pin(endpoint.again(call, hop, reply)))
            }
            _ => Either::Left(ready(Ok(reply))),
        })
    }

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
            params = params.edit(&meta).edit_meta(&[Edit::Remove(meta::PROGRESS_TOKEN)]);
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
            params = params.edit(&[Edit::Set("cursor", cursor.as_bytes())]);
        }
        false
    }
}
