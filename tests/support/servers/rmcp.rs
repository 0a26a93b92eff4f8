//! The official Rust SDK's server around a peer.

use std::{borrow::Cow, pin::pin, sync::Arc};

use axum::Router;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, DiscoverResult, ErrorCode, GetPromptRequestParams,
        GetPromptResponse, GetPromptResult, Implementation, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerConfig, SubscriptionFilter,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::{
    kit::{Fault, Request, Server},
    peer::Peer,
};

/// The eras a server of the SDK is made to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// `initialize` only.
    Legacy,
    /// `server/discover` only.
    Modern,
    /// What its client opens with.
    Both,
}

/// The endpoint at `/mcp`; sessions for those who open with `initialize`.
pub(super) fn router(peer: Arc<Peer>, speaks: Speaks, cut: CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(true).with_cancellation_token(cut);
    let service: StreamableHttpService<Handler, LocalSessionManager> =
        StreamableHttpService::new(move || Ok(Handler { peer: peer.clone(), speaks }), Arc::default(), config);
    Router::new().nest_service("/mcp", service)
}

/// Serves the client at the other end of stdin and stdout until it closes stdin.
pub async fn serve_stdio(peer: Arc<Peer>, speaks: Speaks) {
    let handler = Handler { peer, speaks };
    let running = handler.serve(rmcp::transport::stdio()).await.expect("the client opens");
    running.waiting().await.expect("the client ends the session");
}

#[derive(Clone)]
struct Handler {
    peer: Arc<Peer>,
    speaks: Speaks,
}

impl Handler {
    /// Asks the peer, passing its progress on as it comes, and gives up when the client cancels.
    async fn ask<P: Serialize, R: DeserializeOwned>(
        &self,
        method: &str,
        params: P,
        context: &RequestContext<RoleServer>,
    ) -> Result<R, ErrorData> {
        let mut params = serde_json::to_value(params).expect("parameters are JSON");
        if params.is_null() {
            params = json!({});
        }
        let token = context.meta.get_progress_token();
        params["_meta"] = json!({ "progressToken": token });
        let (notes, mut noted) = mpsc::unbounded_channel();
        let request = Request { method: method.into(), params, notes };
        let mut ask = pin!(self.peer.request(request));
        let answer = loop {
            tokio::select! {
                biased;
                Some(note) = noted.recv() => tell(context, note).await,
                answer = &mut ask => break answer,
                () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
            }
        };
        while let Ok(note) = noted.try_recv() {
            tell(context, note).await;
        }
        let value = answer.map_err(|Fault { code, message, data }| {
            ErrorData::new(ErrorCode(i32::try_from(code).expect("a code")), message, data)
        })?;
        Ok(serde_json::from_value(value).expect("a result as the SDK knows it"))
    }
}

/// Passes progress on; a client that is gone wants none.
async fn tell(context: &RequestContext<RoleServer>, note: Value) {
    let note: ProgressNotificationParam =
        serde_json::from_value(note["params"].clone()).expect("progress as the SDK knows it");
    let _ = context.peer.notify_progress(note).await;
}

type Page = Option<PaginatedRequestParams>;
type Context = RequestContext<RoleServer>;

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            serde_json::from_value(self.peer.capabilities()).expect("capabilities as the SDK knows them");
        ServerConfig::new(capabilities).with_server_info(Implementation::new(self.peer.name(), "1.0.0"))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        match self.speaks {
            Speaks::Legacy => Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25)),
            Speaks::Modern => Cow::Borrowed(&[ProtocolVersion::V_2026_07_28]),
            Speaks::Both => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
        }
    }

    async fn discover(&self, _: Context) -> Result<DiscoverResult, ErrorData> {
        self.peer.ledger.count_method("server/discover");
        match self.speaks {
            Speaks::Legacy => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "server/discover", None)),
            _ => {
                let versions = self.supported_protocol_versions().into_owned();
                Ok(DiscoverResult::from_server_info(versions, self.get_info()))
            }
        }
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.peer.notified("notifications/initialized", &Value::Null);
        let mut news = self.peer.notifications().expect("a peer has news");
        tokio::spawn(async move {
            while news.recv().await.is_ok() && context.peer.notify_tool_list_changed().await.is_ok() {}
        });
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut news = self.peer.notifications().expect("a peer has news");
        loop {
            tokio::select! {
                note = news.recv() => match note {
                    Ok(_) if context.sink().notify_tool_list_changed().await.is_ok() => {}
                    _ => return Ok(()),
                },
                () = context.cancelled() => return Ok(()),
            }
        }
    }

    async fn list_tools(&self, params: Page, context: Context) -> Result<ListToolsResult, ErrorData> {
        self.ask("tools/list", params, &context).await
    }

    async fn call_tool(&self, params: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        self.ask::<_, CallToolResult>("tools/call", params, &context).await.map(Into::into)
    }

    async fn list_prompts(&self, params: Page, context: Context) -> Result<ListPromptsResult, ErrorData> {
        self.ask("prompts/list", params, &context).await
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.ask::<_, GetPromptResult>("prompts/get", params, &context).await.map(Into::into)
    }

    async fn list_resources(&self, params: Page, context: Context) -> Result<ListResourcesResult, ErrorData> {
        self.ask("resources/list", params, &context).await
    }

    async fn list_resource_templates(
        &self,
        params: Page,
        context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.ask("resources/templates/list", params, &context).await
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.ask::<_, ReadResourceResult>("resources/read", params, &context).await.map(Into::into)
    }
}
