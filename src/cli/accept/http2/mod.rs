//! One connection of HTTP/2: many requests at once, each with the bounds that a connection of HTTP/1.1 has.
//!
//! The first head has its deadline. A later one that drips holds up its own connection and a head's memory, until that is idle.

mod body;
mod phase;
mod streams;
mod watched;

use self::{body::Answer, phase::Phase, streams::Streams, watched::Watched};
use super::{HttpService, Incoming, Limits, MAX_BUFFER, MAX_HEAD, signal::Signal};
use crate::metrics::{Count, Metrics};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, error::Error, future::Future};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tower::ServiceExt;

/// Requests in flight on one connection: an agent's hundred, and no more than the gateway takes at one server.
const MAX_STREAMS: u32 = 100;
/// What is written ahead of a client on one stream; `MAX_STREAMS` of them fit into 3 MiB.
const MAX_AHEAD: usize = 32 << 10;

/// Serves one connection to its end. When `closing` is given, the answers in flight are the last ones.
pub(super) fn serve<T, S>(
    stream: T,
    service: S,
    (limits, metrics): (Limits, Metrics),
    begun: Instant,
    closing: Signal,
) -> impl Future<Output = ()> + Send
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let (phase, streams) = (Phase::default(), Streams::new(limits.stall, metrics.clone()));
    let io = TokioIo::new(Watched::new(stream, phase.clone(), limits, metrics.clone(), begun));
    let (requests, refused) = (phase.clone(), metrics.clone());
    let answers = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        requests.busy();
        let one = names_one_host(&request);
        if !one {
            refused.count(Count::Malformed);
        }
        let answer = one.then(|| service.clone().oneshot(request.map(Incoming::http2)));
        async move {
            Ok::<_, Infallible>(match answer {
                Some(answer) => {
                    let Ok(response) = answer.await;
                    response.map(|body| Either::Left(Answer::new(body)))
                }
                None => ambiguous().map(Either::Right),
            })
        }
    });
    let mut server = http2::Builder::new(streams.clone());
    server.timer(TokioTimer::new()).keep_alive_interval(limits.idle).keep_alive_timeout(limits.stall);
    server.max_header_list_size(MAX_HEAD as u32).max_concurrent_streams(MAX_STREAMS).max_send_buf_size(MAX_AHEAD);
    server.initial_stream_window_size(MAX_BUFFER as u32).initial_connection_window_size(8 * MAX_BUFFER as u32);
    let mut connection = Box::pin(server.serve_connection(io, answers));
    async move {
        let ended = tokio::select! {
            result = connection.as_mut() => Some(result),
            () = closing.given() => {
                if phase.is_fresh() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                Some(connection.await)
            }
            () = streams.idle(limits.idle) => {
                connection.as_mut().graceful_shutdown();
                // A client may leave the last bytes of an answer unread, of which the streams know nothing any more.
                timeout(limits.stall, connection).await.ok()
            }
        };
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(error = &error as &dyn Error, "connection ended"),
            None => metrics.count(Count::StalledClient),
        }
    }
}

/// Whether a request names the host it is for, and but one: which of two is meant, who comes behind could take differently.
fn names_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next().map(|host| host.as_bytes()), hosts.next().is_some());
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    !more
        && match (authority, host) {
            (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
            (authority, host) => authority.or(host).is_some(),
        }
}

fn ambiguous() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"name one host\n")));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_one_host() {
        let names = |uri: &str, hosts: &[&str]| {
            let builder = hosts.iter().fold(Request::get(uri), |builder, host| builder.header("host", *host));
            names_one_host(&builder.body(()).unwrap())
        };
        assert!(names("https://a/mcp", &[]) && names("https://a/mcp", &["A"]) && names("/mcp", &["a"]));
        assert!(!names("/mcp", &[]) && !names("https://a/mcp", &["b"]) && !names("/mcp", &["a", "a"]));
    }
}
