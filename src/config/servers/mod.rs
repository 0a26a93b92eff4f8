use super::{
    node::Shape,
    reader::{Field, Object, Reader, list},
};
use crate::registry::{InvalidServer, Server, Sessions};
use std::collections::HashMap;

mod auth;
mod connection;
mod desktop;
mod tools;

use self::connection::Kind;

/// What is said of a server however it is written.
const OPTIONS: &[&str] =
    &["metadata", "sessions", "retry", "pin", "requestTimeout", "maxInFlight", "rate", "allow", "deny", "toolSettings"];

/// The rest of an entry of `servers`.
const ENTRY: &[&str] = &["id", "name", "transport", "connection", "tools", "status", "lastHealthCheck"];

/// What the gateway finds out by itself, and what a list pasted from elsewhere may hold.
const FOUND_OUT: &[&str] = &["tools", "status", "lastHealthCheck"];

/// What the entries so far have said.
#[derive(Default)]
struct Taken {
    /// Ids, and where.
    ids: HashMap<String, String>,
    tools: tools::Said,
    retries: tools::Retries,
}

/// The servers of both forms.
pub(super) fn read(reader: &mut Reader<'_>, object: &Object<'_>) -> Vec<Server> {
    let (mut servers, mut taken) = (Vec::new(), Taken::default());
    if let Some(field) = object.get("servers") {
        if let Some(Shape::Object(_)) = field.node.shape() {
            servers.extend(desktop::read(reader, field, &mut taken));
        } else {
            let entries = reader.list(field).unwrap_or_default();
            servers.extend(entries.iter().filter_map(|entry| self::entry(reader, entry, &mut taken)));
        }
    }
    if let Some(field) = object.get("mcpServers") {
        servers.extend(desktop::read(reader, field, &mut taken));
    }
    servers
}

/// One entry of the list.
fn entry(reader: &mut Reader<'_>, field: &Field<'_>, taken: &mut Taken) -> Option<Server> {
    let entry = reader.object(field, &[ENTRY, OPTIONS].concat(), |key| match key {
        "type" | "command" | "args" | "cwd" | "env" | "url" | "headers" => Some("write it inside `connection`"),
        "weight" => Some("write it inside `metadata`"),
        "timeout" => Some("write `requestTimeout`, in milliseconds"),
        "rename" | "description" | "hidden" => Some("write it inside `toolSettings`, under the name of the tool"),
        _ => None,
    })?;
    let found_out = entry.present(FOUND_OUT);
    if !found_out.is_empty() {
        reader.notes.push(format!("{}: the gateway finds out {} itself; ignored", entry.path(), list(&found_out)));
    }
    let id = required(reader, &entry, "id", "every server needs a unique id, such as \"search-1\"");
    let name = required(reader, &entry, "name", "servers of the same name are replicas, such as \"search\"");
    if let Some(id) = &id {
        claim(reader, entry.get("id").unwrap_or(field), id, &entry, taken);
    }
    let server = connected(reader, &entry, id.as_deref().unwrap_or("?"), name.as_deref().unwrap_or("?"));
    let server = options(reader, &entry, server, taken);
    // A server without id or name was only read for its other mistakes.
    id.and(name).and(server)
}

fn required(reader: &mut Reader<'_>, entry: &Object<'_>, key: &str, remedy: &str) -> Option<String> {
    match entry.get(key) {
        Some(field) => reader.text(field),
        None => {
            reader.missing(entry, key, remedy);
            None
        }
    }
}

/// Notes a mistake if `id` is taken.
fn claim(reader: &mut Reader<'_>, field: &Field<'_>, id: &str, entry: &Object<'_>, taken: &mut Taken) {
    if let Some(other) = taken.ids.get(id) {
        reader.wrong(field, format!("`{id}` is already the id of `{other}`: ids are unique"));
        return;
    }
    taken.ids.insert(id.to_owned(), entry.path().to_owned());
}

fn connected(reader: &mut Reader<'_>, entry: &Object<'_>, id: &str, name: &str) -> Option<Server> {
    let transport = match entry.get("transport") {
        Some(field) => Kind::read(reader, field),
        None => {
            reader.missing(entry, "transport", "write \"stdio\", \"sse\" or \"http\"");
            None
        }
    };
    let Some(field) = entry.get("connection") else {
        reader.missing(entry, "connection", "write `{ \"type\": …, \"command\": … }` or `{ \"type\": …, \"url\": … }`");
        return None;
    };
    // Which fields are known depends on the transport; without one, only what is in no transport is a mistake here.
    let connection = reader.object(field, Kind::fields(transport), |key| match (key, transport) {
        ("command" | "args" | "cwd" | "env", Some(_)) => Some("only a stdio server has one"),
        ("auth", Some(_)) => Some("a stdio server signs in nowhere: it gets what it needs in `env`"),
        ("url" | "headers", Some(_)) => Some("a stdio server has none: write `command`"),
        _ => None,
    })?;
    let transport = transport?;
    match connection.get("type") {
        None => reader.missing(&connection, "type", &format!("write \"{}\" as in `transport`", transport.word())),
        Some(field) => {
            let kind = Kind::read(reader, field)?;
            if kind != transport {
                let (kind, transport) = (kind.word(), transport.word());
                let reason = format!("is `{kind}`, but `transport` is `{transport}`: both must be the same");
                reader.wrong(field, reason);
                return None;
            }
        }
    }
    connection::read(reader, &connection, transport, id, name)
}

/// What both forms may add to a connection. Mistakes in it are noted even if `server` is none.
fn options(reader: &mut Reader<'_>, entry: &Object<'_>, server: Option<Server>, taken: &mut Taken) -> Option<Server> {
    let mut server = tools::read(reader, entry, server, &mut taken.tools);
    if let Some(field) = entry.get("sessions") {
        let sessions = match reader.word(field, &["shared", "per-client"]) {
            Some("shared") => Some(Sessions::Shared),
            Some(_) => Some(Sessions::PerClient),
            None => None,
        };
        server = server.zip(sessions).map(|(server, sessions)| server.sessions(sessions));
    }
    server = tools::resend(reader, entry, server, &mut taken.retries);
    if let Some(field) = entry.get("pin") {
        let pin = super::settings::pin(reader, field);
        server = server.zip(pin).map(|(server, pin)| server.pin(pin));
    }
    if let Some(field) = entry.get("metadata") {
        let weight = weight(reader, field);
        let metadata = match reader.json(field) {
            Some(serde_json::Value::Object(metadata)) => Some(metadata),
            _ => None,
        };
        server = server.zip(metadata).map(|(server, metadata)| server.metadata(metadata));
        server = server.zip(weight).and_then(|(server, weight)| server.weight(weight).ok());
    }
    server
}

fn weight(reader: &mut Reader<'_>, metadata: &Field<'_>) -> Option<u32> {
    // Duplicates are noted when the whole of it is read.
    let Some(Shape::Object(members)) = metadata.node.shape() else {
        reader.mistype(metadata, "an object in `{ }`");
        return None;
    };
    let Some(member) = members.into_iter().find(|member| member.key == "weight") else { return Some(1) };
    let field = Field { path: format!("{}.weight", metadata.path), node: member.value };
    let weight = reader.integer(&field, 1..=Server::MAX_WEIGHT.into(), "")?;
    weight.try_into().ok()
}

/// Notes what the constructors of [`Server`] refuse, at the field it stands in.
fn refused(reader: &mut Reader<'_>, field: &Field<'_>, result: Result<Server, InvalidServer>) -> Option<Server> {
    result.map_err(|error| reader.wrong(field, error.reason)).ok()
}
