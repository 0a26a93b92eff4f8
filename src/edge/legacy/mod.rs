//! Clients that open with `initialize`: Streamable HTTP of 2025-03-26 to 2025-11-25, and HTTP+SSE of 2024-11-05.
//!
//! They tell once who they are and what they can do, and are told a session id. What their later requests leave out is
//! filled in here, so that nothing behind the edge sees a difference but [`Call::session`](crate::Call).
//!
//! A client of this era whose connection breaks has not cancelled its call (2025-11-25, "basic/transports: Sending
//! Messages to the Server"). So a call belongs to its session: one whose response is dropped goes on in a task of its
//! own until it is done, cancelled, or the session ends.

pub(super) mod announce;
mod batch;
mod cancel;
mod client;
pub(super) mod dialogue;
mod feed;
mod history;
mod initialize;
mod inquiry;
mod line;
mod live;
mod passage;
pub(super) mod post;
mod questions;
pub(super) mod results;
mod rounds;
pub(super) mod session;
pub(super) mod sse;
pub(super) mod store;
pub(super) mod stream;
mod token;
mod welcome;

pub(super) use self::rounds::Asking;

use self::{session::Entry, store::Sessions, welcome::Welcome};
use super::{
    Body,
    begun::Begun,
    error::{Refusal, bare},
    headers::{Field, Fields, Head, Target},
    incoming::Incoming,
    layer::Settings,
    running::Inner,
};
use crate::{
    Revision,
    auth::Principal,
    error::Problem,
    header::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID},
    seal::Keys,
};
use http::{Extensions, Response, StatusCode, request::Parts};
use std::sync::Arc;

/// The initialize-era side of an edge.
pub(super) struct Legacy {
    settings: Arc<Settings>,
    sessions: Arc<Sessions>,
    welcome: Welcome,
}

impl Legacy {
    /// The methods of the endpoint.
    pub(super) const ALLOW: &'static str = "GET, POST, DELETE";
    /// Those that do without a session.
    const ALLOW_WITHOUT: &'static str = "POST";

    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let generate = || Keys::generate().expect("the operating system gives random bytes");
        let keys = settings.keys.clone().unwrap_or_else(generate);
        let sessions = Arc::new(Sessions::new(&settings, keys));
        Self { settings, sessions, welcome: Welcome::default() }
    }

    pub(super) fn close(&self) {
        self.sessions.close();
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn post<'a, S: Inner>(
        &'a self,
        inner: &'a Arc<S>,
        head: Head<'_>,
        incoming: Incoming,
    ) -> Result<Begun<'a>, Refusal> {
        match sse::session_id(head.uri, &self.settings) {
            Some(id) => Ok(Begun::waiting(self.post_event(inner, id.to_owned(), head.extensions, incoming))),
            None => self.post_message(inner, head, incoming),
        }
    }

    pub(super) async fn get<S: Inner>(&self, inner: &Arc<S>, parts: Parts) -> Result<Response<Body>, Refusal> {
        // At one URL either transport may be asked for, and only a client of Streamable HTTP has its session by now.
        match sse::is_stream(&parts.uri) && !parts.headers.contains_key(MCP_SESSION_ID) {
            true => self.open_events(&parts),
            false => self.open_stream(inner, parts).await,
        }
    }

    /// Ends a session and everything in it.
    #[cold]
    pub(super) fn delete(&self, parts: &Parts) -> Result<Response<Body>, Refusal> {
        let entry = self.session(&Fields::of(&parts.headers).target, &parts.extensions)?;
        let entry = entry.ok_or_else(|| Refusal::method_not_allowed(Self::ALLOW_WITHOUT))?;
        self.sessions.revoke(&entry);
        Ok(bare(StatusCode::NO_CONTENT))
    }

    /// The session a request names, if it names one of its sender's, with the header of its revision checked.
    fn session(&self, target: &Target<'_>, extensions: &Extensions) -> Result<Option<Arc<Entry>>, Refusal> {
        let id = match target.session {
            Field::Absent => return Ok(None),
            Field::Once(id) => id,
            Field::Twice => return Err(Refusal::invalid("more than one Mcp-Session-Id")),
        };
        // The id of an HTTP+SSE session travels in URLs, so it is none here.
        let entry = self.sessions.find(id, &Principal::mark_in(extensions))?;
        if entry.queue().is_some() {
            return Err(no_session());
        }
        let version = target.version.single(&MCP_PROTOCOL_VERSION).map_err(|_| unsupported())?;
        match version.map(str::parse::<Revision>) {
            None => Ok(Some(entry)),
            Some(Ok(revision)) if !revision.is_modern() => Ok(Some(entry)),
            Some(_) => Err(unsupported()),
        }
    }
}

/// 404 says one thing to this era: open a new session.
fn no_session() -> Refusal {
    Problem::new(404, "session", "no such session; it has ended or never was").into()
}

fn unsupported() -> Refusal {
    Refusal::invalid("the header MCP-Protocol-Version names no supported revision")
}
