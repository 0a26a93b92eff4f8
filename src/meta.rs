//! The reserved keys of `_meta` (2026-07-28, "basic/index: `_meta`").

/// The member of parameters and results that holds the others.
pub const META: &str = "_meta";
/// The revision a modern request is written in; its presence is what makes a request modern.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What the client can do, on each modern request.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client is, on each modern request.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The lowest level of log messages the client wants for a modern request.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Who the server is, on modern results.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Which `subscriptions/listen` a notification answers.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// What progress notifications of a request shall carry.
pub const PROGRESS_TOKEN: &str = "progressToken";

/// The keys that only a modern request has; they are taken out towards initialize-era servers.
pub const MODERN: [&str; 4] = [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL];
