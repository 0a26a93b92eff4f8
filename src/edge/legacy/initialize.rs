use super::{
    client::{Client, Told},
    session::Entry,
    token::Token,
    welcome::Welcome,
};
use crate::{
    BoxError, Method, Revision,
    auth::Principal,
    edge::{
        Body,
        answer::json,
        error::{Refusal, retry_after},
        legacy::Legacy,
        running::{Inner, Running},
        writer::Writer,
    },
    error::{Problem, Unfinished},
    header::MCP_SESSION_ID,
    json::{self, Id, Params},
    reply::{Event, Outcome},
};
use futures_util::StreamExt;
use http::{Extensions, HeaderValue, Response};
use std::sync::Arc;

impl Legacy {
    /// Opens a session of Streamable HTTP.
    pub(super) async fn initialize<S: Inner>(
        &self,
        inner: &Arc<S>,
        extensions: Extensions,
        id: Id,
        params: Params,
    ) -> Result<Response<Body>, Refusal> {
        self.sessions.room().map_err(|full| full.with_id(&id))?;
        let ((stamp, nonce), owner) = (self.sessions.stamp()?, Principal::mark_in(&extensions));
        let greeted = match greeting(&params) {
            Ok(told) => {
                let session = Token::seal(self.sessions.keys(), nonce, &told, stamp, self.sessions.bound(&owner));
                introduce(inner, Client::new(session, told), extensions, &self.welcome).await
            }
            Err(problem) => Err(problem.into()),
        };
        let writer = Writer::legacy(id.clone(), &Method::INITIALIZE);
        let (client, (status, message)) = match greeted {
            Ok((client, outcome)) => (client, writer.done(outcome)),
            Err(error) => {
                let problem = writer.failed(&*error);
                let mut response = json(problem.status, writer.problem(&problem));
                if let Some(delay) = problem.retry_after {
                    retry_after(response.headers_mut(), delay);
                }
                return Ok(response);
            }
        };
        let mut response = json(status, message);
        if let Some(client) = client {
            let name = HeaderValue::from_str(client.session().id()).expect("a token is visible ASCII");
            let entry = Entry::sealed(client, owner, stamp, self.sessions.budget().clone());
            let entry = Arc::new(entry.with_asking(self.settings.asking()));
            self.sessions.insert(entry).map_err(|full| full.with_id(&id))?;
            response.headers_mut().insert(MCP_SESSION_ID, name);
        }
        Ok(response)
    }
}

/// What the parameters of `initialize` tell.
pub(super) fn greeting(params: &Params) -> Result<Told, Problem> {
    let [asked, info, capabilities] = params.members(["protocolVersion", "clientInfo", "capabilities"]);
    let asked = asked.as_ref().and_then(|version| json::text(version.as_bytes()));
    let asked = asked.ok_or_else(|| Problem::rpc(400, -32602, "\"protocolVersion\" must be a string"))?;
    let told = Told::new(agreed(&asked), info, capabilities);
    told.ok_or_else(|| Problem::rpc(400, -32602, "the client says too much about itself"))
}

/// The answer to `initialize`, and the client it introduces where they came to an agreement.
///
/// Nothing goes to a server: the answer is that to `server/discover`, in the words of the client's revision.
pub(super) async fn introduce<S: Inner>(
    inner: &Arc<S>,
    client: Client,
    extensions: Extensions,
    welcome: &Welcome,
) -> Result<(Option<Client>, Outcome), BoxError> {
    let mut discover = Running::start(inner, client.call(Method::DISCOVER, &Params::empty(), None, extensions));
    loop {
        return match discover.next().await {
            Some(Ok(Event::Note(_) | Event::Ask(_) | Event::Part(_))) => continue,
            Some(Ok(Event::Done(Outcome::Result(found)))) => {
                let result = welcome.result(client.session().revision(), &found);
                Ok((Some(client), Outcome::Result(result)))
            }
            Some(Ok(Event::Done(outcome))) => Ok((None, outcome)),
            Some(Err(error)) => Err(error),
            None => Err(Unfinished::new().into()),
        };
    }
}

/// The revision that was asked for where it is one that opens with `initialize`; some clients ask for a later one,
/// which no handshake leads to.
fn agreed(asked: &str) -> Revision {
    asked.parse().ok().filter(|revision: &Revision| !revision.is_modern()).unwrap_or(Revision::LATEST_LEGACY)
}
