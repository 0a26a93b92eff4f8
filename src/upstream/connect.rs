#[cfg(any(feature = "stdio", feature = "sse", feature = "http"))]
use super::era::Era;
#[cfg(any(feature = "stdio", feature = "sse"))]
use super::era::PerClient;
#[cfg(all(feature = "http", feature = "sse"))]
use super::fallback::Fallback;
#[cfg(all(feature = "http", not(feature = "sse")))]
use super::http::Http;
#[cfg(feature = "sse")]
use super::sse::Sse;
#[cfg(feature = "stdio")]
use super::stdio::Stdio;
#[cfg(any(feature = "stdio", feature = "sse", feature = "http"))]
use crate::registry::Connection;
#[cfg(any(feature = "stdio", feature = "sse"))]
use crate::registry::Sessions;
use crate::{BoxError, Call, Reply, Revision, registry::Server, upstream::error::Connect};
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    fmt,
    task::{Context, Poll},
};
use tower::Service;

/// A service for the server `server` describes, by whatever transport; it connects behind the service's back, or when
/// the first call comes.
///
/// ```
/// use tower::ServiceExt;
/// use tower_mcp_gateway::{Call, Method, error::never_sent, json::Params, registry::Server, upstream};
///
/// # tokio_test::block_on(async {
/// let server = Server::stdio("typo-1", "typo", "no-such-command");
/// let typo = upstream::connect(&server);
/// let error = typo.clone().oneshot(Call::new(Method::PING, Params::empty())).await.unwrap_err();
/// assert!(never_sent(&*error));
/// assert_eq!(typo.fault().unwrap(), "cannot start \"no-such-command\": the command was not found");
/// # });
/// ```
///
/// A server whose transport was left out of the build is built as well; its calls fail with [`Connect`].
///
/// # Panics
///
/// Outside a tokio runtime: drivers are spawned into the server's [tracker](Server::tasks).
pub fn connect(server: &Server) -> Upstream {
    Upstream(match server.connection() {
        #[cfg(feature = "stdio")]
        Connection::Stdio { .. } if server.sessions_of() == Sessions::PerClient => {
            let one = server.clone();
            Kind::StdioPerClient(PerClient::new(
                move || Stdio::new(&one).expect("its connection is of that kind"),
                server,
            ))
        }
        #[cfg(feature = "stdio")]
        Connection::Stdio { .. } => match Stdio::new(server) {
            Some(stdio) => Kind::Stdio(Era::new(stdio, server)),
            None => Kind::Missing("stdio"),
        },
        #[cfg(feature = "sse")]
        Connection::Sse { url, headers } if server.sessions_of() == Sessions::PerClient => {
            let (one, url, headers) = (server.clone(), url.clone(), headers.clone());
            Kind::SsePerClient(PerClient::new(move || Sse::new(&one, &url, &headers), server))
        }
        #[cfg(feature = "sse")]
        Connection::Sse { url, headers } => Kind::Sse(Era::new(Sse::new(server, url, headers), server)),
        #[cfg(all(feature = "http", feature = "sse"))]
        Connection::Http { url, headers } => Kind::Http(Fallback::new(server, url, headers)),
        #[cfg(all(feature = "http", not(feature = "sse")))]
        Connection::Http { url, headers } => Kind::Http(Era::new(Http::new(server, url, headers), server)),
        #[allow(unreachable_patterns, reason = "with all features there is none left")]
        other => Kind::Missing(other.transport()),
    })
}

/// One server, as a service of calls.
///
/// It ends its connection, and stops its child, when its last clone and the last reply are dropped.
#[derive(Clone)]
pub struct Upstream(Kind);

#[derive(Clone)]
enum Kind {
    #[cfg(feature = "stdio")]
    Stdio(Era<Stdio>),
    #[cfg(feature = "stdio")]
    StdioPerClient(PerClient<Stdio>),
    #[cfg(feature = "sse")]
    Sse(Era<Sse>),
    #[cfg(feature = "sse")]
    SsePerClient(PerClient<Sse>),
    #[cfg(all(feature = "http", feature = "sse"))]
    Http(Fallback),
    #[cfg(all(feature = "http", not(feature = "sse")))]
    Http(Era<Http>),
    /// Its transport is not part of this build.
    Missing(&'static str),
}

/// Does the same with the service of any transport; the second arm is for none.
macro_rules! each {
    ($kind:expr, $era:ident => $some:expr, $name:ident => $none:expr) => {
        match $kind {
            #[cfg(feature = "stdio")]
            Kind::Stdio($era) => $some,
            #[cfg(feature = "stdio")]
            Kind::StdioPerClient($era) => $some,
            #[cfg(feature = "sse")]
            Kind::Sse($era) => $some,
            #[cfg(feature = "sse")]
            Kind::SsePerClient($era) => $some,
            #[cfg(feature = "http")]
            Kind::Http($era) => $some,
            Kind::Missing($name) => $none,
        }
    };
}

impl Upstream {
    /// The revision the server was found to speak; `None` before the first handshake.
    pub fn revision(&self) -> Option<Revision> {
        each!(&self.0, era => era.revision(), _name => None)
    }

    /// Name and version of the server, as it says itself; for display only.
    pub fn server_info(&self) -> Option<crate::json::Json> {
        each!(&self.0, era => era.server_info(), _name => None)
    }

    /// Why the latest attempt to reach the server failed; `None` while all is well. One line for the operator, without
    /// arguments, environment, headers or addresses.
    pub fn fault(&self) -> Option<String> {
        each!(&self.0, era => era.fault(), name => Some(left_out(name)))
    }
}

impl Service<Call> for Upstream {
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        each!(&mut self.0, era => era.poll_ready(cx), _name => {
            let _ = cx;
            Poll::Ready(Ok(()))
        })
    }

    fn call(&mut self, call: Call) -> Self::Future {
        // In a box already.
        #[cfg(all(feature = "http", feature = "sse"))]
        if let Kind::Http(fallback) = &mut self.0 {
            return fallback.call(call);
        }
        each!(&mut self.0, era => era.call(call).boxed(), name => {
            drop(call);
            let error = Connect(left_out(name).into());
            std::future::ready(Err(error.into())).boxed()
        })
    }
}

fn left_out(transport: &str) -> String {
    format!("this build has no {transport} transport")
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("revision", &self.revision()).finish_non_exhaustive()
    }
}
