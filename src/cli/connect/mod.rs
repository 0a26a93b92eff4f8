//! A client is told of the gateway in its own file, and made to forget it.

mod file;
mod way;

use self::file::{Changed, Kept};
use super::{
    apps::{App, Document, Way},
    args::Common,
    error::Failure,
    print,
};
use crate::{auth::AuthLayer, config::Config};
use clap::Args;
use jsonc_parser::cst::CstInputValue;
use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(super) const CONNECT_EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway connect cursor
  tower-mcp-gateway connect claude-desktop --print   only show what would be written, and where
  tower-mcp-gateway connect vscode --project         in .vscode/mcp.json of this folder
  tower-mcp-gateway connect claude-code --url https://mcp.example.com/mcp

Claude Desktop launches a gateway of its own; the others get the address of the one that runs, or launch one too with \
--stdio. Only this entry is written: comments, order and everything else in the file stay. What was there before is kept \
beside it with the ending .before-tower-mcp-gateway, and `disconnect` puts it back. Most clients read the file at start.
Exit codes: 0 written, or nothing to do; 1 the file cannot be read or written; 2 wrong command line or configuration.";

pub(super) const DISCONNECT_EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway disconnect cursor
  tower-mcp-gateway disconnect vscode --project

If the file is as `connect` left it, it becomes what it was before, byte for byte; otherwise only the entry is taken out.
Exit codes: 0 written, or nothing to do; 1 the file cannot be read or written; 2 wrong command line.";

/// Which file of which client.
#[derive(Clone, Debug, Args)]
struct Place {
    /// The client
    client: App,

    /// The name of the entry
    #[arg(long, value_name = "NAME", default_value = env!("CARGO_PKG_NAME"))]
    name: String,

    /// The file of the project in this folder, in place of the user's
    #[arg(long)]
    project: bool,

    /// Only show what would be done
    #[arg(long)]
    print: bool,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Connect {
    #[command(flatten)]
    place: Place,

    /// Let the client launch a gateway of its own, also if it could connect to one that runs
    #[arg(long, conflicts_with = "url")]
    stdio: bool,

    /// The address of the gateway [default: the one of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// A header for the client to send, such as 'Authorization: Bearer …'; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = super::client::header)]
    headers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Disconnect {
    #[command(flatten)]
    place: Place,
}

/// Writes the entry.
pub(super) fn connect(connect: &Connect, common: &Common) -> Result<ExitCode, Failure> {
    let place = &connect.place;
    let way = way::find(connect, common)?;
    let path = place.file()?;
    let kept = Kept::read(&path).map_err(Failure::failed)?;
    let document = kept.document().map_err(Failure::failed)?;
    let entry = with_env(place.client.entry(&way), document.get(place.client.key(), &place.name), &way);
    let others = document.entries(&[place.client.key()]);
    if place.print {
        let only = Document::parse("").expect("the empty text is a document");
        only.set(place.client.key(), &place.name, entry).map_err(|unusable| Failure::failed(unusable.to_string()))?;
        if common.json {
            let text: serde_json::Value = serde_json::from_str(&only.text()).unwrap_or_default();
            return shown(place, &path, "entry", &text[place.client.key()][&place.name]);
        }
        // Nobody can be told that stderr is closed.
        let _ = writeln!(std::io::stderr(), "{}into {}:", needs(&way, place, common), path.display());
        return print(only.text().as_bytes());
    }
    let changed = kept.connect(place.client.key(), &place.name, entry).map_err(Failure::failed)?;
    let mut said = match &changed {
        Changed::Nothing => format!("{} is connected already: {}\n", place.client.name(), path.display()),
        Changed::Written { backup: None } => format!("{} is connected: {}\n", place.client.name(), path.display()),
        Changed::Written { backup: Some(backup) } => format!(
            "{} is connected: {}\nwhat it was before is kept in {}\n",
            place.client.name(),
            path.display(),
            backup.display()
        ),
        Changed::Removed => unreachable!("nothing is removed by connecting"),
    };
    if !matches!(changed, Changed::Nothing) {
        said += &hints(&way, place, &others.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), common);
    }
    report(place, &path, &changed, said, common.json)
}

/// Takes the entry out.
pub(super) fn disconnect(disconnect: &Disconnect, common: &Common) -> Result<ExitCode, Failure> {
    let place = &disconnect.place;
    let path = place.file()?;
    let kept = Kept::read(&path).map_err(Failure::failed)?;
    let present = kept.document().map_err(Failure::failed)?.get(place.client.key(), &place.name).is_some();
    if place.print {
        if common.json {
            return shown(place, &path, "present", &present.into());
        }
        let will = if present { "would be taken out of" } else { "is not in" };
        return print(format!("`{}` {will} {}\n", place.name, path.display()).as_bytes());
    }
    let changed = kept.disconnect(place.client.key(), &place.name).map_err(Failure::failed)?;
    let said = match &changed {
        Changed::Nothing => format!("{} is not connected: {}\n", place.client.name(), path.display()),
        Changed::Written { .. } => format!("{} is not connected any more: {}\n", place.client.name(), path.display()),
        Changed::Removed => format!(
            "{} is not connected any more: {}, which held nothing else, is gone\n",
            place.client.name(),
            path.display()
        ),
    };
    report(place, &path, &changed, said, common.json)
}

/// What would be done, for programs.
fn shown(place: &Place, path: &Path, what: &str, value: &serde_json::Value) -> Result<ExitCode, Failure> {
    let mut object = serde_json::json!({ "client": place.client.word(), "file": path, "name": place.name });
    object[what] = value.clone();
    print(format!("{object}\n").as_bytes())
}

fn report(place: &Place, path: &Path, changed: &Changed, said: String, json: bool) -> Result<ExitCode, Failure> {
    if !json {
        return print(said.as_bytes());
    }
    let backup = match changed {
        Changed::Written { backup } => backup.as_ref(),
        _ => None,
    };
    let written = !matches!(changed, Changed::Nothing);
    let report = serde_json::json!({
        "client": place.client.word(), "file": path, "name": place.name, "changed": written, "backup": backup,
    });
    print(format!("{report}\n").as_bytes())
}

/// The entry with the `env` of the one that it replaces: whatever variables the gateway needs stand there and nowhere else.
fn with_env(mut entry: CstInputValue, before: Option<CstInputValue>, way: &Way) -> CstInputValue {
    if let (Way::Launch { .. }, CstInputValue::Object(members), Some(CstInputValue::Object(before))) =
        (way, &mut entry, before)
    {
        members.extend(before.into_iter().filter(|(key, _)| key == "env"));
    }
    entry
}

/// Which variables a gateway that the client launches would miss; nothing if none.
fn needs(way: &Way, place: &Place, common: &Common) -> String {
    let file = matches!(way, Way::Launch { .. }).then(|| super::file(common).ok()).flatten();
    let variables = file.map(|file| way::variables(&file)).unwrap_or_default();
    if variables.is_empty() {
        return String::new();
    }
    let (needed, client) = (variables.join(", "), place.client.name());
    format!("the gateway needs {needed}: start {client} with these variables, or write them into `env` of this entry\n")
}

/// What else there is to know after the entry was written.
fn hints(way: &Way, place: &Place, others: &[String], common: &Common) -> String {
    let mut said = String::new();
    if let Way::Url { url, .. } = way {
        let _ = writeln!(said, "it connects to {url}: `tower-mcp-gateway` must run");
    }
    said += &needs(way, place, common);
    let _ = writeln!(said, "restart {} if it runs", place.client.name());
    let config = super::file(common).ok().and_then(|file| Config::from_file(file).ok());
    let asks = config.as_ref().is_some_and(|config| config.auth.as_ref().is_some_and(AuthLayer::is_required));
    if asks && matches!(way, Way::Url { headers, .. } if headers.is_empty()) {
        let _ = writeln!(
            said,
            "this gateway lets in only whom it knows: add --header 'Authorization: Bearer …' (`tower-mcp-gateway token` \
             makes a token)"
        );
    }
    let served = config.map(|config| config.servers).unwrap_or_default();
    let twice: Vec<_> =
        served.iter().map(|server| server.id().as_str()).filter(|id| others.iter().any(|other| other == id)).collect();
    if !twice.is_empty() {
        let _ =
            writeln!(said, "it has these servers twice now, by itself and through the gateway: {}", twice.join(", "));
    }
    said
}

impl Place {
    fn file(&self) -> Result<PathBuf, Failure> {
        if self.project {
            let file = self.client.project_file();
            return file.map(PathBuf::from).ok_or_else(|| {
                Failure::usage(format!("--project: {} has no file of a project's servers", self.client.name()))
            });
        }
        let file = self.client.user_file(&|variable| std::env::var_os(variable));
        file.ok_or_else(|| Failure::usage("HOME is not set, so the client's file cannot be found"))
    }
}
