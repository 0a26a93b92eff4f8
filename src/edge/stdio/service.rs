#[cfg(feature = "legacy")]
use super::legacy::Legacy;
use super::{
    modern::{Modern, claims},
    write::write,
};
use crate::{
    BoxError, Call, Method, Reply,
    edge::{
        Edge,
        error::Refusal,
        incoming::Incoming,
        outbox::{self, Outbox},
        running::{Inner, Running},
    },
    error::Problem,
    json::{Id, Message, Params},
    upstream::stdio::{Line, Lines},
};
use futures_util::StreamExt;
use std::{future::Future, io, pin::pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// Notifications that wait for their turn: a client sends few, and one that floods must not fill the memory.
const NOTICES: usize = 64;

impl<S> Edge<S>
where
    S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    /// Serves the one client at the other end of two pipes: a message a line, clients of every revision.
    ///
    /// It ends when `input` does or `stop` completes, after everything in flight has been answered and written; nothing
    /// but messages is ever written to `output`. Dropping the future cancels all calls.
    ///
    /// ```
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
    /// use tower::{Layer, service_fn};
    /// use tower_mcp_gateway::{BoxError, Call, Reply, edge::EdgeLayer, json::Json, reply::Outcome};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let edge = EdgeLayer::new().layer(service_fn(|_: Call| async {
    ///     Ok::<_, BoxError>(Reply::single(Outcome::Result(Json::from_static(r#"{"content":[]}"#))))
    /// }));
    /// let (mut client, server) = duplex(4096);
    /// let (input, output) = split(server);
    /// let request = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","_meta":{
    ///     "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    /// client.write_all(request.replace('\n', "").as_bytes()).await?;
    /// client.shutdown().await?;
    /// edge.serve_stdio(input, output, std::future::pending()).await?;
    ///
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).await?;
    /// assert_eq!(answer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"content\":[]}}\n");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What reading `input` or writing `output` failed with. A client that has closed its end of `output` reads no
    /// answer any more, so its calls are cancelled.
    pub async fn serve_stdio<R, W>(&self, input: R, output: W, stop: impl Future<Output = ()>) -> io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (queue, messages) = outbox::channel();
        let over = CancellationToken::new();
        let lanes = Lanes::new(self, queue, over.clone())?;
        // Two, because a session ends by itself with the last of its own calls.
        let _cancelled_if_dropped = lanes.ended.clone().drop_guard();
        #[cfg(feature = "legacy")]
        let _closed_if_dropped = lanes.legacy.end();
        let lines = Lines::new(input, self.settings().max_request_bytes);
        let mut written = pin!(write(messages, output));
        let (read, leaving) = tokio::select! {
            written = &mut written => return written,
            read = lanes.run(lines) => (read, self.settings().leaving),
            // Whoever stops it ends the calls.
            () = stop => (Ok(()), Duration::MAX),
        };
        over.cancel();
        // Ends with the last call, each of which may send until then.
        timeout(leaving, written).await.unwrap_or(Ok(()))?;
        read
    }
}

/// Where the messages of each era go.
struct Lanes<S> {
    modern: Modern<S>,
    #[cfg(feature = "legacy")]
    legacy: Legacy<S>,
    queue: Outbox,
    notices: mpsc::Sender<Running>,
    ended: CancellationToken,
}

impl<S: Inner> Lanes<S> {
    fn new(edge: &Edge<S>, queue: Outbox, over: CancellationToken) -> io::Result<Self> {
        let inner = edge.shared().clone();
        #[cfg(feature = "legacy")]
        let legacy = Legacy::new(inner.clone(), queue.clone(), over.clone(), edge.settings().asking())
            .map_err(|_| io::Error::other("no random bytes for a session"))?;
        let ended = CancellationToken::new();
        let (notices, waiting) = mpsc::channel(NOTICES);
        tokio::spawn(ended.clone().run_until_cancelled_owned(hand_on(waiting)));
        Ok(Self {
            modern: Modern::new(inner, queue.clone(), ended.clone(), over),
            #[cfg(feature = "legacy")]
            legacy,
            queue,
            notices,
            ended,
        })
    }

    /// Takes every message of the client. It waits for nothing but the client, so a slow server holds nothing up.
    async fn run<R: AsyncRead + Unpin>(self, mut lines: Lines<R>) -> io::Result<()> {
        while let Some(line) = lines.next().await? {
            for message in self.parse(line) {
                let Err(refusal) = message.and_then(|message| self.take(message)) else { continue };
                if self.queue.send(refusal.message()).await.is_none() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The messages of a line: one, or those of a batch.
    fn parse(&self, line: Line) -> Vec<Result<Message, Refusal>> {
        match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => Vec::new(),
            Line::Whole(line) => match Incoming::parse(line) {
                #[cfg(feature = "legacy")]
                Ok(Incoming::Batch(elements)) if self.legacy.has_batches() => {
                    elements.into_iter().map(Incoming::message).collect()
                }
                #[cfg(feature = "legacy")]
                Ok(Incoming::Batch(_)) => vec![Err(Refusal::invalid("this revision has no batches"))],
                Ok(Incoming::One(message)) => vec![Ok(message)],
                Err(refusal) => vec![Err(refusal)],
            },
            Line::Cut { .. } => vec![Err(Problem::rpc(413, -32600, "the message is too large").into())],
        }
    }

    fn take(&self, message: Message) -> Result<(), Refusal> {
        match message {
            Message::Request { id, method, params } => self.request(id, method, params),
            Message::Notification { method, params } => {
                // A notification is never answered.
                if let Err(refusal) = self.notification(method, params) {
                    tracing::debug!(?refusal, "a notification was not taken");
                }
                Ok(())
            }
            Message::Response { id, outcome } => {
                #[cfg(feature = "legacy")]
                self.legacy.answer(id.as_ref(), outcome);
                #[cfg(not(feature = "legacy"))]
                let _ = (id, outcome);
                Ok(())
            }
        }
    }

    fn request(&self, id: Id, method: Method, params: Params) -> Result<(), Refusal> {
        #[cfg(feature = "legacy")]
        if !claims(&params) {
            return self.legacy.request(id, method, params);
        }
        self.modern.request(id, method, params)
    }

    fn notification(&self, method: Method, params: Params) -> Result<(), Refusal> {
        if method == Method::CANCELLED {
            // An id tells of itself which call is meant, and clients of 2026-07-28 need not say which era they are of.
            if let Some(Ok(id)) = params.member("requestId").map(Id::from_json) {
                self.modern.cancel(&id);
                #[cfg(feature = "legacy")]
                self.legacy.cancel(&id);
            }
            return Ok(());
        }
        #[cfg(feature = "legacy")]
        if !claims(&params) {
            return self.legacy.told(method, params)?.map_or(Ok(()), |running| self.hand_on(running));
        }
        match claims(&params) && method.is_notification() {
            true => self.hand_on(self.modern.told(method, params)),
            false => Err(Refusal::invalid("a request without an id, or a notification without a version")),
        }
    }

    fn hand_on(&self, notice: Running) -> Result<(), Refusal> {
        self.notices.try_send(notice).map_err(|_| Refusal::invalid("too many notifications wait"))
    }
}

/// Hands notifications on, one after the other, so that they arrive in order.
async fn hand_on(mut waiting: mpsc::Receiver<Running>) {
    while let Some(mut notice) = waiting.recv().await {
        if let Some(Err(error)) = notice.next().await {
            tracing::debug!(error = &*error, "a notification was not taken");
        }
    }
}
