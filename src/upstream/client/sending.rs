use super::{
    Client, Response,
    connection::{Broken, Connection, Outgoing},
    request::{Request, Wire},
};
use crate::{BoxError, oauth::Tokens};
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

/// A request on its way, up to the head of its response; dropped, it closes its connection.
///
/// Written by hand because it is part of every call: it lies in the room of what reads the response afterwards, and belongs to
/// nobody else, so that it needs no box of its own.
pub(crate) struct Sending(Way);

enum Way {
    Plain(Attempt),
    /// With the token of whoever signed in, at a server that wants one.
    Bearing(BoxFuture<'static, Result<Response, BoxError>>),
}

impl Client {
    /// Begins to send a request, with [`Sending::poll`].
    pub(crate) fn begin_sending(&self, request: Request) -> Sending {
        Sending(match &self.0.tokens {
            None => Way::Plain(Attempt::new(request.finish())),
            Some(tokens) => Way::Bearing(Box::pin(bearing(self.clone(), request, tokens.clone()))),
        })
    }
}

impl Sending {
    /// The head of the response, whatever its status. Not asked again after it.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub(crate) fn poll(&mut self, client: &Client, cx: &mut Context<'_>) -> Poll<Result<Response, BoxError>> {
        match &mut self.0 {
            Way::Plain(attempt) => attempt.poll(client, cx),
            Way::Bearing(response) => response.as_mut().poll(cx),
        }
    }

    /// Whether the server may know of the request.
    #[cfg(feature = "http")]
    pub(crate) fn has_begun(&self) -> bool {
        match &self.0 {
            Way::Plain(attempt) => attempt.outgoing.has_begun(),
            Way::Bearing(_) => true,
        }
    }
}

type Connecting = BoxFuture<'static, Result<Box<Connection>, BoxError>>;

/// A request on a connection, or on one after the other as long as those turn out to be closed.
struct Attempt {
    wire: Wire,
    outgoing: Outgoing,
    connection: Option<Box<Connection>>,
    /// Whether the connection has served another request.
    reused: bool,
    connecting: Option<Connecting>,
}

impl Attempt {
    fn new(wire: Wire) -> Self {
        Self { wire, outgoing: Outgoing::default(), connection: None, reused: false, connecting: None }
    }

    fn poll(&mut self, client: &Client, cx: &mut Context<'_>) -> Poll<Result<Response, BoxError>> {
        loop {
            let Some(connection) = &mut self.connection else {
                ready!(self.poll_connection(client, cx))?;
                continue;
            };
            let inner = &*client.0;
            match ready!(connection.poll_exchange(&self.wire, &mut self.outgoing, cx)) {
                Ok(head) => {
                    inner.fault.clear();
                    let connection = self.connection.take().expect("it was used just now");
                    return Poll::Ready(Ok(Response::new(head, connection, &inner.pool)));
                }
                // It was closed while it was idle. Each turn takes one connection out of the pool, and a new one is
                // not tried twice.
                Err(Broken::Unsent(_)) if self.reused => {
                    // Also of a head that had begun to come nothing is left.
                    (self.connection, self.outgoing) = (None, Outgoing::default());
                }
                Err(broken) => {
                    inner.fault.set(broken.describe());
                    return Poll::Ready(Err(broken.into()));
                }
            }
        }
    }

    /// One that was kept, or a new one.
    fn poll_connection(&mut self, client: &Client, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.connecting.is_none() {
            self.connection = client.0.pool.take();
            self.reused = self.connection.is_some();
            if self.reused {
                return Poll::Ready(Ok(()));
            }
        }
        let connecting = self.connecting.get_or_insert_with(|| connect(client.clone()));
        self.connection = Some(ready!(connecting.as_mut().poll(cx))?);
        self.connecting = None;
        Poll::Ready(Ok(()))
    }
}

/// Apart, because what makes a connection would take room on the stack of each call.
#[inline(never)]
fn connect(client: Client) -> Connecting {
    Box::pin(async move { client.connect().await })
}

/// Sends a request with a token, and with another where that one was refused.
async fn bearing(client: Client, request: Request, tokens: Tokens) -> Result<Response, BoxError> {
    let signed_out = |error: &BoxError| client.0.fault.set(crate::error::causes(&**error));
    let sent = |header: &HeaderValue| {
        let mut request = request.clone();
        request.header(&header::AUTHORIZATION, header);
        let (mut attempt, client) = (Attempt::new(request.finish()), client.clone());
        poll_fn(move |cx| attempt.poll(&client, cx))
    };
    let header = tokens.header().await.inspect_err(signed_out)?;
    let response = sent(&header).await?;
    if response.status() != StatusCode::UNAUTHORIZED {
        return Ok(response);
    }
    // What is refused so has not run, so it may be sent again.
    let header = tokens.instead_of(&header).await.inspect_err(signed_out)?;
    sent(&header).await
}
