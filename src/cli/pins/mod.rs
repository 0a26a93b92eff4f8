//! What tools were when they were first seen, kept across restarts, and what an operator says of those that changed.

mod file;

pub(super) use self::file::File;
use super::{Failure, error::plain, print, table};
use crate::{
    config::Config,
    pin::{Change, Pin, Pins},
};
use clap::{Args, Subcommand};
use std::{convert::Infallible, env, path::Path, process::ExitCode, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

pub(super) const EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway pins                          lists tools that are not what was first seen
  tower-mcp-gateway pins accept files             takes all tools of files as they are now
  tower-mcp-gateway pins accept files read        takes one
  tower-mcp-gateway pins accept files read NOW    takes one if it still is what stands under NOW

A gateway that runs notices what was accepted at once. Under `\"pin\": \"block\"` clients see the tools again.
Exit codes: 0 done, 1 nothing has changed or it could not be done, 2 wrong command line or configuration.";

/// How often the file is looked at for what was accepted; as often as the configuration.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Args)]
pub(super) struct Command {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Take changed tools as they are now
    Accept {
        /// The name of the server
        server: String,
        /// The server's own name of the tool [default: all that have changed]
        tool: Option<String>,
        /// What stands under NOW where it is listed; nothing is done if it is something else by now
        now: Option<String>,
    },
}

/// Lists or accepts what has changed at the servers of the configuration in `config`.
pub(super) fn run(command: Command, config: &Path, json: bool) -> Result<ExitCode, Failure> {
    let file = file(config).map_err(Failure::failed)?;
    let failed = |error| Failure::failed(format!("{}: {error}", file.path().display()));
    match command.what {
        None => print(listed(&file.load().map_err(failed)?.changed(), json).as_bytes()),
        Some(What::Accept { server, tool, now }) => {
            let is_of = |one: &Change| tool.as_deref().is_none_or(|tool| tool == &*one.tool);
            let is_meant = |one: &Change| is_of(one) && now.as_ref().is_none_or(|now| *now == one.now);
            let (accepted, changed) =
                file.update(|pins| (pins.accept(&server, is_meant), pins.changed())).map_err(failed)?;
            if accepted.is_empty() {
                let other = changed.iter().find(|(name, one)| *name == server && is_of(one));
                return Err(Failure::failed(plain(&refusal(&server, tool.as_deref(), other.map(|(_, one)| one)))));
            }
            print(said(&server, &accepted, json).as_bytes())
        }
    }
}

/// Why nothing was accepted; `other` is what the tool is in place of what was meant.
fn refusal(server: &str, tool: Option<&str>, other: Option<&Change>) -> String {
    let what = match (tool, other) {
        (Some(tool), Some(Change { now, .. })) => {
            return format!(
                "the tool {tool:?} of {server:?} is something else by now ({now}): look at it again, nothing was accepted"
            );
        }
        (Some(tool), None) => format!("the tool {tool:?} of {server:?} is not among those that have changed"),
        (None, _) => format!("no tool of {server:?} has changed"),
    };
    format!("{what}: `tower-mcp-gateway pins` lists them, with the names of their servers")
}

fn said(server: &str, accepted: &[Change], json: bool) -> String {
    if json {
        return format!("{}\n", serde_json::json!({ "server": server, "accepted": accepted }));
    }
    let line =
        |Change { tool, now, .. }: &Change| format!("accepted {} of {} (now {now})\n", plain(tool), plain(server));
    accepted.iter().map(line).collect()
}

fn listed(changed: &[(String, Change)], json: bool) -> String {
    if json {
        let changed: Vec<_> = changed.iter().map(|(server, change)| object(server, change)).collect();
        return format!("{:#}\n", serde_json::json!({ "changed": changed }));
    }
    if changed.is_empty() {
        return "Every tool is what was first seen.\n".into();
    }
    let cells = |(server, change): &(String, Change)| {
        [server, &*change.tool, &*change.fields.join(", "), &change.now].map(plain).to_vec()
    };
    table::render(&["SERVER", "TOOL", "CHANGED", "NOW"], &changed.iter().map(cells).collect::<Vec<_>>())
}

fn object(server: &str, change: &Change) -> serde_json::Value {
    let Change { tool, fields, now } = change;
    serde_json::json!({ "server": server, "name": tool, "fields": fields, "now": now })
}

fn file(config: &Path) -> Result<File, String> {
    File::of(config, |variable| env::var_os(variable)).ok_or_else(|| "neither XDG_STATE_HOME nor HOME is set".into())
}

/// Gives `config`, which is read from `path`, what was first seen before, and tells where news is kept; also where no tool
/// is pinned yet, for a reload may bring servers. What cannot be read is not replaced: then tools are compared with what
/// this process sees first.
pub(super) fn recall(config: &mut Config, path: &Path) -> Option<File> {
    let is_wanted = config.servers.is_empty() || config.servers.iter().any(|server| server.pin_of() != Some(Pin::Off));
    let recalled = file(path).and_then(|file| match file.load() {
        Ok(pins) => Ok((file, pins)),
        Err(error) => Err(format!("{}: {error}", file.path().display())),
    });
    match recalled {
        Ok((file, pins)) => {
            config.pins = Some(pins);
            Some(file)
        }
        Err(reason) => {
            if is_wanted {
                config.notes.push(format!(
                    "a tool that changed before this start is not noticed, because what tools were cannot be kept ({reason})"
                ));
            }
            None
        }
    }
}

/// Keeps what is new in `pins`, and takes over what others accept.
pub(super) async fn keep(pins: &Pins, file: Option<File>) -> Infallible {
    let Some(file) = file else { return std::future::pending().await };
    let mut news = pins.news();
    // What was pinned before this began counts as well.
    news.mark_changed();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = file.stamp();
    let mut told = None;
    loop {
        tokio::select! {
            _ = news.changed() => {}
            _ = looks.tick() => if file.stamp() == seen { continue },
        }
        let (pins, own) = (pins.clone(), file.clone());
        // The lock and the disk may take their time.
        let done = tokio::task::spawn_blocking(move || own.sync(&pins)).await;
        let failure = done.ok().and_then(Result::err).map(|error| error.to_string());
        if let Some(error) = failure.as_ref().filter(|_| failure != told) {
            tracing::warn!(file = %file.path().display(), %error, "what tools are cannot be kept");
        }
        told = failure;
        seen = file.stamp();
    }
}
