//! A configuration to begin with.

mod choice;

use super::{
    apps::{self, App, Document, Found},
    args::Common,
    error::Failure,
    find, print,
    replace::{replace, target},
};
use clap::Args;
use jsonc_parser::cst::CstInputValue;
use std::{
    fmt::Write as _,
    fs::{self, Permissions},
    io::{self, IsTerminal},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway init                        tower-mcp-gateway.json here, without servers
  tower-mcp-gateway init --import               with those that your clients know, asking which
  tower-mcp-gateway init --import --yes --user  all of them, into your config folder
  tower-mcp-gateway init --from cursor --config mcp.json

It is written with its JSON Schema beside it. What VS Code asks a person for (`${input:…}`) becomes an environment \
variable; a server whose variables are not set is written switched off. The clients' own files stay as they are.
Exit codes: 0 written; 1 there is such a file, or it cannot be written; 2 wrong command line.";

const TEMPLATE: &str = include_str!("template.jsonc");

/// What a file that was replaced is called.
const ENDING: &str = ".before-init";

const SCHEMA: &str = "tower-mcp-gateway.schema.json";

#[derive(Clone, Debug, Args)]
pub(super) struct Init {
    /// Take over the servers of Claude Desktop, Claude Code, Cursor, VS Code and Windsurf on this machine
    #[arg(long)]
    import: bool,

    /// Only those of this client; may be given several times
    #[arg(long, value_name = "CLIENT")]
    from: Vec<App>,

    /// All that are found, without asking
    #[arg(short, long)]
    yes: bool,

    /// Write into the user's config folder instead of this one
    #[arg(long, conflicts_with = "config")]
    user: bool,

    /// Replace a file that is there; it is kept beside the new one with the ending .before-init
    #[arg(long)]
    force: bool,
}

/// Writes a configuration, with the servers that were chosen.
pub(super) fn run(init: &Init, common: &Common) -> Result<ExitCode, Failure> {
    let file = place(init, common)?;
    if file.exists() && !init.force {
        return Err(Failure::failed(format!(
            "{} is there already: --force replaces it, --config writes another file",
            file.display()
        )));
    }
    let (servers, mut told) = if init.import || !init.from.is_empty() { import(init)? } else { Default::default() };
    let document = Document::parse(TEMPLATE).map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let mut ids = Vec::new();
    for found in servers {
        let id = free(&found, &ids);
        if !found.unset.is_empty() {
            told.push(format!(
                "{id} is switched off until {} is set: then remove its `disabled`",
                found.unset.join(" and ")
            ));
        }
        let entry = entry(found);
        document.set("mcpServers", &id, entry).map_err(|unusable| Failure::failed(unusable.to_string()))?;
        ids.push(id);
    }
    if let Some(backup) = keep(&file)? {
        told.push(format!("what {} was is in {}", file.display(), backup.display()));
    }
    write(&file, document.text())?;
    write(&file.with_file_name(SCHEMA), crate::config::SCHEMA)?;
    if common.json {
        let report = serde_json::json!({ "file": file, "servers": ids, "notes": told });
        return print(format!("{report}\n").as_bytes());
    }
    print(summary(&file, &ids, &told, common).as_bytes())
}

fn summary(file: &Path, ids: &[String], told: &[String], common: &Common) -> String {
    let mut said = String::new();
    for note in told {
        let _ = writeln!(said, "note: {}", note.replace(char::is_control, " "));
    }
    let _ = writeln!(
        said,
        "{} is written{}",
        file.display(),
        match ids {
            [] => ", without servers: add yours to `mcpServers`".to_owned(),
            ids => format!(" with {}", ids.join(", ")),
        }
    );
    let _ = writeln!(said, "next: `{}`, then `{}`", common.line("check"), common.line(""));
    said
}

fn place(init: &Init, common: &Common) -> Result<PathBuf, Failure> {
    if let Some(file) = &common.config {
        return Ok(file.clone());
    }
    if !init.user {
        return Ok(PathBuf::from(find::NAME));
    }
    let folder = find::folder(|variable| std::env::var_os(variable));
    let folder = folder.ok_or_else(|| Failure::usage("--user: neither XDG_CONFIG_HOME nor HOME is set"))?;
    fs::create_dir_all(&folder).map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    Ok(folder.join(find::NAME))
}

/// The servers to take over, and what is to be told of it.
fn import(init: &Init) -> Result<(Vec<Found>, Vec<String>), Failure> {
    let apps = if init.from.is_empty() { &App::ALL[..] } else { &init.from };
    let cwd = std::env::current_dir().map_err(|error| Failure::failed(format!("this folder: {error}")))?;
    let (found, mut told) = apps::find(apps, &cwd, &|variable| std::env::var_os(variable));
    if found.is_empty() {
        let names: Vec<_> = apps.iter().map(|app| app.name()).collect();
        told.push(format!("no servers of {} were found on this machine", names.join(", ")));
        return Ok((found, told));
    }
    if init.yes || !init.from.is_empty() {
        return Ok((found, told));
    }
    if !io::stdin().is_terminal() {
        let reason = "which servers shall be taken over? Nobody is there to ask: say --yes for all, or --from CLIENT";
        return Err(Failure::usage(reason));
    }
    let chosen = choice::ask(&found, &mut io::stdin().lock(), &mut io::stderr());
    let chosen = chosen.map_err(|error| Failure::failed(error.to_string()))?;
    let chosen = chosen.ok_or_else(|| Failure::failed("nothing is written"))?;
    let kept = found.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, found)| found);
    Ok((kept.collect(), told))
}

/// What is written of a server: one that cannot be started yet would stop all the others.
fn entry(found: Found) -> CstInputValue {
    match found.entry {
        CstInputValue::Object(mut members) if !found.unset.is_empty() => {
            members.retain(|(key, _)| key != "disabled");
            members.push(("disabled".into(), CstInputValue::Bool(true)));
            CstInputValue::Object(members)
        }
        entry => entry,
    }
}

/// Its name, with its client's behind it where another server has that.
fn free(found: &Found, taken: &[String]) -> String {
    let name = found.name.clone();
    let numbered = (2..).map(|number| format!("{name}-{}-{number}", found.app.word()));
    let mut names = [name.clone(), format!("{name}-{}", found.app.word())].into_iter().chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or(name)
}

/// Writes a file that only its owner may read: servers' entries hold keys.
fn write(file: &Path, text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let written = replace(&target(file), text.as_ref(), Permissions::from_mode(0o600));
    written.map_err(|error| Failure::failed(format!("{} cannot be written: {error}", file.display())))
}

/// Keeps what `--force` is about to replace; nothing else has it.
fn keep(file: &Path) -> Result<Option<PathBuf>, Failure> {
    let named = |number: usize| {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(ENDING);
        if number > 1 {
            name.push(format!("-{number}"));
        }
        file.with_file_name(name)
    };
    let free = (1..).map(named).find(|backup| !backup.exists());
    match (fs::read(file), free) {
        (Ok(text), Some(backup)) => write(&backup, &text).map(|()| Some(backup)),
        (Err(error), _) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::failed(format!("{} cannot be kept: {error}", file.display())))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_template_is_a_configuration_that_says_what_the_defaults_are() {
        let (config, defaults) = (Config::parse(TEMPLATE, |_| None).unwrap(), Config::default());
        assert_eq!(config.fixed_differences(&defaults), Vec::<&str>::new());
        assert!(TEMPLATE.contains(&format!("\"$schema\": \"./{SCHEMA}\"")));
    }
}
