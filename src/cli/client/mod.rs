//! A client of its own for the command line.
//!
//! It asks a gateway of this process over a pipe, as a desktop client asks one that it has launched. That gateway has
//! the servers of the configuration behind it, or one that runs already as its only server: either way the answers are
//! those that any client gets.

mod target;

pub(super) use self::target::{Target, header, reachable, url};

use crate::{Gateway, Revision, config::Config, meta};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{fmt, io, time::Duration};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex, split};

/// What lies in the pipe unread: enough that a message of usual size is written at once.
const PIPE: usize = 64 << 10;

/// How long servers get to leave when a command is done: a person waits for the prompt.
const LEAVE: Duration = Duration::from_millis(500);

/// The configuration for a command that ends by itself: it waits for servers that are still starting, and for nothing
/// when it stops.
pub(super) fn hasty(mut config: Config) -> Config {
    config.start_patience = config.start_timeout;
    config.limits.drain_timeout = 2 * LEAVE;
    (config.limits.stop_grace, config.limits.kill_grace) = (LEAVE, LEAVE);
    config
}

/// An open connection to a gateway.
pub(super) struct Client {
    gateway: Gateway,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    to: WriteHalf<DuplexStream>,
    next: u64,
    /// What this client can do, in each request.
    capabilities: Value,
}

/// What a request came back with.
#[derive(Debug)]
pub(super) enum Refused {
    /// A JSON-RPC error.
    Rpc { code: i64, message: String },
    /// The gateway ended, or its answer could not be read.
    Gone(String),
}

/// A result, as it was written and as a value.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) raw: Box<RawValue>,
    pub(super) value: Value,
}

#[derive(Deserialize)]
struct Message {
    id: Option<Value>,
    method: Option<String>,
    params: Option<Value>,
    result: Option<Box<RawValue>>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: i64,
    message: String,
}

impl Client {
    /// Starts the gateway of `config`, which must have been made [hasty].
    fn start(mut config: Config) -> Result<Self, String> {
        config.watchdog = Some(crate::cli::watchdog());
        let (gateway, driver) = Gateway::from_config(config).map_err(|error| error.to_string())?;
        tokio::spawn(driver);
        let (own, others) = duplex(PIPE);
        let (input, output) = split(others);
        let served = gateway.clone();
        tokio::spawn(async move { served.serve_stdio(input, output).await });
        let (from, to) = split(own);
        Ok(Self { gateway, lines: BufReader::new(from).lines(), to, next: 0, capabilities: json!({}) })
    }

    /// Declares that a person can be asked for input.
    pub(super) fn elicits(&mut self) {
        self.capabilities = json!({ "elicitation": { "form": {}, "url": {} } });
    }

    /// Sends a request and waits for its outcome; `heard` is told every notification that comes before it.
    pub(super) async fn request(
        &mut self,
        method: &str,
        mut params: Value,
        mut heard: impl FnMut(&str, &Value),
    ) -> Result<Answer, Refused> {
        self.next += 1;
        let id = self.next;
        params["_meta"] = json!({
            meta::PROTOCOL_VERSION: Revision::LATEST_MODERN.as_str(),
            meta::CLIENT_INFO: { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
            meta::CLIENT_CAPABILITIES: self.capabilities,
            meta::PROGRESS_TOKEN: id,
        });
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string() + "\n";
        self.to.write_all(line.as_bytes()).await?;
        loop {
            let line = self.lines.next_line().await?.ok_or_else(|| Refused::Gone("the gateway ended".into()))?;
            let message: Message = serde_json::from_str(&line).map_err(|error| Refused::Gone(error.to_string()))?;
            match message {
                Message { method: Some(method), params, id: None, .. } => heard(&method, &params.unwrap_or_default()),
                Message { id: Some(of), result: Some(raw), .. } if of == id => {
                    let value = serde_json::from_str(raw.get()).map_err(|error| Refused::Gone(error.to_string()))?;
                    return Ok(Answer { raw, value });
                }
                Message { id, error: Some(Problem { code, message }), .. }
                    if id.as_ref().is_none_or(|of| *of == self.next) =>
                {
                    return Err(Refused::Rpc { code, message });
                }
                // The answer to a request that was given up.
                _ => {}
            }
        }
    }

    /// Every tool, as its server sent it.
    pub(super) async fn tools(&mut self) -> Result<Vec<Box<RawValue>>, Refused> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            tools: Vec<Box<RawValue>>,
            next_cursor: Option<String>,
        }
        let (mut tools, mut cursor) = (Vec::new(), None);
        loop {
            let params = cursor.map_or_else(|| json!({}), |cursor: String| json!({ "cursor": cursor }));
            let answer = self.request("tools/list", params, |_, _| {}).await?;
            let page: Page =
                serde_json::from_str(answer.raw.get()).map_err(|error| Refused::Gone(error.to_string()))?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
    }

    /// The servers that could not be reached or listed, each with the reason.
    pub(super) fn troubles(&self) -> Vec<(String, String)> {
        let entries = self.gateway.registry().list();
        entries.into_iter().filter_map(|entry| Some((entry.id.to_string(), entry.error?))).collect()
    }

    /// Lets the servers go.
    pub(super) async fn close(self) {
        self.gateway.drain().await;
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Gone(error.to_string())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpc { code, message } => write!(f, "{} (code {code})", message.replace(char::is_control, " ")),
            Self::Gone(reason) => f.write_str(reason),
        }
    }
}
