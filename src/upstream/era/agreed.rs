use super::{logging::Logging, subscriptions::Subscriptions, takes::Takes};
use crate::{
    Revision,
    identity::Identity,
    json::{Json, object},
    meta,
    upstream::{Hop, error::Protocol},
};
use std::sync::Arc;

/// What a handshake found out.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) hop: Arc<Hop>,
    pub(super) revision: Revision,
    /// The server's answer to `server/discover`, or what stands for it.
    pub(super) discover: Json,
    /// Whether the era is known, rather than guessed because the server did not answer in time.
    pub(super) certain: bool,
    /// Whether its log level can be set, and the level that is.
    pub(super) logs: bool,
    pub(super) logging: Logging,
    /// Resources that somebody wants to hear about.
    pub(super) subscriptions: Subscriptions,
    /// How often the server takes `initialize`; asked of what the gateway agreed on for itself.
    pub(super) takes: Takes,
}

impl Agreed {
    /// A server of self-contained requests; `discover` is its answer, if it gave one.
    pub(super) fn modern(epoch: u64, discover: Option<Json>) -> Self {
        let revision = Revision::LATEST_MODERN;
        let discover = discover.unwrap_or_else(|| Json::from_static(r#"{"capabilities":{}}"#));
        let (hop, logging) = (Arc::new(Hop::new(Some(revision), epoch)), Logging::default());
        let (subscriptions, takes) = (Subscriptions::default(), Takes::default());
        Self { hop, revision, discover, certain: true, logs: false, logging, subscriptions, takes }
    }

    /// An initialize-era server, from its result and the hop of the greeting, which may have got a session id.
    pub(super) fn legacy(greeting: &Hop, result: &Json) -> Result<Self, Protocol> {
        let version = result.member("protocolVersion").and_then(|version| version.read::<String>().ok());
        let version = version.ok_or(Protocol("its answer to initialize names no protocol version".into()))?;
        let known = version.parse::<Revision>().ok().filter(|revision| !revision.is_modern());
        let revision = known.ok_or_else(|| {
            let version: String = version.chars().take(32).collect();
            Protocol(format!("it answered initialize with the protocol version {version:?}").into())
        })?;
        let hop = Hop::new(Some(revision), greeting.epoch);
        if let Some(id) = greeting.session_id() {
            hop.set_session_id(id.clone());
        }
        let logs = result.member("capabilities").is_some_and(|declared| declared.member("logging").is_some());
        let (hop, discover) = (Arc::new(hop), discover(revision, result));
        let (logging, subscriptions, takes) = (Logging::default(), Subscriptions::default(), Takes::default());
        Ok(Self { hop, revision, discover, certain: true, logs, logging, subscriptions, takes })
    }

    /// A capability, such as `tools`.
    pub(super) fn capability(&self, name: &str) -> Option<Json> {
        self.discover.member("capabilities")?.member(name)
    }

    /// Name and version of the server, as it says.
    pub(super) fn server_info(&self) -> Option<Json> {
        self.discover.member(meta::META)?.member(meta::SERVER_INFO)
    }
}

/// The result of `initialize` in the shape of a `server/discover` result (2026-07-28, "server/discover").
fn discover(revision: Revision, result: &Json) -> Json {
    let mut out = format!("{{\"supportedVersions\":[\"{revision}\"]").into_bytes();
    let capabilities = result.member("capabilities").unwrap_or_else(|| Json::from_static("{}"));
    object::push_member(&mut out, "capabilities", capabilities.as_bytes());
    if let Some(instructions) = result.member("instructions") {
        object::push_member(&mut out, "instructions", instructions.as_bytes());
    }
    out.extend_from_slice(br#","ttlMs":0,"cacheScope":"private""#);
    let (info, identity) = (result.member("serverInfo"), Identity::of(result));
    if info.is_some() || identity.is_some() {
        let mut member = vec![b'{'];
        info.inspect(|info| object::push_member(&mut member, meta::SERVER_INFO, info.as_bytes()));
        identity.inspect(|identity| identity.write(&mut member));
        member.push(b'}');
        object::push_member(&mut out, meta::META, &member);
    }
    out.push(b'}');
    Json::trusted(out.into())
}
