//! How an exchange with a server fails. Messages carry no address, command, header or secret: they reach clients.

use crate::{BoxError, json::Json, reply::Outcome};
use http::StatusCode;
use std::{borrow::Cow, fmt, time::Duration};

/// No connection could be made, so the call was never sent.
///
/// Any other server of the name may take it. The cause is for the log alone:
///
/// ```
/// use tower_mcp_gateway::{error::{causes, explain, never_sent}, upstream::error::Connect};
///
/// let error = Connect("10.0.0.7:3520: connection refused".into());
/// assert!(never_sent(&error));
/// assert_eq!(explain(&error).message, "the server cannot be reached");
/// assert!(causes(&error).ends_with("10.0.0.7:3520: connection refused"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the server cannot be reached")]
pub struct Connect(#[source] pub crate::BoxError);

/// A server has as many connections of clients of their own as it may, all of them in use. The call was not sent.
#[derive(Debug, thiserror::Error)]
#[error("too many clients have a connection of their own")]
pub struct Crowded(#[from] pub tower::load_shed::error::Overloaded);

/// The connection ended before the outcome: a child that died, a cut stream.
///
/// ```
/// use tower_mcp_gateway::{error::{is_connection, never_sent}, upstream::error::Closed};
///
/// let [before, during] = [Closed { sent: false }, Closed { sent: true }];
/// assert!(is_connection(&before) && is_connection(&during));
/// assert!(never_sent(&before) && !never_sent(&during));
/// assert_eq!(during.to_string(), "the server went away during the call");
/// ```
#[derive(Debug)]
pub struct Closed {
    /// Whether the call may have reached the server; if not, it can be sent elsewhere.
    pub sent: bool,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.sent {
            "the server went away during the call"
        } else {
            "the server went away before the call"
        })
    }
}

impl std::error::Error for Closed {}

/// The connection a call was prepared for has been replaced, so it was not sent; the handshake must be made again.
#[derive(Debug, thiserror::Error)]
#[error("the connection was replaced")]
pub struct Replaced;

/// The server does not know the session any more (HTTP 404 under a session id), so it did not execute the call.
#[derive(Debug, thiserror::Error)]
#[error("the server lost the session")]
pub struct SessionLost;

/// The server refused a message under a session (HTTP 400), and nothing in its answer is about that message: it may be the
/// session that it does not know any more, which many servers say so.
///
/// [`Era`](super::era::Era) finds out which of the two it was. Where it was no session, the answer is passed on as it came:
///
/// ```
/// use http::StatusCode;
/// use tower_mcp_gateway::{error::find, json::Json, upstream::error::{SessionRefused, Status}};
///
/// let answer = Json::from_static(r#"{"code":-32000,"message":"Bad Request: No valid session ID provided"}"#);
/// let refused = SessionRefused::new(StatusCode::BAD_REQUEST, Some(answer));
/// assert_eq!(find::<Status>(&refused).unwrap().0, StatusCode::BAD_REQUEST);
/// assert_eq!(refused.into_outcome()?.error_code(), Some(-32000));
/// assert!(SessionRefused::new(StatusCode::BAD_REQUEST, None).into_outcome().is_err());
/// # Ok::<(), tower_mcp_gateway::BoxError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the server refused the session")]
pub struct SessionRefused {
    #[source]
    status: Status,
    answer: Option<Json>,
}

impl SessionRefused {
    /// A refusal with this status and the JSON-RPC error in it, if it holds one.
    pub fn new(status: StatusCode, answer: Option<Json>) -> Self {
        Self { status: Status(status), answer }
    }

    /// What the message is answered with where the session stands.
    ///
    /// # Errors
    ///
    /// [`Status`] if the refusal holds no JSON-RPC error.
    pub fn into_outcome(self) -> Result<Outcome, BoxError> {
        self.answer.map(Outcome::Error).ok_or_else(|| self.status.into())
    }
}

/// An HTTP status in place of an answer.
///
/// The server is there, so its connection is not blamed; most often it is a proxy before it that says so.
///
/// ```
/// use tower_mcp_gateway::{error::{explain, is_connection}, upstream::error::Status};
///
/// let error = Status(http::StatusCode::SERVICE_UNAVAILABLE);
/// assert!(!is_connection(&error));
/// assert_eq!(explain(&error).reason(), Some("status"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the server answered with HTTP status {0}")]
pub struct Status(pub http::StatusCode);

/// An answer that is no MCP: wrong content type, wrong id, not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the server broke the protocol: {0}")]
pub struct Protocol(pub Cow<'static, str>);

/// A message or event above the limit.
#[derive(Debug, thiserror::Error)]
#[error("the server's message is larger than {limit} bytes")]
pub struct TooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// The server did not answer the handshake in time, so the call was never sent.
#[derive(Debug, thiserror::Error)]
#[error("the server did not start within {} ms", .0.as_millis())]
pub struct NotStarted(pub Duration);

/// The server refused the handshake, so the call was never sent.
#[derive(Debug, thiserror::Error)]
#[error("the server refused the handshake: {0}")]
pub struct Refused(pub Cow<'static, str>);

/// The server gives this client no session of its own, for what the client says of itself or because it has none left, while it
/// serves others. The call was not sent.
///
/// It says nothing about how the server is, so that no client can have it taken for a sick one:
///
/// ```
/// use tower_mcp_gateway::{error::{explain, is_connection, never_sent}, upstream::error::Unwelcome};
///
/// let error = Unwelcome("too many sessions".into());
/// assert!(never_sent(&error) && !is_connection(&error));
/// assert_eq!(explain(&error).message, "the server refused this client: too many sessions");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the server refused this client: {0}")]
pub struct Unwelcome(pub Cow<'static, str>);
