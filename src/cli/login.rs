use super::{
    Failure,
    error::plain,
    signal::{Stop, interrupted},
};
use crate::{
    config::Config,
    oauth::{OAuth, SignIn, sign_out},
    registry::{Connection, Server},
};
use clap::Args;
use std::{
    io::{self, Write},
    process::{Command, ExitCode, Stdio},
};

pub(super) const LOGIN_EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway login issues
  tower-mcp-gateway login issues --no-browser   only prints the page to open

The server's entry has \"auth\": \"oauth\". A gateway that runs takes the tokens with its next health check.
Exit codes: 0 signed in, 1 it could not be done, 2 wrong command line or configuration.";

pub(super) const LOGOUT_EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway logout issues

Exit codes: 0 nobody is signed in any more, 1 it could not be done, 2 wrong command line or configuration.";

/// What `login` takes.
#[derive(Clone, Debug, Args)]
pub(super) struct Login {
    /// The id of the server
    server: String,

    /// Only print the page at which to sign in
    #[arg(long)]
    no_browser: bool,

    /// The port the browser comes back to, for a client that is registered with one [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "PORT")]
    callback_port: u16,
}

/// Signs in at a server.
pub(super) async fn login(login: Login, config: Config, json: bool) -> Result<ExitCode, Failure> {
    let (url, settings) = entry(&config, &login.server)?;
    let mut stop = Stop::listen().map_err(|error| Failure::failed(error.to_string()))?;
    let failed = |error: crate::oauth::error::Failed| Failure::failed(plain(&format!("{}: {error}", login.server)));
    let waiting = SignIn::begin(&login.server, &url, settings, login.callback_port).await.map_err(failed)?;
    say(json, &serde_json::json!({"page": waiting.page()}), &format!("Sign in at:\n  {}\n", waiting.page()))?;
    if !login.no_browser {
        open(waiting.page());
    }
    tokio::select! {
        done = waiting.finish() => done.map_err(failed)?,
        code = stop.next() => return Ok(interrupted(code)),
    }
    say(json, &serde_json::json!({"signedIn": login.server}), &format!("Signed in at {}.\n", login.server))?;
    Ok(ExitCode::SUCCESS)
}

/// Forgets the tokens of a server.
pub(super) async fn logout(id: &str, config: Config, json: bool) -> Result<ExitCode, Failure> {
    let (url, settings) = entry(&config, id)?;
    let known = sign_out(id, &url, settings).await.map_err(|error| Failure::failed(format!("{id}: {error}")))?;
    let text = if known { format!("Signed out of {id}.\n") } else { format!("Nobody was signed in at {id}.\n") };
    say(json, &serde_json::json!({"signedOut": id, "was": known}), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The address of the server with this id, and how somebody signs in there.
fn entry<'a>(config: &'a Config, id: &str) -> Result<(String, &'a OAuth), Failure> {
    let known = |server: &&Server| server.oauth_of().is_some();
    match config.servers.iter().find(|server| server.id().as_str() == id) {
        Some(server) => match (server.connection(), server.oauth_of()) {
            (Connection::Stdio { .. }, Some(_)) => {
                Err(Failure::usage("a child process gets what it needs in its `env`"))
            }
            (Connection::Http { url, .. } | Connection::Sse { url, .. }, Some(settings)) => {
                Ok((url.to_string(), settings))
            }
            (_, None) => Err(Failure::usage(format!(
                "nobody signs in at {id}, because its entry has no `\"auth\": \"oauth\"`: write that first"
            ))),
        },
        None => {
            let ids: Vec<_> = config.servers.iter().filter(known).map(|server| server.id().as_str()).collect();
            let known = match &ids[..] {
                [] => "none of the configuration has `\"auth\": \"oauth\"`".to_owned(),
                ids => format!("those to sign in at are {}", ids.join(", ")),
            };
            Err(Failure::usage(format!("there is no server {id:?}; {known}")))
        }
    }
}

fn say(json: bool, object: &serde_json::Value, text: &str) -> Result<(), Failure> {
    let line = if json { format!("{object}\n") } else { text.to_owned() };
    let mut stdout = io::stdout();
    stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::failed(format!("stdout: {error}")))
}

/// Shows the page; where there is no browser, the printed line has to do.
fn open(page: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        // Waited for, so that it leaves no zombie while the person signs in.
        std::thread::spawn(move || child.wait());
    }
}
