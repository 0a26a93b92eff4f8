use super::{
    agreed::Agreed,
    error::HandshakeFailed,
    probe::{UNSUPPORTED_VERSION, Verdict, judge, understood_nothing},
    wording,
};
use crate::{
    BoxError, Call, Method, Revision,
    error::{find, is_connection},
    json::{Json, Params},
    reply::Outcome,
    upstream::{
        Hop, Outbound, Settings, Transport,
        error::{Closed, Connect, NotStarted, Protocol, Refused, Replaced},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time;
use tower::ServiceExt;

/// Longest wait for the answer to `initialize` of a server that runs already.
const ANSWER: Duration = Duration::from_secs(10);
/// Handshakes begun anew because the connection was replaced under them.
const REPLACED: usize = 3;
/// How much of a server's own words is passed on.
const MESSAGE: usize = 200;

/// What to ask a server first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// `server/discover`, then `initialize`.
    Discover,
    /// `initialize`, then `server/discover`: it spoke so on an earlier connection.
    Initialize,
    /// Only `initialize`: the transport itself is of that era.
    InitializeOnly,
}

/// How one server is greeted.
#[derive(Clone, Debug)]
pub(super) struct Greeting {
    pub(super) settings: Arc<Settings>,
    /// Whether it is a child, which may first have to download itself, and may exit over an unknown question.
    pub(super) child: bool,
    pub(super) opening: Opening,
    /// The `clientInfo` and `capabilities` of `initialize`.
    pub(super) client_info: Json,
    pub(super) declaration: Arc<str>,
}

/// Makes the handshake on the present connection.
pub(super) async fn agree<T: Transport>(transport: T, greeting: Greeting) -> Result<Arc<Agreed>, HandshakeFailed> {
    let (mut attempts, mut why) = (1, None);
    loop {
        let error = match attempt(&transport, &greeting).await {
            Ok(agreed) => return Ok(Arc::new(agreed)),
            Err(error) => error,
        };
        let is_replaced = find::<Replaced>(&*error).is_some();
        // That a child is gone helps nobody; how it went does.
        why = transport.fault().or(why);
        if !is_replaced || attempts == REPLACED {
            let is_gone = is_replaced || greeting.child && find::<Closed>(&*error).is_some();
            let why = why.filter(|_| is_gone);
            return Err(HandshakeFailed::new(why.map_or(error, |why| Connect(why.into()).into())));
        }
        attempts += 1;
    }
}

async fn attempt<T: Transport>(transport: &T, greeting: &Greeting) -> Result<Agreed, BoxError> {
    let mut on = Connection { transport, greeting, epoch: transport.connected().await? };
    if greeting.opening == Opening::Discover {
        let answered = match on.discover().await {
            Ok(Some(Verdict::Modern(answer))) => return Ok(Agreed::modern(on.epoch, answer)),
            Ok(answer) => answer.is_some(),
            // Some old servers exit when the first request is not `initialize`.
            Err(error) if greeting.child && find::<Closed>(&*error).is_some_and(|closed| closed.sent) => {
                on.epoch = transport.connected().await?;
                true
            }
            Err(error) => return Err(error),
        };
        return match on.initialize().await? {
            Ok(agreed) => Ok(Agreed { certain: answered, ..agreed }),
            // A slow starter that did get the question and is locked to that era by now.
            Err(refusal) if refusal.code == Some(UNSUPPORTED_VERSION) => on.discover_or(refusal).await,
            Err(refusal) => Err(refusal.into()),
        };
    }
    match on.initialize().await {
        Ok(Ok(agreed)) => Ok(agreed),
        Ok(Err(refusal)) if greeting.opening == Opening::InitializeOnly => Err(refusal.into()),
        Ok(Err(refusal)) => on.discover_or(refusal).await,
        // Another server may be there by now, which knows no `initialize` and has no words for that.
        Err(error) if greeting.opening == Opening::Initialize && understood_nothing(&*error) => {
            on.discover_or(error).await
        }
        Err(error) => Err(error),
    }
}

/// `initialize` was answered with an error.
struct Refusal {
    code: Option<i64>,
    message: String,
}

impl From<Refusal> for BoxError {
    fn from(refusal: Refusal) -> Self {
        Refused(refusal.message.into()).into()
    }
}

struct Connection<'a, T> {
    transport: &'a T,
    greeting: &'a Greeting,
    epoch: u64,
}

impl<T: Transport> Connection<'_, T> {
    /// Asks which era the server is of; `None` if it does not answer in time.
    async fn discover(&self) -> Result<Option<Verdict>, BoxError> {
        let settings = &self.greeting.settings;
        let params = wording::with_modern_meta(&Params::empty(), &settings.client_info).unwrap_or_default();
        let hop = Hop::new(Some(Revision::LATEST_MODERN), self.epoch);
        let answer = self.exchange(Method::DISCOVER, params, hop.into());
        match time::timeout(settings.era_timeout, answer).await {
            Ok(answer) => judge(answer).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Asks once more, and gives up with the refusal if the server is not modern after all.
    async fn discover_or(&self, refusal: impl Into<BoxError>) -> Result<Agreed, BoxError> {
        match self.discover().await? {
            Some(Verdict::Modern(answer)) => Ok(Agreed::modern(self.epoch, answer)),
            _ => Err(refusal.into()),
        }
    }

    /// `initialize`, then `notifications/initialized`.
    async fn initialize(&self) -> Result<Result<Agreed, Refusal>, BoxError> {
        let patience = if self.greeting.child { self.greeting.settings.start_timeout } else { ANSWER };
        let params = format!(
            r#"{{"protocolVersion":"{}","capabilities":{},"clientInfo":{}}}"#,
            Revision::LATEST_LEGACY,
            self.greeting.declaration,
            self.greeting.client_info
        );
        let params = Params::parse(Json::parse(params)?)?;
        let hop = Arc::new(Hop::new(None, self.epoch));
        let answer = self.exchange(Method::INITIALIZE, params, hop.clone());
        let agreed = match time::timeout(patience, answer).await {
            Err(_) => return Err(NotStarted(patience).into()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Outcome::Error(error))) => return Ok(Err(Refusal::from_json(&error))),
            Ok(Ok(Outcome::Accepted | Outcome::Passed(_))) => {
                return Err(Protocol("initialize was not answered".into()).into());
            }
            Ok(Ok(Outcome::Result(result))) => Agreed::legacy(&hop, &result)?,
        };
        let initialized = self.exchange(Method::INITIALIZED, Params::empty(), agreed.hop.clone());
        match time::timeout(patience, initialized).await {
            Ok(Err(error)) if is_connection(&*error) || find::<Replaced>(&*error).is_some() => Err(error),
            // A server that finds fault with the notification has agreed nevertheless.
            _ => Ok(Ok(agreed)),
        }
    }

    async fn exchange(&self, method: Method, params: Params, hop: Arc<Hop>) -> Result<Outcome, BoxError> {
        let outbound = Outbound { call: Call::new(method, params), hop };
        self.transport.clone().oneshot(outbound).await?.outcome().await
    }
}

impl Refusal {
    fn from_json(error: &Json) -> Self {
        let message = error.member("message").and_then(|message| message.read::<String>().ok());
        let message = message.unwrap_or_else(|| "without a reason".into());
        Self {
            code: error.member("code").and_then(|code| code.read().ok()),
            message: message.chars().take(MESSAGE).collect(),
        }
    }
}
