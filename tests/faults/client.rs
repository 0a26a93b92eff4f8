//! A client of the `initialize` era that keeps one session and looks closely at what it gets.

use crate::{
    RECOVERY,
    front::Front,
    support::{
        clients::Raw,
        faults::{Fault, Faulty},
    },
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// One session.
pub(crate) struct Session {
    address: SocketAddr,
    id: String,
    next: AtomicU64,
}

/// How a call ended, checked for what must hold of every answer.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) key: String,
    pub(crate) message: Value,
    pub(crate) took: Duration,
}

impl Ended {
    pub(crate) fn is_error(&self) -> bool {
        self.message.get("error").is_some()
    }

    /// The text of a result.
    pub(crate) fn text(&self) -> Option<&str> {
        self.message.pointer("/result/content/0/text")?.as_str()
    }

    /// The gateway's word for why there is no answer.
    pub(crate) fn reason(&self) -> &str {
        self.message.pointer("/error/data/reason").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Session {
    pub(crate) async fn open(front: &Front) -> Self {
        Self::at(front.address()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let info = json!({ "name": "raw", "version": "1.0.0" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let opening = json!({ "jsonrpc": "2.0", "id": "open", "method": "initialize", "params": params });
        let opened = Raw::post(address, "/mcp", &[], &opening).await;
        assert_eq!(opened.status, 200);
        let id = opened.headers["mcp-session-id"].to_str().expect("a session's id").to_owned();
        let session = Self { address, id, next: AtomicU64::new(1) };
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        Raw::post(address, "/mcp", &session.headers(), &initialized).await;
        session
    }

    fn headers(&self) -> [(&str, &str); 2] {
        [("mcp-session-id", &self.id), ("mcp-protocol-version", "2025-11-25")]
    }

    /// Sends a request and reads the last message of what comes back. A session's request is answered under status
    /// 200 and its own id, whatever happened: 404 would tell the client that its session is gone.
    pub(crate) async fn request(&self, method: &str, params: Value) -> (Value, Duration) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let begun = Instant::now();
        let response = Raw::post(self.address, "/mcp", &self.headers(), &message).await;
        let status = response.status;
        let answer = response.collect().await;
        let took = begun.elapsed();
        assert_eq!(status, 200, "{method} {params}: {}", String::from_utf8_lossy(&answer.body));
        let messages = answer.messages();
        assert_eq!(messages.iter().filter(|message| message["id"] == id).count(), 1, "{messages:?}");
        let last = messages.last().cloned().unwrap_or_default();
        assert_eq!(last["id"], id, "{last}");
        assert_ne!(last.get("result").is_some(), last.get("error").is_some(), "one outcome: {last}");
        (last, took)
    }

    pub(crate) async fn tool(&self, tool: &str, arguments: Value) -> Ended {
        let key = arguments["key"].as_str().unwrap_or_default().to_owned();
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": key } });
        let (message, took) = self.request("tools/call", params).await;
        Ended { key, message, took }
    }

    /// Calls `tool` with a fault and a key of its own.
    pub(crate) async fn act(&self, tool: &str, fault: Fault) -> Ended {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        let key = format!("{}-{}", fault.name(), KEYS.fetch_add(1, Ordering::Relaxed));
        self.tool(tool, json!({ "fault": fault.name(), "key": key })).await
    }

    /// Whether a server in good health answers, in this session and at once.
    pub(crate) async fn untouched(&self, tool: &str) {
        let ended = self.tool(tool, json!({ "text": "well" })).await;
        assert_eq!(ended.text(), Some("well"), "{ended:?}");
        assert!(ended.took < Duration::from_secs(1), "{ended:?}");
    }

    /// Waits until `tool` answers, and says for how long.
    pub(crate) async fn recovered(&self, tool: &str) -> Duration {
        let begun = Instant::now();
        loop {
            let ended = self.act(tool, Fault::None).await;
            if ended.text() == Some(&ended.key) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < RECOVERY, "still {ended:?}");
            // A client's pause between attempts.
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes a call fail, with everything that must hold of it: in time, once, and without harm to anything else.
    pub(crate) async fn fails(&self, server: &Faulty, fault: Fault, within: Duration) -> Ended {
        self.recovered("act").await;
        let ended = self.act("act", fault).await;
        assert!(ended.is_error(), "{:?} {fault:?}: {ended:?}", server.wire);
        assert!(ended.took < within, "{:?} {fault:?}: {ended:?}", server.wire);
        assert_eq!(server.ledger().calls(&ended.key), 1, "{:?} {fault:?}", server.wire);
        self.untouched("echo").await;
        ended
    }
}
