use super::{Channel, Link};
use crate::{
    BoxError, Reply,
    error::{find, never_sent},
    header::MCP_PROTOCOL_VERSION,
    json::Message,
    reply::Outcome,
    upstream::{
        client::Request,
        error::{SessionLost, Status},
        hop::{Hop, Outbound},
        mux::Ticket,
    },
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use std::{pin::pin, sync::Arc};

/// What came back for a POST; the answer to its message comes down the stream.
pub(super) struct Posted {
    status: StatusCode,
    body: Bytes,
    epoch: u64,
}

impl Channel {
    /// One message as a POST.
    pub(super) fn message(&self, endpoint: &Uri, hop: &Hop, frame: Bytes) -> Request {
        let mut request = self.client.request(&Method::POST, endpoint, frame);
        request.header(&header::CONTENT_TYPE, &HeaderValue::from_static("application/json"));
        request.header(&header::ACCEPT, &HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(revision) = hop.revision {
            request.header(&MCP_PROTOCOL_VERSION, &HeaderValue::from_static(revision.as_str()));
        }
        request
    }

    /// Sends one message and reads what comes back for it.
    pub(super) async fn post(&self, link: &Link, hop: &Hop, frame: Bytes) -> Result<Posted, BoxError> {
        let response = self.client.send(self.message(&link.endpoint, hop, frame)).await?;
        let status = response.status();
        let body = self.client.collect(response.into_body()).await.unwrap_or_default();
        Ok(Posted { status, body, epoch: link.epoch })
    }

    /// Sends a request and waits for the first message that belongs to it.
    pub(super) async fn ask(self: &Arc<Self>, link: &Link, outbound: &Outbound) -> Result<Reply, BoxError> {
        let (frame, mut ticket) = self.mux.open(outbound)?;
        if !self.mux.begin(ticket.id()) {
            return ticket.await;
        }
        let (channel, to, hop) = (self.clone(), link.clone(), outbound.hop.clone());
        let mut posting = Box::pin(async move { channel.post(&to, &hop, frame).await });
        let posted = tokio::select! {
            biased;
            reply = pin!(&mut ticket) => {
                // Some servers answer before they have taken the message; breaking off would look like a failure.
                self.client.finish(posting);
                return reply;
            }
            posted = &mut posting => posted,
        };
        match posted.and_then(|posted| posted.accepted(self)) {
            Ok(None) => ticket.await,
            Ok(Some(outcome)) => Ok(settled(ticket, outcome)),
            Err(error) => {
                let untaken = never_sent(&*error) || find::<Status>(&*error).is_some();
                if untaken {
                    ticket.abandon();
                }
                Err(error)
            }
        }
    }
}

fn settled(ticket: Ticket, outcome: Outcome) -> Reply {
    ticket.abandon();
    Reply::single(outcome)
}

impl Posted {
    /// Whether the server took the message; some say how the call ended right here.
    ///
    /// # Errors
    ///
    /// [`SessionLost`] if the server does not know the stream the message belongs to, [`Status`] if it refused the
    /// message.
    pub(super) fn accepted(self, channel: &Channel) -> Result<Option<Outcome>, BoxError> {
        let answer = match Message::of_server(self.body) {
            Ok(Message::Response { outcome, .. }) => Some(Outcome::from(outcome)),
            _ => None,
        };
        if self.status.is_success() || (answer.is_some() && self.status != StatusCode::NOT_FOUND) {
            return Ok(answer);
        }
        if self.status == StatusCode::NOT_FOUND {
            channel.lost(self.epoch);
            return Err(SessionLost.into());
        }
        Err(Status(self.status).into())
    }
}
