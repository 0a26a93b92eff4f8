//! What an operator wants to know before a gateway goes into service.

mod advice;
mod row;

use self::row::Row;
pub(super) use self::row::is_known;
use super::{
    args::Common,
    client,
    error::{Failure, plain},
    print, table,
};
use crate::{
    Gateway,
    config::Config,
    registry::{Entry, Registry},
};
use clap::Args;
use std::{collections::HashMap, fmt::Write, process::ExitCode, time::Duration};

pub(super) const EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway check
  tower-mcp-gateway check --config mcp.json --timeout 10
  tower-mcp-gateway check --json | jq '.servers[] | select(.ok | not)'

Each server is contacted once, as `serve` would. LATENCY is the time to its first answer, the start of a child process \
included. What may be secret is never printed: of arguments, variables and headers only the names.
Exit codes: 0 every server is well, 1 at least one is not, 2 wrong command line or configuration.";

/// The most that `--timeout` may be: an hour.
const LONGEST: u64 = 3600;

#[derive(Clone, Debug, Args)]
pub(super) struct Check {
    /// How long to wait for the servers [default: `startTimeout` of the configuration]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
    timeout: Option<u64>,
}

/// Contacts every server of `config` and prints how each is.
pub(super) async fn run(check: Check, config: Config, common: &Common) -> Result<ExitCode, Failure> {
    let patience = check.timeout.map_or(config.start_timeout, Duration::from_secs);
    let mut notes = config.notes.clone();
    let connections: HashMap<_, _> =
        config.servers.iter().map(|server| (server.id().clone(), server.connection().clone())).collect();
    let (gateway, driver) =
        Gateway::from_config(client::hasty(config)).map_err(|error| Failure::usage(error.to_string()))?;
    tokio::spawn(driver);
    // Whoever is not there by then has not answered.
    let _ = tokio::time::timeout(patience, settled(gateway.registry())).await;
    let entries = gateway.registry().list();
    let again = common.line("check");
    let row = |entry: &Entry| Row::new(entry, connections.get(&entry.id), patience, &again);
    let rows: Vec<_> = entries.iter().map(row).collect();
    let pins = common.line("pins");
    notes.extend(entries.iter().flat_map(|entry| changes(entry, &pins)));
    gateway.drain().await;
    let well = rows.iter().all(|row| row.problem.is_none());
    let text = if common.json { as_json(well, &rows, &notes) } else { as_text(&rows, &notes) };
    print(text.as_bytes())?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(Failure::FAILED) })
}

/// A sentence for each tool that is not what was first seen; `pins` is the command line that is for them.
fn changes<'a>(entry: &'a Entry, pins: &'a str) -> impl Iterator<Item = String> + 'a {
    entry.changes().iter().map(move |change| {
        let what = change.fields.join(", ");
        let said = format!("{}: the tool {:?} is not what was first seen: {what}", entry.id, change.tool);
        format!("{} (`{pins}` shows and accepts)", plain(&said))
    })
}

/// Waits until what has become of each server is known.
async fn settled(registry: &Registry) {
    let mut changes = registry.changes();
    loop {
        changes.borrow_and_update();
        if registry.list().iter().all(is_known) || changes.changed().await.is_err() {
            return;
        }
    }
}

fn as_json(well: bool, rows: &[Row], notes: &[String]) -> String {
    let report = serde_json::json!({ "ok": well, "servers": rows, "notes": notes });
    format!("{report:#}\n")
}

fn as_text(rows: &[Row], notes: &[String]) -> String {
    let mut out = String::new();
    for note in notes {
        let _ = writeln!(out, "note: {note}");
    }
    if rows.is_empty() {
        return out;
    }
    let header = ["ID", "NAME", "TRANSPORT", "ERA", "STATUS", "LATENCY", "TOOLS"];
    out.push_str(&table::render(&header, &rows.iter().map(Row::cells).collect::<Vec<_>>()));
    for row in rows {
        let Some(problem) = &row.problem else { continue };
        let _ = write!(out, "\n{}\n  what:   {}\n  where:  {}\n", row.id, problem.what, row.target);
        let _ = writeln!(out, "  do:     {}", problem.remedy);
    }
    let ill = rows.iter().filter(|row| row.problem.is_some()).count();
    let _ = match ill {
        0 => writeln!(out, "\nEvery server is well."),
        _ => writeln!(out, "\n{ill} of {} not well.", rows.len()),
    };
    out
}
