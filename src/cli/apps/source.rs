use super::{App, Document, jsonc::same};
use crate::config::{Config, required};
use jsonc_parser::cst::CstInputValue;
use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The largest file that is read: Claude Code keeps its history in the same one, which grows to some MB.
const MAX_BYTES: u64 = 64 << 20;

/// A server that a program knows, in the words of this gateway's configuration.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) app: App,
    pub(in crate::cli) file: PathBuf,
    pub(in crate::cli) name: String,
    pub(in crate::cli) entry: CstInputValue,
    /// Variables it needs that are not set here; it is written switched off then, so that the others can be served.
    pub(in crate::cli) unset: Vec<String>,
}

/// Where in a file servers stand.
struct Place {
    file: PathBuf,
    path: Vec<String>,
}

/// Every server that `apps` know on this machine and in the project at `cwd`, each once, and in words what could not be
/// taken.
pub(in crate::cli) fn find(
    apps: &[App],
    cwd: &Path,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> (Vec<Found>, Vec<String>) {
    let (mut found, mut problems) = (Vec::<Found>::new(), Vec::new());
    for app in apps {
        for place in places(*app, cwd, env) {
            let entries = match read(&place) {
                Ok(entries) => entries,
                Err(reason) => {
                    problems.push(format!("{}: {reason}", place.file.display()));
                    continue;
                }
            };
            for (name, mut entry) in entries {
                translate(*app, cwd, env, &mut entry);
                let unset = match usable(&name, &entry, env) {
                    Ok(unset) => unset,
                    Err(reason) => {
                        problems.push(format!("{} in {} is left out: {reason}", name, place.file.display()));
                        continue;
                    }
                };
                // A project's list often repeats the user's.
                if !found.iter().any(|other| other.name == name && same(&other.entry, &entry)) {
                    found.push(Found { app: *app, file: place.file.clone(), name, entry, unset });
                }
            }
        }
    }
    (found, problems)
}

fn places(app: App, cwd: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Vec<Place> {
    let key = || vec![app.key().to_owned()];
    let mut places = Vec::new();
    if let Some(file) = app.user_file(env) {
        places.push(Place { file: file.clone(), path: key() });
        match app {
            // Servers of one project that are nobody else's.
            App::ClaudeCode => {
                let path = vec!["projects".into(), cwd.display().to_string(), app.key().into()];
                places.push(Place { file, path });
            }
            // Where they stood before they got a file of their own.
            App::VsCode => {
                places.push(Place {
                    file: file.with_file_name("settings.json"),
                    path: vec!["mcp".into(), "servers".into()],
                });
            }
            _ => {}
        }
    }
    places.extend(app.project_file().map(|file| Place { file: cwd.join(file), path: key() }));
    places
}

/// The entries at a place; none where there is no file.
fn read(place: &Place) -> Result<Vec<(String, CstInputValue)>, String> {
    let mut text = String::new();
    let read = File::open(&place.file).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
        Ok(_) => {}
    }
    let document = Document::parse(&text).map_err(|unusable| unusable.to_string())?;
    let path: Vec<_> = place.path.iter().map(String::as_str).collect();
    Ok(document.entries(&path))
}

/// Turns what the program puts into strings into what this gateway does.
fn translate(app: App, cwd: &Path, env: &dyn Fn(&str) -> Option<OsString>, value: &mut CstInputValue) {
    match value {
        CstInputValue::String(text) => *text = string(app, cwd, env, text),
        CstInputValue::Array(items) => items.iter_mut().for_each(|item| translate(app, cwd, env, item)),
        CstInputValue::Object(members) => {
            members.iter_mut().for_each(|(_, member)| translate(app, cwd, env, member));
        }
        _ => {}
    }
}

fn string(app: App, cwd: &Path, env: &dyn Fn(&str) -> Option<OsString>, text: &str) -> String {
    if app == App::ClaudeDesktop {
        // It takes every string as it stands.
        return text.replace("${", "$${");
    }
    let mut text = text.replace("${workspaceFolder}", &cwd.display().to_string());
    if let Some(home) = env("HOME") {
        text = text.replace("${userHome}", &home.to_string_lossy());
    }
    // VS Code asks a person for these; a gateway has none to ask.
    let (mut out, mut rest) = (String::new(), text.as_str());
    while let Some((before, after)) = rest.split_once("${input:") {
        let Some((id, behind)) = after.split_once('}') else { break };
        let variable = id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        out.extend(before.chars().chain("${".chars()).chain(variable).chain(['}']));
        rest = behind;
    }
    out + rest
}

/// Whether the configuration takes the entry, whatever its variables stand for: the variables that are not set, or the
/// reason why not.
fn usable(name: &str, entry: &CstInputValue, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Vec<String>, String> {
    if is_gateway(name, entry) {
        return Err("it is this gateway, which would call itself".into());
    }
    if ["url", "serverUrl", "httpUrl"].into_iter().filter_map(|key| text(entry, key)).any(is_own_address) {
        let port = Config::default().port;
        return Err(format!(
            "this gateway serves at port {port}, and would call itself: add it if another program is there"
        ));
    }
    let document = Document::parse("").map_err(|unusable| unusable.to_string())?;
    document.set("mcpServers", name, entry.clone()).map_err(|unusable| unusable.to_string())?;
    let mut unset = Vec::new();
    require(entry, &mut |variable| {
        if env(variable).is_none() && !unset.iter().any(|known| known == variable) {
            unset.push(variable.to_owned());
        }
    });
    let parsed = |value: &str| {
        let env = |variable: &str| match unset.iter().any(|known| known == variable) {
            true => Some(value.to_owned()),
            false => env(variable).and_then(|value| value.into_string().ok()),
        };
        Config::parse(&document.text(), env)
    };
    // A variable may be a word of an address, or all of one.
    match parsed("localhost").or_else(|error| parsed("http://localhost").map_err(|_| error)) {
        Ok(_) => Ok(unset),
        Err(error) => {
            let reasons: Vec<_> =
                error.all().iter().map(|mistake| said(name, &mistake.field, &mistake.reason)).collect();
            Err(reasons.join("; "))
        }
    }
}

/// A mistake of the entry `name`, with its place in the entry.
fn said(name: &str, field: &str, reason: &str) -> String {
    let within = field.strip_prefix("mcpServers").unwrap_or(field);
    let quoted = format!("[{name:?}]");
    let within =
        within.strip_prefix(&quoted).or_else(|| within.strip_prefix('.')?.strip_prefix(name)).unwrap_or(within);
    match within.trim_start_matches('.') {
        "" => reason.to_owned(),
        within => format!("`{within}`: {reason}"),
    }
}

/// Names the variables that an entry cannot do without.
fn require(value: &CstInputValue, tell: &mut dyn FnMut(&str)) {
    match value {
        CstInputValue::String(text) => required(text).into_iter().for_each(tell),
        CstInputValue::Array(items) => items.iter().for_each(|item| require(item, tell)),
        CstInputValue::Object(members) => members.iter().for_each(|(_, member)| require(member, tell)),
        _ => {}
    }
}

/// A text of an entry.
fn text<'a>(entry: &'a CstInputValue, key: &str) -> Option<&'a str> {
    let CstInputValue::Object(members) = entry else { return None };
    members.iter().find_map(|(known, value)| match value {
        CstInputValue::String(text) if known == key => Some(text.as_str()),
        _ => None,
    })
}

fn is_gateway(name: &str, entry: &CstInputValue) -> bool {
    let command = text(entry, "command").and_then(|command| Path::new(command).file_name());
    name == env!("CARGO_PKG_NAME") || command.is_some_and(|command| command == env!("CARGO_PKG_NAME"))
}

/// Whether an address is the one that `connect` writes unless the configuration says otherwise.
fn is_own_address(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    is_loopback && url.port_u16() == Some(Config::default().port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_entry_cannot_be_taken_is_said_of_its_fields() {
        let member = |key: &str, value: &str| (key.to_owned(), CstInputValue::String(value.to_owned()));
        let entry = CstInputValue::Object(vec![member("comand", "x"), member("url", "nowhere")]);
        for name in ["files", "my.files"] {
            let reason = usable(name, &entry, &|_| None).unwrap_err();
            assert!(
                reason.starts_with("`comand`: did you mean `command`?; `url`: must begin with http://"),
                "{reason}"
            );
        }
        assert!(usable("", &entry, &|_| None).unwrap_err().contains("must not be empty"));
    }
}
