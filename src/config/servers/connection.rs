use super::{
    super::reader::{Field, Object, Reader},
    auth, refused,
};
use crate::{header::COMPUTED, registry::Server};
use http::{HeaderName, header::AUTHORIZATION};

/// The transports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Stdio,
    Sse,
    Http,
}

impl Kind {
    /// The transport a field names.
    pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self> {
        Some(match reader.word(field, &["stdio", "sse", "http"])? {
            "stdio" => Self::Stdio,
            "sse" => Self::Sse,
            _ => Self::Http,
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Sse => "sse",
            Self::Http => "http",
        }
    }

    /// The fields of a connection; of any where the kind is not known.
    pub(super) fn fields(kind: Option<Self>) -> &'static [&'static str] {
        match kind {
            None => &["type", "command", "args", "cwd", "env", "url", "headers", "auth"],
            Some(Self::Stdio) => &["type", "command", "args", "cwd", "env"],
            Some(Self::Sse | Self::Http) => &["type", "url", "headers", "auth"],
        }
    }
}

/// The server that `object` says how to reach.
pub(super) fn read(reader: &mut Reader<'_>, object: &Object<'_>, kind: Kind, id: &str, name: &str) -> Option<Server> {
    match kind {
        Kind::Stdio => child(reader, object, id, name),
        Kind::Sse | Kind::Http => web(reader, object, kind, id, name),
    }
}

fn child(reader: &mut Reader<'_>, object: &Object<'_>, id: &str, name: &str) -> Option<Server> {
    let before = reader.mistakes.len();
    let command = match object.get("command") {
        Some(field) => reader.text(field),
        None => {
            reader.missing(object, "command", "write the program to start");
            None
        }
    };
    let mut server = Server::stdio(id, name, command.unwrap_or_default());
    if let Some(field) = object.get("args") {
        for field in reader.list(field).unwrap_or_default() {
            server = server.arg(reader.string(&field).unwrap_or_default());
        }
    }
    if let Some(dir) = object.get("cwd").and_then(|field| reader.text(field)) {
        server = server.cwd(dir);
    }
    if let Some(field) = object.get("env") {
        for (key, field) in reader.map(field).unwrap_or_default() {
            if key.is_empty() || key.contains(['=', '\0']) {
                reader.wrong(&field, "no variable can have this name");
            }
            server = server.env(key, reader.string(&field).unwrap_or_default());
        }
    }
    (reader.mistakes.len() == before).then_some(server)
}

fn web(reader: &mut Reader<'_>, object: &Object<'_>, kind: Kind, id: &str, name: &str) -> Option<Server> {
    let before = reader.mistakes.len();
    let mut server = match url(object) {
        Some(field) => reader.text(field).and_then(|url| {
            let server = if kind == Kind::Sse { Server::sse(id, name, &url) } else { Server::http(id, name, &url) };
            refused(reader, field, server)
        }),
        None => {
            reader.missing(object, "url", "write the server's address, such as \"http://localhost:3510\"");
            None
        }
    };
    if let Some(field) = object.get("headers") {
        for (key, field) in reader.map(field).unwrap_or_default() {
            let Some(value) = reader.string(&field) else { continue };
            // Without a server there is still a name and a value to check.
            let target = server.take().unwrap_or_else(|| Server::stdio(id, name, "?"));
            server = refused(reader, &field, target.header(&key, &value));
            note_if_ignored(reader, &field, &key, object.get("auth").is_some());
        }
    }
    if let Some(field) = object.get("auth") {
        server = auth::read(reader, field, server);
        auth::check(reader, url(object), server.as_ref());
    }
    server.filter(|_| reader.mistakes.len() == before)
}

/// Says of a header that it will not be sent, where another stands in its place.
fn note_if_ignored(reader: &mut Reader<'_>, field: &Field<'_>, name: &str, signs_in: bool) {
    let why = match HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) if COMPUTED.contains(&name) => "the gateway writes this header itself",
        Ok(AUTHORIZATION) if signs_in => "`auth` says whose token is sent",
        _ => return,
    };
    reader.notes.push(format!("{}: {why}; ignored", field.path));
}

/// The address under any of the names that programs give it.
pub(super) fn url<'o, 'a>(object: &'o Object<'a>) -> Option<&'o Field<'a>> {
    ["url", "serverUrl", "httpUrl"].iter().find_map(|key| object.get(key))
}
