//! The official Rust SDK's client, with its notifications kept in the order they came.

use std::sync::{Arc, Mutex};

use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{
        CallToolRequestParams, ClientConfig, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
    },
    service::{NotificationContext, RunningService, ServiceError},
    transport::{StreamableHttpClientTransport, TokioChildProcess},
};
use serde_json::{Value, json};
use tokio::{process::Command, sync::watch};

use crate::support::soon;

/// How a client opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With `initialize`.
    Initialize,
    /// With `server/discover`, and nothing else.
    Discover,
}

impl Mode {
    pub const ALL: [Mode; 2] = [Mode::Initialize, Mode::Discover];

    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Mode::Initialize => ClientLifecycleMode::Initialize,
            Mode::Discover => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
        }
    }
}

/// What the client was told beside answers.
#[derive(Clone, Default)]
pub struct Ears {
    progress: Arc<Mutex<Vec<f64>>>,
    tools_changed: Arc<watch::Sender<usize>>,
}

impl ClientHandler for Ears {
    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().unwrap().push(params.progress);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tools_changed.send_modify(|times| *times += 1);
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::default()
    }
}

/// A connected client. Results are JSON, to be compared with what a peer says.
pub struct Client {
    pub service: RunningService<RoleClient, Ears>,
}

/// Connects over Streamable HTTP.
pub async fn connect(mode: Mode, url: &str) -> Client {
    let opened = Ears::default().serve_with_lifecycle(StreamableHttpClientTransport::from_uri(url), mode.lifecycle());
    Client { service: soon("opening", opened).await.unwrap_or_else(|error| panic!("{mode:?} at {url}: {error}")) }
}

/// Starts a child process and connects over its stdin and stdout.
pub async fn launch(mode: Mode, command: Command) -> Client {
    let child = TokioChildProcess::new(command).expect("the child starts");
    let opened = Ears::default().serve_with_lifecycle(child, mode.lifecycle());
    Client { service: soon("opening", opened).await.unwrap_or_else(|error| panic!("{mode:?} over stdio: {error}")) }
}

impl Client {
    /// Every tool of every page, as the client understood it.
    pub async fn tools(&self) -> Vec<Value> {
        let tools = soon("tools/list", self.service.list_all_tools()).await.expect("a list");
        tools.into_iter().map(|tool| serde_json::to_value(tool).expect("a tool is JSON")).collect()
    }

    /// The names of every tool, in the order listed.
    pub async fn tool_names(&self) -> Vec<String> {
        self.tools().await.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ServiceError> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = soon("tools/call", self.service.call_tool(params)).await?;
        Ok(serde_json::to_value(result).expect("a result is JSON"))
    }

    /// Calls a tool that answers with one text.
    pub async fn text(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
        assert_ne!(result["isError"], json!(true), "{tool}: {result}");
        result.pointer("/content/0/text").and_then(Value::as_str).expect("a text").to_owned()
    }

    /// Reads a resource that is one text.
    pub async fn read(&self, uri: &str) -> String {
        let read = soon("resources/read", self.service.read_resource(ReadResourceRequestParams::new(uri))).await;
        let read = serde_json::to_value(read.expect("a resource")).expect("a result is JSON");
        read.pointer("/contents/0/text").and_then(Value::as_str).expect("a text").to_owned()
    }

    /// The progress that came so far, in order.
    pub fn progress(&self) -> Vec<f64> {
        self.service.service().progress.lock().unwrap().clone()
    }

    /// Resolves when the list of tools was said to have changed `times` times.
    pub async fn until_tools_changed(&self, times: usize) {
        let mut changed = self.service.service().tools_changed.subscribe();
        soon("list_changed", changed.wait_for(|seen| *seen >= times)).await.expect("we hold a sender");
    }

    /// Ends the session.
    pub async fn close(self) {
        soon("closing", self.service.cancel()).await.expect("the client ends");
    }
}
