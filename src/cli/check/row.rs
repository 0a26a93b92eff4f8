use super::{super::error::plain, advice::remedy};
use crate::registry::{Connection, Entry, Status};
use http::{HeaderMap, Uri};
use serde::Serialize;
use std::time::Duration;

/// What is told of one server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) id: String,
    name: String,
    transport: &'static str,
    ok: bool,
    status: Status,
    /// The revision it speaks, once it has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<usize>,
    pub(super) target: String,
    #[serde(flatten)]
    pub(super) problem: Option<Problem>,
}

/// What is wrong with a server, and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "error")]
    pub(super) what: String,
    pub(super) remedy: String,
}

/// Whether what has become of a server is known: it is well and listed, or it is not well.
pub(in crate::cli) fn is_known(entry: &Entry) -> bool {
    match entry.status {
        Status::Registered | Status::Connecting => false,
        Status::Connected => entry.listing.is_some() || entry.error.is_some(),
        Status::Error | Status::Stopped => true,
    }
}

impl Row {
    /// What is told of `entry`; `again` is the command line by which it would be told once more.
    pub(super) fn new(entry: &Entry, connection: Option<&Connection>, patience: Duration, again: &str) -> Self {
        let silent = || format!("no answer within {} s", patience.as_secs());
        let what = match (&entry.error, is_known(entry)) {
            (Some(error), _) => Some(plain(error)),
            (None, false) => Some(silent()),
            (None, true) => unlisted(entry),
        };
        let problem = what.map(|what| Problem { remedy: remedy(&what, connection, again), what });
        let listing = entry.listing.as_ref();
        Self {
            id: entry.id.to_string(),
            name: entry.name.to_string(),
            transport: entry.transport,
            ok: problem.is_none(),
            status: entry.status,
            revision: listing.and_then(|listing| listing.revision).map(|revision| revision.to_string()),
            latency_ms: entry.last_health_check.as_ref().map(|check| check.latency.as_millis()),
            tools: listing.map(|_| entry.tools().len()),
            target: connection.map(target).unwrap_or_default(),
            problem,
        }
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        vec![
            self.id.clone(),
            self.name.clone(),
            self.transport.to_owned(),
            self.revision.clone().unwrap_or_else(dash),
            self.status.to_string(),
            self.latency_ms.map_or_else(dash, |latency| format!("{latency} ms")),
            self.tools.map_or_else(dash, |tools| tools.to_string()),
        ]
    }
}

/// The lists that a server which answers could not be asked for.
fn unlisted(entry: &Entry) -> Option<String> {
    let stale = &entry.listing.as_ref()?.stale;
    let methods: Vec<_> = stale.iter().map(|kind| kind.method().as_str().to_owned()).collect();
    (!methods.is_empty()).then(|| format!("it answers, but not {}", methods.join(", ")))
}

/// Where a server is, without what may be secret: of arguments, variables and headers only the names.
fn target(connection: &Connection) -> String {
    match connection {
        Connection::Stdio { command, args, cwd, env } => {
            let args: String = args.iter().map(|arg| format!(" {}", argument(arg))).collect();
            let cwd = cwd.as_ref().map(|cwd| format!(" in {}", cwd.display())).unwrap_or_default();
            format!("{command}{args}{cwd}{}", masked(env.keys().map(String::as_str), "=***"))
        }
        Connection::Sse { url, headers } | Connection::Http { url, headers } => {
            format!("{}{}", place(url), masked(names(headers), ": ***"))
        }
    }
}

fn names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.keys().map(http::HeaderName::as_str)
}

fn masked<'a>(names: impl Iterator<Item = &'a str>, mask: &str) -> String {
    let names: Vec<_> = names.map(|name| format!("{name}{mask}")).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

/// An option's name, and whatever can hardly be a secret: a short word of letters, a package, a path.
fn argument(arg: &str) -> &str {
    match arg.split_once('=') {
        Some((option, _)) if option.starts_with('-') => option,
        _ if arg.starts_with('-') => arg,
        _ if arg.starts_with(['@', '/', '.', '~']) && !arg.contains(['?', '=']) => arg,
        _ => "***",
    }
}

/// An address without its user and query. Some services put the secret into the path, where it stands out by its length.
fn place(url: &Uri) -> String {
    const LONGEST_WORD: usize = 20;
    let host = url.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let words = url.path().split('/').map(|word| if word.len() > LONGEST_WORD { "***" } else { word });
    format!(
        "{}://{}{}",
        url.scheme_str().unwrap_or_default(),
        host.unwrap_or_default(),
        words.collect::<Vec<_>>().join("/")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Server;

    #[test]
    fn what_may_be_secret_is_masked() {
        let child =
            Server::stdio("a", "b", "npx").arg("-y").arg("@scope/package").arg("--token=hunter2").arg("hunter2");
        let child = child.env("API_KEY", "hunter2").cwd("/srv");
        assert_eq!(target(child.connection()), "npx -y @scope/package --token *** in /srv (API_KEY=***)");
        let url = "https://u:hunter2@mcp.example.com/s/hunter2hunter2hunter2hunter2/mcp?k=hunter2";
        let server = Server::http("a", "b", url).unwrap().header("Authorization", "Bearer hunter2").unwrap();
        assert_eq!(target(server.connection()), "https://mcp.example.com/s/***/mcp (authorization: ***)");
    }
}
