//! The standalone program: the gateway, a listener, and an operator who reads what it prints.
//!
//! [`accept`] and [`routes`] know nothing of MCP; they serve any tower service, and a program of one's own can use them
//! in place of a web framework.

pub mod accept;
pub mod admin;
mod args;
mod console;
mod find;
mod keys;
mod reload;
mod report;
pub mod routes;
mod serve;
mod signal;
mod token;

use self::{
    args::{Args, Command},
    reload::Source,
    serve::Faces,
};
use crate::config::Config;
use clap::Parser;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The configuration or the command line cannot be used.
const USAGE: u8 = 2;

/// The gateway could not start or go on.
const FAILURE: u8 = 1;

/// Runs the command: reads its arguments, serves until it is told to stop, and answers with its exit code.
///
/// 0 after a stop that was asked for, 1 if the gateway could not start or go on, 2 for a wrong command line or a wrong
/// configuration. What goes wrong is said on stderr.
pub fn run() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::Token { name, stdin }) = &args.command {
        return match token::run(name, *stdin) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => fail(USAGE, &reason),
        };
    }
    log();
    let file = match file(&args) {
        Ok(file) => file,
        Err(reason) => return fail(USAGE, &reason),
    };
    let faces = Faces { http: args.listens(), stdio: args.stdio };
    let read = {
        let file = file.clone();
        move || configure(&args, &file)
    };
    let config = match read() {
        Ok(config) => config,
        Err(reason) => return fail(USAGE, &reason),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILURE, &format!("no runtime could be started: {error}")),
    };
    let served = runtime.block_on(async { serve::serve(config, faces, Source::new(file, read)?).await });
    // A thread that waits for stdin cannot be told to stop; it ends with the process.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(FAILURE, &reason.to_string()),
    }
}

fn file(args: &Args) -> Result<PathBuf, String> {
    match &args.config {
        Some(file) => Ok(file.clone()),
        None => find::file(|variable| std::env::var_os(variable)).map_err(|absent| absent.to_string()),
    }
}

/// The configuration of the file, overridden by the command line.
fn configure(args: &Args, file: &Path) -> Result<Config, String> {
    let mut config = Config::from_file(file).map_err(|error| error.to_string())?;
    config.host = args.host.unwrap_or(config.host);
    config.port = args.port.unwrap_or(config.port);
    if args.listens() {
        guarded(&config)?;
    }
    if config.keys.is_none() {
        keep_keys(&mut config);
    }
    Ok(config)
}

/// Nobody opens a gateway to a network by forgetting something.
fn guarded(config: &Config) -> Result<(), String> {
    if config.host.is_loopback() || config.auth.is_some() {
        return Ok(());
    }
    Err(format!(
        "{} can be reached from other machines, and nothing says who may come in: name the clients in `auth` \
         (`tower-mcp-gateway token` makes a token and its entry), or write `\"auth\": \"none\"` if something in front of \
         the gateway lets in only whom it should",
        config.host
    ))
}

/// Takes the keys of the user's state folder. Without them the gateway serves as well, but what its clients carry does
/// not outlive it.
fn keep_keys(config: &mut Config) {
    let file = keys::file(|variable| std::env::var_os(variable));
    let kept = match &file {
        Some(file) => keys::load_or_make(file).map_err(|error| format!("{}: {error}", file.display())),
        None => Err("neither XDG_STATE_HOME nor HOME is set".into()),
    };
    match kept {
        Ok(keys) => config.keys = Some(keys),
        Err(reason) => config.notes.push(format!(
            "clients must open new sessions when this gateway restarts, because its keys cannot be kept ({reason}); set \
             `keys` in the configuration instead"
        )),
    }
}

fn log() {
    use std::io::{IsTerminal, stderr};
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal());
    // Fails only if a subscriber is there already, which then is the one to use.
    let _ = subscriber.with_writer(stderr).try_init();
}

fn fail(code: u8, reason: &str) -> ExitCode {
    use std::io::Write;
    // Nobody can be told that stderr is closed.
    let _ = writeln!(std::io::stderr(), "{reason}");
    ExitCode::from(code)
}
