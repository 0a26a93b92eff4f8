use crate::{BoxError, upstream::client::Connector};
use bytes::Bytes;
use http::{Response, Uri, header, request::Builder};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::{pin::pin, time::Duration};
use tower::ServiceExt;

/// Asks for JSON over a connection of its own, which may take as long as `connect`; redirects are not followed.
///
/// # Errors
///
/// Why there is no answer of at most `limit` bytes.
pub(crate) async fn once(
    uri: &Uri,
    request: Builder,
    body: Bytes,
    (connect, limit): (Duration, usize),
) -> Result<Response<Bytes>, BoxError> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = request.uri(path).header(header::HOST, host).header(header::ACCEPT, "application/json");
    let request = request.body(Full::new(body))?;
    let stream = Connector::new(uri, connect, None)?.oneshot(uri.clone()).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut answer = pin!(async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Response::from_parts(head, Limited::new(body, limit).collect().await?.to_bytes()))
    });
    tokio::select! {
        answer = answer.as_mut() => answer,
        // What it has read before its end is still to be taken.
        _ = connection => answer.await,
    }
}
