//! The gateway among other layers: tower-http around it, a layer of one's own inside it, at each of its three stacks.
//!
//! ```sh
//! TOKEN=secret cargo run --example compose
//! curl -s localhost:3001/mcp -H 'authorization: Bearer secret' -H 'content-type: application/json' \
//!   -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},
//!        "clientInfo":{"name":"curl","version":"8"}}}'
//! ```

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderName, Method, StatusCode, header};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, ServiceBuilder, load_shed::LoadShedLayer};
use tower_http::{
    ServiceBuilderExt,
    compression::CompressionLayer,
    cors::{AllowHeaders, CorsLayer},
    request_id::MakeRequestUuid,
    trace::TraceLayer,
};
use tower_mcp_gateway::{
    Call,
    catalog::CatalogLayer,
    edge::EdgeLayer,
    limit::LimitLayer,
    origin::OriginLayer,
    registry::{Registry, Server},
    route::{Pool, Route},
    subscribe::SubscribeLayer,
    timeout::TimeoutLayer,
};

/// Counts calls by the place it stands at. A layer of the inside sees calls, not HTTP.
#[derive(Clone)]
struct CountLayer {
    place: Arc<str>,
    calls: Arc<AtomicU64>,
}

impl CountLayer {
    fn new(place: impl Into<Arc<str>>) -> Self {
        Self { place: place.into(), calls: Arc::default() }
    }
}

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
struct Count<S> {
    inner: S,
    layer: CountLayer,
}

impl<S: Service<Call>> Service<Call> for Count<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        let calls = self.layer.calls.fetch_add(1, Ordering::Relaxed) + 1;
        println!("{:<20} {calls:>4} {}", self.layer.place, call.method);
        self.inner.call(call)
    }
}

/// Lets in whoever sends the right `Authorization`.
async fn authorize(State(expected): State<String>, request: Request, next: Next) -> Response {
    let sent = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match sent == Some(expected.as_bytes()) {
        true => next.run(request).await,
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter("tower_http=debug").init();
    let token = std::env::var("TOKEN").map_err(|_| "set TOKEN to the bearer token clients shall send")?;

    let (registry, driver) = Registry::builder()
        .name("compose")
        // The endpoint stack: one per server.
        .endpoint(|server: &Server, upstream| {
            let place = format!("endpoint {}", server.id());
            ServiceBuilder::new().layer(CountLayer::new(place)).layer(LimitLayer::new(20)).service(upstream)
        })
        // The pool stack: one per server name.
        .pool(|name, pool| Pool::new(CountLayer::new(format!("pool {name}")).layer(pool)))
        .build();
    tokio::spawn(driver);
    registry.register(Server::sse("search-1", "search", "http://localhost:3510")?)?;

    // The edge stack: one per mount. What counts the calls in flight is kept apart, because their end is seen there.
    let ending = CancellationToken::new();
    let calls = ServiceBuilder::new()
        .layer(LimitLayer::new(512))
        .layer(TimeoutLayer::new(Duration::from_secs(30), Duration::from_secs(300)))
        .service(Route::new(registry.tables()));
    let gateway = ServiceBuilder::new()
        .layer(OriginLayer::localhost().allow_origin("https://app.example.com"))
        .layer(EdgeLayer::new())
        .layer(CountLayer::new("edge"))
        .layer(CatalogLayer::new(registry.tables()))
        .layer(SubscribeLayer::new(registry.tables().versions()).resources(registry.hub()).shutdown(ending.clone()))
        .layer(LoadShedLayer::new())
        .service(calls.clone());

    // What is HTTP and not MCP is any tower-http layer, around it.
    let cors = CorsLayer::new()
        .allow_origin(["https://app.example.com".parse::<http::HeaderValue>()?])
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        // The ones by which a page sends the arguments of a tool have names of the tool's own (`mcp-param-…`).
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([HeaderName::from_static("mcp-session-id"), header::WWW_AUTHENTICATE, header::RETRY_AFTER]);
    let around = ServiceBuilder::new()
        .set_x_request_id(MakeRequestUuid)
        .layer(TraceLayer::new_for_http())
        .propagate_x_request_id()
        .layer(cors)
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(format!("Bearer {token}"), authorize));
    let app = Router::new().route_service("/mcp", gateway).layer(around);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    println!("listening on http://{}/mcp", listener.local_addr()?);
    let end = async move {
        let _ = tokio::signal::ctrl_c().await;
        // What listens is told that it is over, calls in flight finish, servers are left; nobody waits longer than this.
        ending.cancel();
        let _ = timeout(Duration::from_secs(30), async { tokio::join!(calls.drain(), registry.close()) }).await;
    };
    axum::serve(listener, app).with_graceful_shutdown(end).await?;
    Ok(())
}
