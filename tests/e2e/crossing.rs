//! Two clients on one shared server that give everything the same ids: requests, progress tokens, listening streams. Ten
//! thousand messages, and none of them may reach the other one.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    front::{Front, child},
    support::{
        clients::{Raw, modern},
        peer::Peer,
        servers::{Kind, Running},
    },
};

const MESSAGES: usize = 10_000;
/// Of each pair of clients.
const OF_PAIR: usize = MESSAGES.div_ceil(3);
/// By the number of steps it asks for, each client's answers and progress are told from the other's.
const STEPS: [u64; 2] = [19, 23];
const URI: &str = "test://one/fixed";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

type Headers = Vec<(&'static str, String)>;

/// One of the two, of either era.
struct Client {
    at: SocketAddr,
    /// Headers of its session, if it has one.
    session: Option<Headers>,
    steps: u64,
}

impl Client {
    async fn open(at: SocketAddr, legacy: bool, steps: u64) -> Self {
        let mut client = Self { at, session: None, steps };
        if legacy {
            let info = json!({ "name": "crossing", "version": "1.0.0" });
            let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
            let opening = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
            let opened = Raw::post(at, "/mcp", &[], &opening).await;
            let id = opened.headers["mcp-session-id"].to_str().expect("a session's id").to_owned();
            client.session = Some(vec![("mcp-session-id", id), ("mcp-protocol-version", "2025-11-25".into())]);
        }
        client
    }

    async fn post(&self, id: Value, method: &str, params: Value) -> Raw {
        let (headers, message) = match &self.session {
            Some(headers) => {
                let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
                (headers.clone(), message)
            }
            None => modern(id, method, params),
        };
        Raw::post(self.at, "/mcp", &borrowed(&headers), &message).await
    }

    /// Calls again and again until both have had enough messages together.
    async fn call(&self, messages: &AtomicUsize) {
        while messages.load(Relaxed) < OF_PAIR {
            let arguments = json!({ "steps": self.steps });
            let params = json!({ "name": "slow", "arguments": arguments, "_meta": { "progressToken": 1 } });
            let heard = self.post(json!(1), "tools/call", params).await.collect().await.messages();
            messages.fetch_add(heard.len(), Relaxed);
            let (answer, notes) = heard.split_last().expect("an answer");
            assert_eq!(answer["id"], 1, "{answer}");
            assert_eq!(answer["result"]["content"][0]["text"], format!("{} steps", self.steps), "{answer}");
            let progress: Vec<_> = notes.iter().map(|note| note["params"]["progress"].as_u64()).collect();
            assert_eq!(progress, (1..=self.steps).map(Some).collect::<Vec<_>>());
            for note in notes {
                assert_eq!(note["params"]["progressToken"], 1, "{note}");
                assert_eq!(note["params"]["total"], self.steps, "{note}");
            }
        }
    }

    /// Opens a listening stream; its wishes are what only this client may hear of.
    async fn listen(&self, wishes: &Value) -> Raw {
        if let Some(headers) = &self.session {
            for uri in wishes["resourceSubscriptions"].as_array().into_iter().flatten() {
                let answer = self.post(json!(1), "resources/subscribe", json!({ "uri": uri })).await.collect().await;
                assert!(answer.messages()[0]["result"].is_object(), "{:?}", answer.messages());
            }
            return Raw::get(self.at, "/mcp", &borrowed(headers)).await;
        }
        let mut stream = self.post(json!("listen"), "subscriptions/listen", json!({ "notifications": wishes })).await;
        let acknowledged = stream.message().await.expect("an acknowledgement");
        assert_eq!(acknowledged["params"]["notifications"], *wishes);
        stream
    }

    /// The methods of what comes on the stream until `enough`, each checked for being this client's.
    async fn heard(&self, mut stream: Raw, enough: CancellationToken) -> BTreeSet<String> {
        let mut methods = BTreeSet::new();
        while let Some(Some(note)) = enough.run_until_cancelled(stream.message()).await {
            if self.session.is_none() {
                assert_eq!(note["params"]["_meta"][SUBSCRIPTION], "listen", "{note}");
            }
            methods.insert(note["method"].as_str().expect("a notification").to_owned());
        }
        methods
    }
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Both clients call and listen at once; `legacy` says which of them open with `initialize`.
async fn cross(front: &Front, legacy: [bool; 2]) {
    let at = front.address();
    let [one, other] = [Client::open(at, legacy[0], STEPS[0]).await, Client::open(at, legacy[1], STEPS[1]).await];
    let (messages, over) = (AtomicUsize::new(0), CancellationToken::new());
    let updates = one.listen(&json!({ "resourceSubscriptions": [URI] })).await;
    let lists = other.listen(&json!({ "toolsListChanged": true })).await;
    let calling = async {
        tokio::join!(one.call(&messages), other.call(&messages), async {
            while messages.load(Relaxed) < OF_PAIR {
                let touched = other.post(json!("1"), "tools/call", json!({ "name": "touch" })).await.collect().await;
                messages.fetch_add(touched.messages().len(), Relaxed);
            }
        });
        over.cancel();
    };
    let (updated, listed, ()) =
        tokio::join!(one.heard(updates, over.clone()), other.heard(lists, over.clone()), calling);
    assert_eq!(updated, BTreeSet::from(["notifications/resources/updated".to_owned()]));
    assert_eq!(listed, BTreeSet::new(), "nothing of what the other one listens to");
}

#[tokio::test]
async fn at_one_child() {
    for legacy in [[false, false], [true, true], [false, true]] {
        cross(&Front::of(vec![child("one-1", "one", "asking")]).await, legacy).await;
    }
}

#[tokio::test]
async fn at_one_server_over_http() {
    for (kind, legacy) in [(Kind::Legacy, [false, false]), (Kind::Legacy, [true, true]), (Kind::Modern, [true, false])]
    {
        let server = Running::start(kind, Peer::asking("one")).await;
        cross(&Front::of_one(&server).await, legacy).await;
    }
}
