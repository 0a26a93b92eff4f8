use super::Endpoint;
use crate::{
    BoxError, Call, Method, ParamHeaders, Reply,
    json::{Json, Params, object::Edit},
    meta,
    reply::Outcome,
    upstream::Hop,
};
use std::sync::Arc;

/// Headers and body do not agree: the call was refused before it was made.
const HEADER_MISMATCH: i64 = -32020;
/// Pages of a list that is read again for one call.
const MAX_PAGES: usize = 64;

impl Endpoint {
    /// An exchange in which headers repeat what the body says. Where the server says that they do not, its tools are
    /// listed anew and the call is made once more (2026-07-28, "streamable-http: Custom Headers").
    pub(super) async fn mirrored(self: Arc<Self>, call: Call, hop: Arc<Hop>) -> Result<Reply, BoxError> {
        if !hop.is_modern() {
            return self.once(call, hop).await;
        }
        if call.method == Method::TOOLS_LIST {
            let reply = self.clone().once(call, hop).await?;
            return Ok(reply.map_outcome(move |outcome| self.learn(outcome)));
        }
        // A client's own headers are its affair, and so is a list that it has not read lately.
        if call.method != Method::TOOLS_CALL || call.extensions.get::<ParamHeaders>().is_some() {
            return self.once(call, hop).await;
        }
        let reply = self.clone().once(call.clone(), hop.clone()).await?;
        if reply.as_single().and_then(Outcome::error_code) != Some(HEADER_MISMATCH) {
            return Ok(reply);
        }
        match self.clone().list(&call, &hop).await {
            true => self.once(call, hop).await,
            false => Ok(reply),
        }
    }

    async fn once(self: Arc<Self>, call: Call, hop: Arc<Hop>) -> Result<Reply, BoxError> {
        let id = self.next_id();
        self.exchange(id, call, hop).await
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
            let listing = self.clone().once(Call::new(Method::TOOLS_LIST, params.clone()), hop.clone());
            let Ok(reply) = listing.await else { return false };
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
