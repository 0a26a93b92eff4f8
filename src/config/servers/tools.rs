//! What an entry says of its tools, and of how the server and they may be called.

use super::super::{
    reader::{Field, Object, Reader},
    settings::LONGEST_MS,
};
use crate::{
    Glob,
    rate::Quota,
    registry::{Resend, Server},
    toolset::{ToolSettings, Toolset},
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

const TOOL: &[&str] = &["rename", "description", "hidden", "requestTimeout", "maxInFlight", "rate", "retry"];

/// As in `limits`.
const MOST_CALLS: u64 = 1_000_000;

/// What models and the protocol take as a name of a tool ("server/tools: Tool Names").
const MAX_NAME: usize = 64;

/// The entries that said something of the tools of a server name, with what they said.
pub(super) type Said = HashMap<String, (String, Toolset, Option<Duration>)>;

/// The first entry of each server name, with what it said of `retry`.
pub(super) type Retries = HashMap<String, (String, Resend)>;

/// Reads the fields of one entry; mistakes are noted even if `server` is none.
pub(super) fn read(
    reader: &mut Reader<'_>,
    entry: &Object<'_>,
    server: Option<Server>,
    said: &mut Said,
) -> Option<Server> {
    let before = reader.mistakes.len();
    let timeout = entry.get("requestTimeout").and_then(|field| time(reader, field));
    let calls = entry.get("maxInFlight").and_then(|field| count(reader, field));
    let rate = entry.get("rate").and_then(|field| quota(reader, field));
    let toolset = toolset(reader, entry);
    let mut server = server?;
    if reader.mistakes.len() > before {
        return None;
    }
    if timeout.is_some() || !toolset.is_empty() {
        let name = server.name().to_string();
        let (path, tools, silence) =
            said.entry(name.clone()).or_insert_with(|| (entry.path().to_owned(), toolset.clone(), timeout));
        if (&*tools, *silence) != (&toolset, timeout) {
            let field = ["allow", "deny", "toolSettings", "requestTimeout"].iter().find_map(|key| entry.get(key))?;
            let reason = format!(
                "`{path}` is a replica of {name} and says something else: write it at one of the two, it holds for all"
            );
            reader.wrong(field, reason);
            return None;
        }
    }
    server = server.tools(toolset);
    if let Some(timeout) = timeout {
        server = server.request_timeout(timeout);
    }
    if let Some(calls) = calls {
        server = server.max_in_flight(calls);
    }
    if let Some(rate) = rate {
        server = server.rate(rate);
    }
    Some(server)
}

fn toolset(reader: &mut Reader<'_>, entry: &Object<'_>) -> Toolset {
    let mut toolset = Toolset::default();
    if let Some(field) = entry.get("allow") {
        toolset = toolset.allow(globs(reader, field));
    }
    if let Some(field) = entry.get("deny") {
        toolset = toolset.deny(globs(reader, field));
    }
    let Some(field) = entry.get("toolSettings") else { return toolset };
    let mut names = HashSet::new();
    for (key, field) in reader.map(field).unwrap_or_default() {
        let pattern = Glob::new(key);
        if pattern.as_str().is_empty() {
            reader.wrong(&field, "the key is the name of a tool, or a pattern such as `read_*`");
        }
        let Some(settings) = settings(reader, &field, &pattern, &mut names) else { continue };
        toolset = toolset.tool(pattern, settings);
    }
    toolset
}

fn settings(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    pattern: &Glob,
    names: &mut HashSet<String>,
) -> Option<ToolSettings> {
    let object = reader.object(field, TOOL, |key| match key {
        "timeout" => Some("write `requestTimeout`, in milliseconds"),
        "name" | "alias" => Some("write `rename`"),
        "enabled" | "disabled" => Some("write `\"hidden\": true` for a tool that shall not exist"),
        "allow" | "deny" => Some("it stands in the entry of the server, beside `toolSettings`"),
        _ => None,
    })?;
    let mut settings = ToolSettings::default();
    if let Some(field) = object.get("rename") {
        settings.rename = rename(reader, field, pattern, names);
    }
    settings.description = object.get("description").and_then(|field| reader.text(field)).map(Into::into);
    settings.hidden = object.get("hidden").and_then(|field| reader.flag(field));
    settings.request_timeout = object.get("requestTimeout").and_then(|field| time(reader, field));
    settings.max_in_flight = object.get("maxInFlight").and_then(|field| count(reader, field));
    settings.rate = object.get("rate").and_then(|field| quota(reader, field));
    settings.resend = object.get("retry").and_then(|field| retry(reader, field));
    Some(settings)
}

fn rename(reader: &mut Reader<'_>, field: &Field<'_>, pattern: &Glob, names: &mut HashSet<String>) -> Option<Box<str>> {
    let name = reader.text(field)?;
    let reason = if pattern.exact().is_none() {
        format!("`{pattern}` may match several tools, which cannot have one name: write the whole name of one")
    } else if name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        format!("must be at most {MAX_NAME} letters, digits, `_`, `-` and `.`: models take no other names")
    } else if !names.insert(name.clone()) {
        "is the new name of another tool as well: each needs its own".into()
    } else {
        return Some(name.into());
    };
    reader.wrong(field, reason);
    None
}

fn globs(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<Glob> {
    let items = reader.list(field).unwrap_or_default();
    items.iter().filter_map(|item| reader.text(item).map(Glob::new)).collect()
}

fn time(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Duration> {
    reader.integer(field, 1..=LONGEST_MS, " (milliseconds)").map(Duration::from_millis)
}

fn count(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<usize> {
    reader.integer(field, 1..=MOST_CALLS, "")?.try_into().ok()
}

fn quota(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Quota> {
    let text = reader.string(field)?;
    text.parse()
        .map_err(|_| {
            reader.wrong(
                field,
                format!(
                    "must be calls and a unit, such as \"10/s\", \"60/min\" or \"1000/h\", with at most {} calls",
                    Quota::MAX_CALLS
                ),
            )
        })
        .ok()
}

/// Reads `retry` of an entry. A call is sent again only where every entry that lists the tool allows it, so what one of them
/// said alone would have no effect.
pub(super) fn resend(
    reader: &mut Reader<'_>,
    entry: &Object<'_>,
    server: Option<Server>,
    said: &mut Retries,
) -> Option<Server> {
    let field = entry.get("retry");
    let resend = field.map_or(Some(Resend::Never), |field| retry(reader, field));
    let (server, resend) = server.zip(resend)?;
    let name = server.name().to_string();
    let (path, first) = said.entry(name.clone()).or_insert_with(|| (entry.path().to_owned(), resend));
    if *first == resend {
        return Some(server.resend(resend));
    }
    let word = if *first == Resend::Idempotent { "idempotent" } else { "never" };
    let reason = format!("`{path}` is a replica of {name} and has `{word}`: all entries of a name must have the same");
    match field {
        Some(field) => reader.wrong(field, reason),
        None => reader.missing(entry, "retry", &reason),
    }
    None
}

/// The word of `retry`, of a server or of a tool.
fn retry(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Resend> {
    Some(match reader.word(field, &["never", "idempotent"])? {
        "idempotent" => Resend::Idempotent,
        _ => Resend::Never,
    })
}
