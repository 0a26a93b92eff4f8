use super::{
    Channel,
    incoming::{Arrival, Incoming},
    resolve,
};
use crate::{
    BoxError,
    json::Ends,
    metrics::Count,
    upstream::{
        backoff::Backoff,
        client::Response,
        error::{Protocol, Status},
        hop::Hop,
    },
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use std::{sync::Arc, time::Duration};
use tokio::{task::coop, time::Instant};
use tokio_util::sync::CancellationToken;

/// A stream that held for this long was a good one, and the waits between attempts begin anew.
const STABLE: Duration = Duration::from_secs(5);

/// Keeps the stream open, and hands what comes down it to the calls.
pub(super) struct Driver {
    channel: Arc<Channel>,
    /// Where the stream may be, the place where it was found first.
    places: Vec<Uri>,
    /// Longest wait for the head and the `endpoint` event.
    patience: Duration,
}

/// What an address had to offer.
enum Found {
    Stream(Box<Incoming>),
    /// No event stream, and why; there may be one elsewhere.
    Other(BoxError),
}

impl Driver {
    pub(super) fn new(channel: Arc<Channel>, url: &Uri, patience: Duration) -> Self {
        let mut places = vec![url.clone()];
        places.extend(resolve::below(url, "sse"));
        Self { channel, places, patience }
    }

    /// Runs until `stop`; the stream is closed then, and every call has ended.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.channel.mux.read_here();
        stop.run_until_cancelled(self.drive()).await;
        let epoch = self.channel.mux.epoch();
        self.channel.lost(epoch);
    }

    async fn drive(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let attempt = tokio::time::timeout(self.patience, self.connect()).await;
            match attempt.unwrap_or_else(|_| Err(Protocol("there was no endpoint event in time".into()).into())) {
                Ok((events, endpoint)) => {
                    let since = Instant::now();
                    self.serve(events, endpoint).await;
                    if since.elapsed() >= STABLE {
                        backoff.reset();
                    }
                }
                Err(error) => self.channel.failed(self.describe(&*error)),
            }
            self.pause(backoff.next()).await;
        }
    }

    /// Waits, for less long if a call is there that needs the connection.
    async fn pause(&self, wait: Duration) {
        // Calls that keep coming must not turn into attempts without a pause.
        tokio::time::sleep(wait.min(Backoff::FIRST)).await;
        let rest = tokio::time::sleep(wait.saturating_sub(Backoff::FIRST));
        tokio::select! {
            () = rest => {}
            () = self.channel.demand.notified() => {}
        }
    }

    async fn connect(&mut self) -> Result<(Incoming, Uri), BoxError> {
        let mut refusal = None;
        for place in self.places.clone() {
            match self.open(&place).await? {
                Found::Stream(mut events) => {
                    let endpoint = endpoint(&mut events, &place).await?;
                    // The first to be looked at, but not the only one: the server may move.
                    self.places.sort_by_key(|other| *other != place);
                    return Ok((*events, endpoint));
                }
                // What the configured address said is the better explanation.
                Found::Other(why) => refusal = refusal.or(Some(why)),
            }
        }
        Err(refusal.unwrap_or_else(|| Protocol("there is no event stream".into()).into()))
    }

    async fn open(&self, place: &Uri) -> Result<Found, BoxError> {
        let client = &self.channel.client;
        let mut request = client.request(&Method::GET, place, Bytes::new());
        request.header(&header::ACCEPT, &HeaderValue::from_static("text/event-stream"));
        request.header(&header::CACHE_CONTROL, &HeaderValue::from_static("no-store"));
        let response = client.send(request).await?;
        match response.status() {
            status if status.is_success() && is_stream(&response) => {
                Ok(Found::Stream(Incoming::new(response.into_body(), client.limit()).into()))
            }
            status if status.is_success() => Ok(Found::Other(Protocol("there is no event stream".into()).into())),
            status @ (StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::BAD_REQUEST) => Ok(Found::Other(Status(status).into())),
            status => Err(Status(status).into()),
        }
    }

    /// Reads the stream to its end, and sends what no call waits for.
    async fn serve(&self, mut events: Incoming, endpoint: Uri) {
        let channel = &*self.channel;
        let epoch = channel.established(endpoint.clone());
        let mut state = channel.state.subscribe();
        let reading = async {
            while let Ok(Some(arrival)) = events.next().await {
                // Of what has arrived no event is waited for: a server that floods must leave the thread to others now and then.
                coop::consume_budget().await;
                channel.take(arrival);
            }
        };
        let writing = async {
            let hop = Hop::new(None, epoch);
            loop {
                let frame = channel.mux.outgoing().await;
                channel.client.detach(channel.message(&endpoint, &hop, frame));
            }
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
            // A POST found that the server knows nothing of this stream.
            _ = state.wait_for(|state| state.link.is_none()) => {}
        }
        channel.lost(epoch);
    }

    fn describe(&self, error: &(dyn std::error::Error + 'static)) -> String {
        // The errors of this crate carry no address; what hyper says may.
        self.channel.client.fault().unwrap_or_else(|| error.to_string())
    }
}

impl Channel {
    /// What came down the stream goes to the call that it is for.
    fn take(&self, arrival: Arrival) {
        match arrival {
            Arrival::Event(event) if event.is_message() && !event.data.is_empty() => {
                let _ = self.mux.deliver(event.data).inspect_err(|error| {
                    self.client.count(Count::Garbage);
                    tracing::debug!(%error, "skipped");
                });
            }
            Arrival::Event(_) => {}
            Arrival::TooLarge(ends) => {
                let limit = self.client.limit();
                tracing::warn!(server = %self.server, limit, "a message above the limit was skipped");
                self.client.count(Count::Garbage);
                // A server numbers its own requests as well: one that is cut says nothing about a call.
                if let Ends::Answer(id) = ends {
                    self.mux.too_large(id, limit);
                }
            }
        }
    }
}

fn is_stream(response: &Response) -> bool {
    response.media_type().is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Waits for the event that says where to POST.
async fn endpoint(events: &mut Incoming, stream: &Uri) -> Result<Uri, BoxError> {
    while let Some(arrival) = events.next().await? {
        if let Arrival::Event(event) = arrival
            && event.event.as_deref() == Some("endpoint")
        {
            let text = std::str::from_utf8(&event.data).unwrap_or_default().trim();
            return Ok(resolve::endpoint(stream, text)?);
        }
    }
    Err(Protocol("the event stream ended without an endpoint".into()).into())
}
