//! An authorization server on the real wire, with an MCP server that it guards.
#![allow(dead_code, unreachable_pub)]

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{
    net::TcpListener,
    sync::{RwLock, RwLockWriteGuard, watch},
};

type Fields = HashMap<String, String>;

/// Where it deviates from what is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// The answer in the browser names another issuer.
    OtherIss,
    /// It promises an issuer in the answer and names none.
    NoIss,
    /// Its metadata is that of another issuer.
    OtherIssuer,
    /// It does not say that it has PKCE.
    NoPkce,
    /// The server's metadata is that of another server.
    OtherResource,
    /// It sends the person back with a refusal.
    Denies,
    /// It registers nobody.
    NoRegistration,
    /// Its token endpoint is not reached safely.
    PlainToken,
    /// The server has no metadata, and is its own authorization server, as in 2025-03-26.
    Early,
}

#[derive(Default)]
struct Known {
    clients: HashMap<String, String>,
    codes: HashMap<String, Fields>,
    access: HashSet<String>,
    refresh: HashSet<String>,
    /// The scope that was asked for.
    scope: Option<String>,
}

pub struct Authority {
    pub origin: String,
    quirk: Option<Quirk>,
    known: Mutex<Known>,
    made: AtomicUsize,
    refreshes: watch::Sender<usize>,
    /// Held while no renewal is answered.
    silence: RwLock<()>,
    strange: AtomicUsize,
    away: AtomicBool,
}

type Shared = State<Arc<Authority>>;

impl Authority {
    pub async fn start(quirk: Option<Quirk>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let authority = Arc::new(Self {
            origin,
            quirk,
            known: Mutex::default(),
            made: AtomicUsize::new(0),
            refreshes: watch::Sender::new(0),
            silence: RwLock::default(),
            strange: AtomicUsize::new(0),
            away: AtomicBool::new(false),
        });
        let router = Router::new()
            .route("/mcp", post(mcp))
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server/as", get(metadata))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/as/register", post(register))
            .route("/as/authorize", get(authorize))
            .route("/as/token", post(token))
            .route("/as/revoke", post(revoke))
            .with_state(authority.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        authority
    }

    pub fn url(&self) -> String {
        format!("{}/mcp", self.origin)
    }

    pub fn refreshes(&self) -> usize {
        *self.refreshes.borrow()
    }

    /// Until so many have been asked for.
    pub async fn refreshed(&self, times: usize) {
        self.refreshes.subscribe().wait_for(|asked| *asked >= times).await.unwrap();
    }

    /// Renewals are asked for and not answered, until this is dropped.
    pub async fn silent(&self) -> RwLockWriteGuard<'_, ()> {
        self.silence.write().await
    }

    /// Answers no renewal any more.
    pub fn go_away(&self) {
        self.away.store(true, SeqCst);
    }

    /// How often the server was shown a token that is none of its own.
    pub fn strange(&self) -> usize {
        self.strange.load(SeqCst)
    }

    pub fn scope(&self) -> Option<String> {
        self.known.lock().unwrap().scope.clone()
    }

    /// Whether any token is good for anything.
    pub fn has_tokens(&self) -> bool {
        let known = self.known.lock().unwrap();
        !known.access.is_empty() || !known.refresh.is_empty()
    }

    /// Takes all access tokens back, and the refresh tokens too where nothing shall be left.
    pub fn revoke(&self, all: bool) {
        let mut known = self.known.lock().unwrap();
        known.access.clear();
        if all {
            known.refresh.clear();
        }
    }

    fn is(&self, quirk: Quirk) -> bool {
        self.quirk == Some(quirk)
    }

    fn issuer(&self) -> String {
        if self.is(Quirk::Early) { self.origin.clone() } else { format!("{}/as", self.origin) }
    }

    fn unique(&self, what: &str) -> String {
        format!("{what}-{}", self.made.fetch_add(1, SeqCst))
    }

    fn tokens(&self) -> Response {
        let (access, refresh) = (self.unique("access"), self.unique("refresh"));
        let mut known = self.known.lock().unwrap();
        known.access.insert(access.clone());
        known.refresh.insert(refresh.clone());
        let tokens =
            json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600});
        Json(tokens).into_response()
    }
}

async fn mcp(State(authority): Shared, headers: HeaderMap, Json(message): Json<Value>) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !token.is_some_and(|token| authority.known.lock().unwrap().access.contains(token)) {
        authority.strange.fetch_add(usize::from(token.is_some()), SeqCst);
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", authority.origin);
        let challenge = match authority.is(Quirk::Early) {
            true => "Bearer".to_owned(),
            false => format!("Bearer realm=\"x\", resource_metadata=\"{metadata}\", scope=\"tools more\""),
        };
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let result = match message["method"].as_str().unwrap() {
        "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
        "tools/list" => json!({"tools": [{"name": "whoami", "inputSchema": {"type": "object"}}]}),
        "tools/call" => json!({"content": [{"type": "text", "text": "somebody"}]}),
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            return Json(json!({"jsonrpc": "2.0", "id": message["id"], "error": error})).into_response();
        }
    };
    Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).into_response()
}

async fn resource(State(authority): Shared) -> Response {
    if authority.is(Quirk::Early) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let resource =
        if authority.is(Quirk::OtherResource) { "https://other.example/mcp".into() } else { authority.url() };
    Json(json!({"resource": resource, "authorization_servers": [authority.issuer()]})).into_response()
}

async fn metadata(State(authority): Shared) -> Json<Value> {
    let at = |path: &str| format!("{}/as/{path}", authority.origin);
    let issuer = if authority.is(Quirk::OtherIssuer) { "https://other.example".into() } else { authority.issuer() };
    let token = if authority.is(Quirk::PlainToken) { "http://token.example/".into() } else { at("token") };
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": token,
        "revocation_endpoint": at("revoke"),
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": ["tools", "more", "offline_access"],
    });
    if !authority.is(Quirk::NoPkce) {
        metadata["code_challenge_methods_supported"] = json!(["S256"]);
    }
    if !authority.is(Quirk::NoRegistration) {
        metadata["registration_endpoint"] = at("register").into();
    }
    Json(metadata)
}

async fn register(State(authority): Shared, Json(wanted): Json<Value>) -> Response {
    let id = authority.unique("client");
    let redirect = wanted["redirect_uris"][0].as_str().unwrap().to_owned();
    assert_eq!(wanted["token_endpoint_auth_method"], "none");
    authority.known.lock().unwrap().clients.insert(id.clone(), redirect);
    (StatusCode::CREATED, Json(json!({"client_id": id, "token_endpoint_auth_method": "none"}))).into_response()
}

async fn authorize(State(authority): Shared, Query(asked): Query<Fields>) -> Response {
    let redirect = asked["redirect_uri"].clone();
    let fits = asked["response_type"] == "code"
        && asked["code_challenge_method"] == "S256"
        && asked["resource"] == authority.url()
        && authority.known.lock().unwrap().clients.get(&asked["client_id"]).is_none_or(|known| *known == redirect);
    if !fits {
        return (StatusCode::BAD_REQUEST, format!("{asked:?}")).into_response();
    }
    let code = authority.unique("code");
    let mut answer = vec![("state", asked["state"].clone())];
    match authority.quirk {
        Some(Quirk::OtherIss) => answer.push(("iss", "https://other.example".into())),
        Some(Quirk::NoIss) => {}
        _ => answer.push(("iss", authority.issuer())),
    }
    match authority.is(Quirk::Denies) {
        true => answer.push(("error", "access_denied".into())),
        false => answer.push(("code", code.clone())),
    }
    let mut known = authority.known.lock().unwrap();
    known.scope = asked.get("scope").cloned();
    known.codes.insert(code, asked);
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
    Redirect::to(&format!("{redirect}?{query}")).into_response()
}

async fn token(State(authority): Shared, Form(asked): Form<Fields>) -> Response {
    let get = |field: &str| asked.get(field).cloned().unwrap_or_default();
    let refused = || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    if get("resource") != authority.url() {
        return refused();
    }
    if get("grant_type") == "refresh_token" {
        authority.refreshes.send_modify(|asked| *asked += 1);
        let _answered = authority.silence.read().await;
        if authority.away.load(SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        // Each is good once.
        let known = authority.known.lock().unwrap().refresh.remove(&get("refresh_token"));
        return if known { authority.tokens() } else { refused() };
    }
    let Some(code) = authority.known.lock().unwrap().codes.remove(&get("code")) else { return refused() };
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier")));
    let same = ["redirect_uri", "client_id"].iter().all(|field| code[*field] == get(field));
    if same && proof == code["code_challenge"] { authority.tokens() } else { refused() }
}

async fn revoke(State(authority): Shared, Form(asked): Form<Fields>) -> StatusCode {
    let mut known = authority.known.lock().unwrap();
    if known.refresh.remove(&asked["token"]) {
        known.access.clear();
    }
    StatusCode::OK
}
