//! The search server. Two replicas of it run, each answering with its own id so that one can see who served a call.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::kit::{Fault, Request, Server, text, tool};

const CORPUS: [(&str, &str); 5] = [
    ("otters", "Otters hold hands while they sleep so that they do not drift apart."),
    ("rivers", "A river is balanced by its banks; a pool is balanced by its gateway."),
    ("towers", "A tower is a stack of layers around one service."),
    ("gateways", "A gateway joins many servers behind one door."),
    ("health", "A server that is ill leaves the pool and returns when it is well."),
];

/// One replica of the search server.
pub(crate) struct Search {
    id: String,
    generation: AtomicU64,
    index: Mutex<Vec<(String, usize)>>,
}

impl Search {
    /// A replica that calls itself `id`.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        let search = Self { id: id.into(), generation: AtomicU64::new(0), index: Mutex::default() };
        search.reindex();
        search
    }

    fn reindex(&self) -> u64 {
        let words = CORPUS.iter().enumerate().flat_map(|(document, (title, body))| {
            let words = body.split(|c: char| !c.is_alphanumeric()).chain([*title]);
            words.filter(|word| word.len() > 2).map(move |word| (word.to_lowercase(), document))
        });
        *self.index.lock().unwrap() = words.collect();
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn hits(&self, query: &str) -> Vec<&'static str> {
        let query = query.to_lowercase();
        let index = self.index.lock().unwrap();
        let found: std::collections::BTreeSet<_> =
            index.iter().filter(|(word, _)| word.contains(&query)).map(|(_, document)| *document).collect();
        found.into_iter().map(|document| CORPUS[document].0).collect()
    }
}

impl Server for Search {
    fn name(&self) -> String {
        "search".into()
    }

    fn capabilities(&self) -> Value {
        json!({ "tools": {} })
    }

    async fn request(&self, request: Request) -> Result<Value, Fault> {
        match request.method.as_str() {
            "tools/list" => Ok(json!({ "tools": [
                tool("search", "Finds documents that contain a word.", &["query"]),
                tool("search_reindex", "Builds the index of the replica that answers anew.", &[]),
            ]})),
            "tools/call" => match request.params["name"].as_str() {
                Some("search") => {
                    let query = request.text("query")?;
                    let hits = self.hits(query);
                    let mut result = text(format!("{}: {} for {query:?}: {}", self.id, hits.len(), hits.join(", ")));
                    result["structuredContent"] = json!({ "replica": self.id, "hits": hits });
                    Ok(result)
                }
                Some("search_reindex") => {
                    Ok(text(format!("{}: index {} holds {} documents", self.id, self.reindex(), CORPUS.len())))
                }
                _ => Err(Fault::params("unknown tool")),
            },
            other => Err(Fault::method(other)),
        }
    }
}
