//! The one place where a failure becomes an answer a client sees.
//!
//! There are two planes of failure. A JSON-RPC error *from the server* is an `Ok` [`Reply`](crate::Reply): the exchange
//! worked. A [`BoxError`] means the gateway itself has no answer. Inside the stack such errors are small structs named
//! for their condition, boxed upward by whatever layer; [`explain`] finds the cause and says what the client is told.

use crate::{
    balance, health,
    json::Json,
    rate::error::Exceeded,
    route, timeout,
    upstream::{
        era::error::HandshakeFailed,
        error::{Closed, Connect, NotStarted, Protocol, Refused, Replaced, SessionLost, Status, TooLarge, Unwelcome},
    },
};
use http::StatusCode;
use std::{borrow::Cow, error::Error, fmt, time::Duration};
use tower::load_shed::error::Overloaded;

/// Any failure inside the stack.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A reply that ended without an outcome.
#[derive(Debug, thiserror::Error)]
#[error("the reply ended without an outcome")]
pub struct Unfinished(());

impl Unfinished {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// What a client is told about a failure.
///
/// It is an error itself, so a layer of your own can answer with one:
///
/// ```
/// use tower_mcp_gateway::{BoxError, error::{explain, Problem}};
///
/// let error: BoxError = Problem::new(429, "rate_limited", "at most 5 calls per second").into();
/// assert_eq!(explain(&*error).code, 429);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status towards clients of 2026-07-28; earlier revisions get 200 with the same JSON.
    pub status: StatusCode,
    /// The JSON-RPC code. The gateway's own lie outside JSON-RPC's reserved range.
    pub code: i64,
    /// One sentence.
    pub message: Cow<'static, str>,
    /// The `data` member of the error object.
    pub data: Option<Json>,
    /// When to come again, in whole seconds on the wire.
    pub retry_after: Option<Duration>,
    reason: Option<&'static str>,
}

impl Problem {
    /// A failure of the gateway's own: `status` is the HTTP status and the JSON-RPC code, `reason` the machine-readable
    /// word in `data`.
    ///
    /// # Panics
    ///
    /// If `status` is no HTTP status.
    pub fn new(status: u16, reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self::rpc(status, status.into(), message);
        let data = serde_json::json!({"source": "gateway", "reason": reason});
        problem.data = Json::from_value(&data).ok();
        problem.reason = Some(reason);
        problem
    }

    /// A failure the protocol gives a code to.
    ///
    /// # Panics
    ///
    /// If `status` is no HTTP status.
    pub fn rpc(status: u16, code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::from_u16(status).expect("a valid HTTP status");
        Self { status, code, message: message.into(), data: None, retry_after: None, reason: None }
    }

    /// The word that [`new`](Self::new) was given, by which problems are [counted](crate::metrics::Count).
    pub const fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// With this `data`.
    #[must_use]
    pub fn with_data<T: serde::Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.data = Json::from_value(data).ok();
        self
    }

    /// With the hint to come again after `delay`.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The JSON-RPC error object.
    pub fn to_json(&self) -> Json {
        let mut out = format!("{{\"code\":{},\"message\":", self.code).into_bytes();
        crate::json::write::string(&mut out, &self.message);
        if let Some(data) = &self.data {
            crate::json::object::push_member(&mut out, "data", data.as_bytes());
        }
        out.push(b'}');
        Json::trusted(out.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {}

/// The first cause of this type, from the outermost error inwards.
///
/// Layers wrap what went wrong below them; this looks through the wrapping, where a downcast of the outermost error would miss it.
///
/// ```
/// use tower_mcp_gateway::{error::find, upstream::error::{Connect, Status}};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = Connect(refused.into());
/// assert!(find::<std::io::Error>(&error).is_some());
/// assert!(find::<Status>(&error).is_none());
/// ```
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The message of `error` and of all its causes, for logs and for operators; clients get [`explain`].
///
/// ```
/// use tower_mcp_gateway::{error::causes, upstream::error::Connect};
///
/// let error = Connect("the name does not resolve".into());
/// assert!(causes(&error).ends_with(": the name does not resolve"));
/// ```
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // A wrapper that shows its cause itself would make it stand twice.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// Whether the call certainly did not reach a server, so that sending it to another runs nothing twice.
///
/// ```
/// use tower_mcp_gateway::{error::never_sent, upstream::error::{Closed, Connect}};
///
/// assert!(never_sent(&Connect("connection refused".into())));
/// assert!(!never_sent(&Closed { sent: true }), "it may have run");
/// ```
pub fn never_sent(error: &(dyn Error + 'static)) -> bool {
    find::<Connect>(error).is_some()
        || find::<HandshakeFailed>(error).is_some()
        || find::<Overloaded>(error).is_some()
        || find::<Exceeded>(error).is_some()
        || find::<Replaced>(error).is_some()
        || find::<NotStarted>(error).is_some()
        || find::<Refused>(error).is_some()
        || find::<Unwelcome>(error).is_some()
        || find::<health::error::Open>(error).is_some()
        || find::<Closed>(error).is_some_and(|closed| !closed.sent)
}

/// Whether the connection to the server is what failed: such an endpoint is taken out of its pool at once.
///
/// ```
/// use tower_mcp_gateway::{error::is_connection, upstream::error::{Closed, Status}};
///
/// assert!(is_connection(&Closed { sent: true }));
/// assert!(!is_connection(&Status(http::StatusCode::BAD_GATEWAY)), "it answered");
/// ```
pub fn is_connection(error: &(dyn Error + 'static)) -> bool {
    find::<Connect>(error).is_some() || find::<Closed>(error).is_some() || find::<NotStarted>(error).is_some()
}

/// What a client is told about `error`. Unknown causes become −32603 without detail, which belongs in the log.
///
/// ```
/// use tower_mcp_gateway::{error::explain, upstream::error::Connect};
///
/// let told = explain(&Connect("connection refused".into()));
/// assert_eq!((told.code, told.reason()), (502, Some("connect")));
/// assert_eq!(explain(&std::fmt::Error).code, -32603);
/// ```
pub fn explain(error: &(dyn Error + 'static)) -> Problem {
    if let Some(problem) = find::<Problem>(error) {
        return problem.clone();
    }
    if find::<Overloaded>(error).is_some() {
        let full = Problem::new(503, "overloaded", "too many calls are in flight");
        return full.with_retry_after(Duration::from_secs(1));
    }
    if let Some(exceeded) = find::<Exceeded>(error) {
        return rate_limited(exceeded);
    }
    if let Some(unknown) = find::<route::error::Unknown>(error) {
        return unknown.problem();
    }
    if let Some(absent) = find::<balance::error::NoEndpoint>(error) {
        let absent = Problem::new(503, "no_endpoint", absent.to_string());
        return absent.with_retry_after(Duration::from_secs(1));
    }
    if let Some(open) = find::<health::error::Open>(error) {
        let open = Problem::new(503, "recovering", open.to_string());
        return open.with_retry_after(Duration::from_secs(1));
    }
    if let Some(elapsed) = find::<timeout::error::Elapsed>(error) {
        return Problem::new(504, "timeout", elapsed.to_string());
    }
    if let Some(stopping) = find::<timeout::error::Stopping>(error) {
        let stopping = Problem::new(503, "shutting_down", stopping.to_string());
        return stopping.with_retry_after(Duration::from_secs(1));
    }
    upstream_problem(error).unwrap_or_else(|| Problem::rpc(500, -32603, "internal error"))
}

/// When to come again stands in `data` too: clients over pipes and of earlier revisions get no header.
fn rate_limited(exceeded: &Exceeded) -> Problem {
    let wait = exceeded.retry_after;
    let ms = wait.as_micros().div_ceil(1000);
    let data = serde_json::json!({"source": "gateway", "reason": "rate_limited", "retryAfterMs": ms as u64});
    let problem = Problem::new(429, "rate_limited", format!("{exceeded}: come again in {ms} ms"));
    problem.with_data(&data).with_retry_after(wait)
}

fn upstream_problem(error: &(dyn Error + 'static)) -> Option<Problem> {
    fn bad_gateway<E: Error + 'static>(error: &(dyn Error + 'static), reason: &'static str) -> Option<Problem> {
        find::<E>(error).map(|cause| Problem::new(502, reason, cause.to_string()))
    }
    bad_gateway::<Connect>(error, "connect")
        .or_else(|| bad_gateway::<Closed>(error, "closed"))
        .or_else(|| bad_gateway::<Replaced>(error, "closed"))
        .or_else(|| bad_gateway::<SessionLost>(error, "session_lost"))
        .or_else(|| bad_gateway::<Status>(error, "status"))
        .or_else(|| bad_gateway::<Protocol>(error, "protocol"))
        .or_else(|| bad_gateway::<TooLarge>(error, "too_large"))
        .or_else(|| bad_gateway::<NotStarted>(error, "not_started"))
        .or_else(|| bad_gateway::<Refused>(error, "handshake"))
        .or_else(|| bad_gateway::<Unwelcome>(error, "handshake"))
        .or_else(|| bad_gateway::<Unfinished>(error, "closed"))
}
