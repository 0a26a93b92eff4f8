use crate::support::soon;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// One connection; what is sent does not wait for the answers to be read.
pub(crate) struct Talk {
    reader: BufReader<OwnedReadHalf>,
    writer: Option<JoinHandle<Option<OwnedWriteHalf>>>,
}

/// One response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Vec<u8>,
    /// Whether another may follow on the connection.
    pub(crate) is_complete: bool,
}

impl Answer {
    pub(crate) fn of(status: u16, body: Vec<u8>) -> Self {
        Self { status, body, is_complete: true }
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether it is the gateway's own refusal.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status >= 400 && self.json().get("error").is_some()
    }

    pub(crate) fn show(answer: Option<&Self>) -> String {
        match answer {
            Some(answer) => format!("{} {:.200}", answer.status, String::from_utf8_lossy(&answer.body)),
            None => "the end of the connection".to_owned(),
        }
    }
}

impl Talk {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connecting");
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer: Some(tokio::spawn(async { Some(writer) })) }
    }

    /// Sends after what was sent before; a connection that was closed meanwhile is noticed by who reads.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let (before, bytes) = (self.writer.take().expect("a writer"), bytes.to_vec());
        self.writer = Some(tokio::spawn(async move {
            let mut writer = before.await.expect("a writer")?;
            writer.write_all(&bytes).await.is_ok().then_some(writer)
        }));
    }

    /// The next response; `None` where the connection ends instead.
    pub(crate) async fn receive(&mut self) -> Option<Answer> {
        soon("an answer, or the end", self.read()).await
    }

    async fn read(&mut self) -> Option<Answer> {
        loop {
            let status: u16 = self.line().await?.split(' ').nth(1)?.parse().ok()?;
            let (mut length, mut chunked, mut stream, mut close) = (None, false, false, false);
            loop {
                let line = self.line().await?.to_ascii_lowercase();
                match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                    Some(("content-length", value)) => length = value.parse::<usize>().ok(),
                    Some(("transfer-encoding", _)) => chunked = true,
                    Some(("content-type", value)) => stream = value == "text/event-stream",
                    Some(("connection", value)) => close = value == "close",
                    Some(("access-control-allow-origin", value)) => panic!("who asked for CORS? {value}"),
                    Some(_) => {}
                    None => break,
                }
            }
            if status == 100 {
                continue;
            }
            let body = match (stream, chunked) {
                // One that may never end.
                (true, _) => Vec::new(),
                (false, true) => self.chunks().await?,
                (false, false) => self.exactly(length.unwrap_or_default()).await?,
            };
            return Some(Answer { status, body, is_complete: !stream && !close });
        }
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).ok()?;
            body.extend(self.exactly(size).await?);
            self.line().await?;
            if size == 0 {
                return Some(body);
            }
        }
    }

    async fn exactly(&mut self, size: usize) -> Option<Vec<u8>> {
        let mut body = vec![0; size];
        self.reader.read_exact(&mut body).await.ok()?;
        Some(body)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
