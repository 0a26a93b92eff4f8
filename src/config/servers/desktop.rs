use super::{
    super::reader::{Field, Object, Reader, list},
    OPTIONS, Taken, claim,
    connection::{self, Kind, url},
    options,
};
use crate::registry::Server;

/// How a server is reached, and whether.
const FIELDS: &[&str] =
    &["type", "command", "args", "cwd", "env", "url", "serverUrl", "httpUrl", "headers", "auth", "disabled", "enabled"];

/// What concerns the program a file comes from and changes nothing of how a server is reached.
const FOREIGN: &[&str] = &[
    "autoApprove",
    "alwaysAllow",
    "timeout",
    "description",
    "disabledTools",
    "gallery",
    "version",
    "dev",
    "icon",
    "trust",
];

/// The servers of a map as desktop clients keep it.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>, taken: &mut Taken) -> Vec<Server> {
    let entries = reader.map(field).unwrap_or_default();
    entries.into_iter().filter_map(|(key, field)| entry(reader, &key, &field, taken)).collect()
}

fn entry(reader: &mut Reader<'_>, key: &str, field: &Field<'_>, taken: &mut Taken) -> Option<Server> {
    let entry = reader.object(field, &[FIELDS, OPTIONS, FOREIGN].concat(), |key| match key {
        "envFile" => Some("it is not read: write its variables in `env`"),
        "id" | "name" => {
            Some("the key of the entry is both id and name; replicas of one name are written in a `servers` list")
        }
        "transport" => Some("did you mean `type`?"),
        "connection" => Some("in this form its fields stand in the entry itself"),
        "oauth" => {
            Some("write `\"auth\": \"oauth\"`, or an object there with `type`, `clientId`, `clientSecret` and `scopes`")
        }
        _ => None,
    })?;
    if off(reader, &entry) {
        reader.notes.push(format!("{}: switched off in the file; skipped", entry.path()));
        return None;
    }
    if key.trim().is_empty() {
        reader.wrong(field, "the key is the server's id and name and must not be empty");
        return None;
    }
    claim(reader, field, key, &entry, taken);
    let foreign = entry.present(FOREIGN);
    if !foreign.is_empty() {
        reader.notes.push(format!("{}: {}: of no concern to a gateway; ignored", entry.path(), list(&foreign)));
    }
    let server = match kind(reader, &entry) {
        Some(kind) => {
            strays(reader, &entry, kind);
            connection::read(reader, &entry, kind, key, key)
        }
        None => None,
    };
    options(reader, &entry, server, taken)
}

/// Fields that say nothing of a server of this kind: what stands in them would be lost without a word. Empty ones are what
/// programs write.
fn strays(reader: &mut Reader<'_>, entry: &Object<'_>, kind: Kind) {
    let (fields, remedy) = match kind {
        Kind::Stdio => (
            &["headers", "auth"][..],
            "is for a server that is reached by `url`, and this one is started: remove it, or write its value in `env` or `args`",
        ),
        Kind::Sse | Kind::Http => (
            &["args", "cwd", "env"][..],
            "is for a server that is started by `command`, and this one is reached: remove it, or write its value in `headers`",
        ),
    };
    for key in entry.present(fields) {
        if let Some(field) = entry.get(key).filter(|field| !field.is_empty()) {
            reader.wrong(field, remedy);
        }
    }
    let addresses = entry.present(&["url", "serverUrl", "httpUrl"]);
    let mut fields = addresses.iter().filter_map(|key| entry.get(key));
    let first = fields.next();
    for second in
        fields.filter(|field| !field.is_empty() && first.is_some_and(|first| first.node.text != field.node.text))
    {
        reader.wrong(second, format!("another address than `{}`: remove one of the two", addresses[0]));
    }
}

fn off(reader: &mut Reader<'_>, entry: &Object<'_>) -> bool {
    let disabled = entry.get("disabled").and_then(|field| reader.flag(field));
    let enabled = entry.get("enabled").and_then(|field| reader.flag(field));
    disabled == Some(true) || enabled == Some(false)
}

/// The transport, from `type` if it is there and from the other fields if not.
fn kind(reader: &mut Reader<'_>, entry: &Object<'_>) -> Option<Kind> {
    let said = match entry.get("type") {
        None => None,
        Some(field) => {
            Some(match reader.word(field, &["stdio", "http", "sse", "streamable-http", "streamableHttp"])? {
                "stdio" => Kind::Stdio,
                "sse" => Kind::Sse,
                _ => Kind::Http,
            })
        }
    };
    let (command, url) = (entry.get("command"), url(entry));
    let (Some(stray), Some(_)) = (command, url) else {
        return said.or_else(|| guess(reader, entry, url));
    };
    reader.wrong(stray, "stands beside an address: a server is either started or reached, so remove one of the two");
    None
}

fn guess(reader: &mut Reader<'_>, entry: &Object<'_>, url: Option<&Field<'_>>) -> Option<Kind> {
    let Some(url) = url else {
        if entry.get("command").is_none() {
            reader.missing(entry, "command", "write `command` for a program to start, or `url` for a server to reach");
            return None;
        }
        return Some(Kind::Stdio);
    };
    // Whatever is wrong with it, the rest of the entry is read as well.
    let url = reader.string(url).unwrap_or_default();
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    Some(if path.ends_with("/sse") { Kind::Sse } else { Kind::Http })
}
