//! How somebody signs in at a server.

use super::super::{
    node::Shape,
    reader::{Field, Reader},
};
use crate::{
    oauth::{OAuth, is_safe},
    registry::{Connection, Server},
};
use std::path::{Path, PathBuf};

const FIELDS: &[&str] = &["type", "clientId", "clientSecret", "scopes"];

/// Reads `"oauth"`, or an object that says more; mistakes are noted even if `server` is none.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>, server: Option<Server>) -> Option<Server> {
    let folder = folder(reader, field);
    let Some(Shape::Object(_)) = field.node.shape() else {
        reader.word(field, &["oauth"])?;
        return Some(server?.oauth(OAuth::new(folder?)));
    };
    let before = reader.mistakes.len();
    let object = reader.object(field, FIELDS, |key| match key {
        "token" | "bearer" => {
            Some("a token that is known is written in `headers`, such as \"Authorization\": \"Bearer ${TOKEN}\"")
        }
        "scope" => Some("write `scopes`, a list"),
        _ => None,
    })?;
    match object.get("type") {
        Some(field) => drop(reader.word(field, &["oauth"])),
        None => reader.missing(&object, "type", "write \"oauth\""),
    }
    let mut text = |key| object.get(key).and_then(|field| reader.text(field));
    let (id, secret) = (text("clientId"), text("clientSecret"));
    if let (None, Some(_), Some(field)) = (&id, &secret, object.get("clientSecret")) {
        reader.wrong(field, "is the secret of nobody: write its `clientId` as well");
    }
    let scopes = object.get("scopes").and_then(|field| reader.list(field)).unwrap_or_default();
    let scopes: Vec<_> = scopes.iter().filter_map(|field| reader.text(field)).collect();
    let server = server.filter(|_| reader.mistakes.len() == before)?;
    let mut oauth = OAuth::new(folder?).scopes(scopes);
    if let Some(id) = id {
        oauth = oauth.client_id(id);
    }
    if let Some(secret) = secret {
        oauth = oauth.client_secret(secret);
    }
    Some(server.oauth(oauth))
}

/// Notes a mistake if the token of whoever signs in could be read on its way.
pub(super) fn check(reader: &mut Reader<'_>, field: Option<&Field<'_>>, server: Option<&Server>) {
    let Some((server, field)) = server.filter(|server| server.oauth_of().is_some()).zip(field) else { return };
    if let Connection::Http { url, .. } | Connection::Sse { url, .. } = server.connection()
        && !is_safe(url)
    {
        reader.wrong(
            field,
            "must begin with https://: under \"auth\": \"oauth\" a token is sent there, and over http:// only a loopback \
             address may get one",
        );
    }
}

/// Where tokens are kept, by the XDG base directory rules: a relative path counts as none.
fn folder(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<PathBuf> {
    let absolute = |name: &str| reader.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let Some(base) = base else {
        reader.wrong(field, "tokens have nowhere to be kept: set XDG_STATE_HOME or HOME to the path of a folder");
        return None;
    };
    Some(base.join(Path::new("tower-mcp-gateway/tokens")))
}
