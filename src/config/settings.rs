use super::{
    Config, ConfigError, admin, auth,
    error::Mistake,
    jsonc, limits,
    node::Node,
    policies,
    reader::{Field, Object, Reader, list},
    servers, tls,
};
use crate::{
    balance::policy::Strategy,
    catalog::Naming,
    json::{self, Fault},
    pin::Pin,
    registry::Server,
    seal::{Keys, error::InvalidKeys},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

const FIELDS: &[&str] = &[
    "name",
    "host",
    "port",
    "balancer",
    "naming",
    "pin",
    "healthCheckInterval",
    "requestTimeout",
    "connectTimeout",
    "startTimeout",
    "startPatience",
    "limits",
    "admin",
    "tls",
    "auth",
    "policies",
    "principals",
    "keys",
    "servers",
    "mcpServers",
    "$schema",
    "inputs",
    "globalShortcut",
    "preferences",
];

/// What the files of other programs hold beside the map of servers.
const FOREIGN: &[&str] = &["inputs", "globalShortcut", "preferences"];

/// The longest time that can be set: a day. Beyond it a number was most likely meant in another unit.
pub(super) const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

/// What is wrong with a text that is no JSON, without its line, which is said elsewhere.
fn no_json(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "the file ends too early: a `}`, a `]` or a quote is missing".into();
    }
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason);
    format!("no valid JSON at column {}: {reason}", error.column())
}

/// Reads a whole text, which may be that of a file in `folder`.
pub(super) fn read(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    folder: Option<&Path>,
) -> Result<Config, ConfigError> {
    let line = |offset: usize| 1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..offset]).count();
    let blanked = jsonc::blank(text)
        .map_err(|jsonc::Unclosed(at)| unreadable(line(at), "a comment begins with `/*` and never ends with `*/`"))?;
    // Metadata is read by recursion, which must have an end.
    if let Err(malformed) = json::Json::parse(blanked.clone())
        && let Fault::TooDeep { offset } = malformed.fault()
    {
        return Err(unreadable(line(*offset), format!("nested deeper than {} levels", json::MAX_DEPTH)));
    }
    if blanked.trim().is_empty() {
        return Err(unreadable(1, "the file is empty: the least it needs is `{ }`"));
    }
    let node = Node::root(&blanked).map_err(|error| unreadable(error.line(), no_json(&error)))?;
    let mut reader = Reader::new(env, folder);
    let mut config = Config::default();
    let root = Field { path: String::new(), node };
    if let Some(object) = reader.object(&root, FIELDS, hint) {
        settings(&mut reader, &object, &mut config);
        times(&mut reader, &object, &mut config);
        if let Some(field) = object.get("limits") {
            config.limits = limits::read(&mut reader, field);
        }
        if let Some(field) = object.get("admin") {
            config.admin = admin::read(&mut reader, field);
        }
        config.tls = object.get("tls").and_then(|field| tls::read(&mut reader, field));
        config.auth = object.get("auth").and_then(|field| auth::read(&mut reader, field));
        policies::read(&mut reader, &object, &mut config.auth);
        let default = config.pin;
        // Written into each, so that another word for all is a change of each, which a reload applies.
        let pinned = |server: Server| if server.pin_of().is_some() { server } else { server.pin(default) };
        config.servers = servers::read(&mut reader, &object).into_iter().map(pinned).collect();
    }
    if !reader.mistakes.is_empty() {
        return Err(ConfigError::mistakes(reader.mistakes));
    }
    config.notes = reader.notes;
    let total = config.limits.max_total;
    for server in &config.servers {
        if server.request_timeout_of().max(server.tools_of().longest_timeout()).is_some_and(|longest| longest > total) {
            let (id, total) = (server.id(), total.as_millis());
            config
                .notes
                .push(format!("{id}: a `requestTimeout` is above `limits.maxTotal`, {total} ms, at which calls end"));
        }
    }
    if config.servers.is_empty() {
        config.notes.push("no server is configured: add entries to `servers` or `mcpServers`".into());
    }
    Ok(config)
}

fn unreadable(line: usize, reason: impl Into<String>) -> ConfigError {
    ConfigError::mistakes(vec![Mistake { field: String::new(), line, reason: reason.into(), unknown: false }])
}

fn hint(key: &str) -> Option<&'static str> {
    match key {
        "command" | "args" | "env" | "url" | "headers" | "transport" | "connection" => {
            Some("it belongs to a server: write it inside an entry of `servers` or `mcpServers`")
        }
        "mcp" => Some("write its `servers` here, as `mcpServers`"),
        _ => None,
    }
}

fn settings(reader: &mut Reader<'_>, object: &Object<'_>, config: &mut Config) {
    if let Some(name) = object.get("name").and_then(|field| reader.text(field)) {
        config.name = name;
    }
    if let Some(host) = object.get("host").and_then(|field| host(reader, field)) {
        config.host = host;
    }
    if let Some(port) = object.get("port").and_then(|field| reader.integer(field, 0..=u16::MAX.into(), "")) {
        config.port = port.try_into().expect("in the range of a port");
    }
    if let Some(word) =
        object.get("balancer").and_then(|field| reader.word(field, &Strategy::ALL.map(Strategy::as_str)))
    {
        config.balancer = Strategy::ALL.into_iter().find(|strategy| strategy.as_str() == word).unwrap_or_default();
    }
    if let Some(word) = object.get("naming").and_then(|field| reader.word(field, &["auto", "prefixed"])) {
        config.naming = if word == "prefixed" { Naming::Prefixed } else { Naming::Auto };
    }
    if let Some(pin) = object.get("pin").and_then(|field| pin(reader, field)) {
        config.pin = pin;
    }
    if let Some(field) = object.get("keys") {
        config.keys = keys(reader, field);
    }
    let foreign = object.present(FOREIGN);
    if !foreign.is_empty() {
        reader.notes.push(format!("of no concern to a gateway; ignored: {}", list(&foreign)));
    }
}

/// The word of `pin`, of all servers or of one.
pub(super) fn pin(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Pin> {
    let word = reader.word(field, &Pin::ALL.map(Pin::as_str))?;
    Pin::ALL.into_iter().find(|pin| pin.as_str() == word)
}

pub(super) fn host(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<IpAddr> {
    let text = reader.text(field)?;
    address(&text).map_err(|reason| reader.wrong(field, reason)).ok()
}

/// The address that a `host` means, in the file as on the command line.
pub(crate) fn address(text: &str) -> Result<IpAddr, &'static str> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let remedy = "must be an IP address without a port: 127.0.0.1 for this machine only, 0.0.0.0 for every network";
    text.parse().map_err(|_| remedy)
}

/// Which of several keys is too short is told by its place; what it holds, by nothing.
fn keys(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Keys> {
    let items = reader.list(field)?;
    let secrets: Option<Vec<_>> = items.iter().map(|item| reader.string(item)).collect();
    match Keys::from_secrets(&secrets?) {
        Ok(keys) => Some(keys),
        Err(InvalidKeys::Short(place)) => {
            let remedy = "`openssl rand -base64 32` prints a good one";
            reader.wrong(&items[place - 1], format!("must have at least {} characters: {remedy}", Keys::MIN_SECRET));
            None
        }
        Err(reason) => {
            reader.wrong(field, reason.to_string());
            None
        }
    }
}

fn times(reader: &mut Reader<'_>, object: &Object<'_>, config: &mut Config) {
    let times = [
        ("healthCheckInterval", &mut config.health_check_interval),
        ("requestTimeout", &mut config.request_timeout),
        ("connectTimeout", &mut config.connect_timeout),
        ("startTimeout", &mut config.start_timeout),
        ("startPatience", &mut config.start_patience),
    ];
    for (key, time) in times {
        let Some(field) = object.get(key) else { continue };
        if let Some(ms) = reader.integer(field, 1..=LONGEST_MS, " (milliseconds)") {
            *time = Duration::from_millis(ms);
        }
    }
}
