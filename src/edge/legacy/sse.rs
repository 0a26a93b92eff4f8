use super::{
    announce::announce,
    batch,
    client::Client,
    dialogue::Dialogue,
    initialize::{greeting, introduce},
    post::{local, told},
    session::{Entry, Ticket},
    store::{self, Sessions},
    welcome::Welcome,
};
use crate::{
    Method,
    auth::Principal,
    edge::{
        Body,
        answer::{deliver, event_stream},
        error::{Refusal, bare},
        headers::Fields,
        incoming::{Incoming, request_id},
        layer::Settings,
        legacy::Legacy,
        media::not_acceptable,
        outbox::{self, Inbox},
        parts::Broken,
        running::Inner,
        stream::{WriteEvents, Written, event},
        writer::Writer,
    },
    error::Problem,
    json::{Id, Message, Params},
    sse,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Extensions, Response, StatusCode, Uri, request::Parts};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// The last segment of the path that clients post to, unless it is configured.
const MESSAGES: &str = "messages";
const PARAMETER: &str = "sessionId=";

/// Whether a GET that names no session asks for the stream of an HTTP+SSE client.
pub(super) fn is_stream(uri: &Uri) -> bool {
    last_segment(uri.path()) == "sse"
}

/// The session that a POST of an HTTP+SSE client names.
pub(super) fn session_id<'a>(uri: &'a Uri, settings: &Settings) -> Option<&'a str> {
    let messages = settings.messages_path.as_deref().map_or(MESSAGES, last_segment);
    let query = uri.query().filter(|_| last_segment(uri.path()) == messages)?;
    query.split('&').find_map(|pair| pair.strip_prefix(PARAMETER))
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Where to post to, beside the path of the stream. A client reads it as a reference, and one that began with two
/// slashes would name another host.
fn messages_path(stream: &str) -> String {
    let folder = stream.strip_suffix("sse").unwrap_or(stream).trim_matches('/');
    match folder {
        "" => format!("/{MESSAGES}"),
        folder => format!("/{folder}/{MESSAGES}"),
    }
}

impl Legacy {
    /// Opens the stream that is the session of an HTTP+SSE client (2024-11-05, "basic/transports: HTTP with SSE").
    pub(super) fn open_events(&self, parts: &Parts) -> Result<Response<Body>, Refusal> {
        if !Fields::of(&parts.headers).media.accepts(&parts.headers, &["text/event-stream", "text/*"]) {
            return Err(not_acceptable());
        }
        let (sender, queue) = outbox::channel();
        let entry = Entry::streaming(store::mint()?, Principal::mark_in(&parts.extensions), sender);
        let entry = self.sessions.insert(Arc::new(entry.with_asking(self.settings.asking())))?;
        let path = self.settings.messages_path.as_deref().map_or_else(|| messages_path(parts.uri.path()), String::from);
        let endpoint = format!("{path}?{PARAMETER}{}", entry.id());
        let over = Box::pin(entry.ended().clone().cancelled_owned());
        let open = Open { endpoint: Some(endpoint), over, entry, queue, sessions: self.sessions.clone() };
        Ok(event_stream(open, self.settings.keep_alive))
    }

    /// What such a client posts: taken with 202, answered on its stream.
    pub(super) async fn post_event<S: Inner>(
        &self,
        inner: &Arc<S>,
        id: String,
        extensions: Extensions,
        incoming: Incoming,
    ) -> Result<Response<Body>, Refusal> {
        let named = |refusal: Refusal| incoming.id().into_iter().fold(refusal, Refusal::with_id);
        let entry = self
            .sessions
            .known(id.as_bytes(), &Principal::mark_in(&extensions))
            .filter(|entry| entry.queue().is_some());
        let entry = entry.ok_or_else(|| named(super::no_session()))?;
        match incoming {
            Incoming::Batch(elements) => {
                batch::allow(&entry, &elements)?;
                take_all(inner, &entry, &extensions, elements).await;
            }
            Incoming::One(message) => take(inner, &entry, extensions, message).await?,
        }
        Ok(bare(StatusCode::ACCEPTED))
    }
}

/// The reading end of a session; the session goes with it.
struct Open {
    /// Where to post to, until that has been said.
    endpoint: Option<String>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    entry: Arc<Entry>,
    queue: Inbox,
    sessions: Arc<Sessions>,
}

impl WriteEvents for Open {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Result<Written, Broken>>> {
        if let Some(endpoint) = self.endpoint.take() {
            out.extend_from_slice(&sse::encode(&sse::Event::new(endpoint).with_event("endpoint")));
            return Poll::Ready(Some(Ok(Written::Event)));
        }
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let message = ready!(self.queue.poll_recv(cx));
        Poll::Ready(message.map(|message| {
            event(out, |out| out.extend_from_slice(message.as_ref()));
            Ok(Written::Event)
        }))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.sessions.remove(self.entry.id().as_bytes());
    }
}

/// Starts what each message of a batch asks for. What is wrong with one request is its own answer, so that the batch is
/// not refused when half of it runs.
async fn take_all<S: Inner>(inner: &Arc<S>, entry: &Arc<Entry>, extensions: &Extensions, elements: Vec<Bytes>) {
    let mut refused = Vec::new();
    for element in elements {
        let one = Incoming::message(element);
        let is_answered = one.as_ref().map_or(true, |one| request_id(one).is_some());
        let taken = match one {
            Ok(one) => take(inner, entry, extensions.clone(), one).await,
            Err(refusal) => Err(refusal),
        };
        refused.extend(taken.err().filter(|_| is_answered));
    }
    for refusal in refused {
        send(entry, entry.ended().cancelled(), refusal.message()).await;
    }
}

/// Starts whatever one message asks for.
async fn take<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    message: Message,
) -> Result<(), Refusal> {
    match message {
        Message::Request { id, method, params } => request(inner, entry, extensions, id, method, params),
        Message::Notification { method, params } => {
            let initialized = method == Method::INITIALIZED;
            if let Some(running) = told(inner, entry, extensions.clone(), method, params)? {
                deliver(running).await?;
            }
            if initialized {
                announce(inner, entry, extensions, entry.ended().clone());
            }
            Ok(())
        }
        Message::Response { id, outcome } => {
            entry.questions().answer(id.as_ref(), outcome);
            Ok(())
        }
    }
}

/// Starts one request of a client all of whose messages go into one queue.
pub(in crate::edge) fn request<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    id: Id,
    method: Method,
    params: Params,
) -> Result<(), Refusal> {
    let ticket = entry.begin(&id)?;
    let writer = Writer::legacy(id.clone(), &method);
    if method == Method::INITIALIZE {
        tokio::spawn(initialize(inner.clone(), entry.clone(), ticket, extensions, params, writer));
        return Ok(());
    }
    if let Some(outcome) = local(entry, &method, &params) {
        let (entry, answer) = (entry.clone(), writer.done(outcome).1.into_bytes());
        tokio::spawn(async move {
            send(&entry, ticket.cancelled().wait(), answer).await;
        });
        return Ok(());
    }
    let cancelled = ticket.cancelled().clone();
    let dialogue = Dialogue::start(inner, entry, ticket, writer, (method, &params, extensions), false);
    let mut dialogue = dialogue.map_err(|refusal| refusal.with_id(&id))?;
    let entry = entry.clone();
    tokio::spawn(async move {
        let Some(queue) = entry.queue() else { return };
        while let Some(said) = queue.when_free(dialogue.next()).await {
            if send(&entry, cancelled.wait(), said.into_message()).await.is_none() {
                break;
            }
        }
    });
    Ok(())
}

/// `initialize` is not taken back, only its session ends.
async fn initialize<S: Inner>(
    inner: Arc<S>,
    entry: Arc<Entry>,
    ticket: Ticket,
    extensions: Extensions,
    params: Params,
    writer: Writer,
) {
    let greeted = async {
        let told = greeting(&params)?;
        introduce(&inner, Client::new(entry.id().clone(), told), extensions, &Welcome::default()).await
    };
    let Some(greeted) = entry.ended().run_until_cancelled(greeted).await else { return };
    let message = match greeted {
        Ok((client, outcome)) => match client.is_none_or(|client| entry.introduce(client)) {
            true => writer.done(outcome).1.into_bytes(),
            false => writer.problem(&Problem::rpc(400, -32600, "the session is initialized already")),
        },
        Err(error) => writer.problem(&writer.failed(&*error)),
    };
    send(&entry, ticket.cancelled().wait(), message).await;
}

/// Waits for a place in the client's queue; `None` once the call is taken back or the client is gone.
pub(super) async fn send(entry: &Entry, over: impl Future<Output = ()>, message: Bytes) -> Option<()> {
    tokio::select! {
        biased;
        () = over => None,
        sent = entry.queue()?.send(message) => sent,
    }
}
