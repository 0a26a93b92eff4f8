//! The standalone program: the gateway, a listener, and an operator who reads what it prints.
//!
//! [`accept`] and [`routes`] know nothing of MCP; they serve any tower service, and a program of one's own can use them
//! in place of a web framework, as this one does with a [`Gateway`](crate::Gateway) and with [`admin`]:
//!
//! ```
//! use tokio::net::TcpListener;
//! use tower_mcp_gateway::{Gateway, cli::{accept::Accept, routes::Routes}, config::Config};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (gateway, driver) = Gateway::from_config(Config::new("my-gateway"))?;
//! tokio::spawn(driver);
//! let registry = gateway.registry().clone();
//! let routes = Routes::new(gateway.clone(), move || registry.is_settled());
//! let stop = async { /* a signal, most likely */ };
//! Accept::new(TcpListener::bind("127.0.0.1:0").await?).serve(routes, stop).await;
//! gateway.drain().await;
//! # Ok(()) }
//! ```

pub mod accept;
pub mod admin;
mod allocator;
mod apps;
mod args;
mod call;
mod check;
mod client;
mod connect;
mod console;
mod error;
mod find;
mod init;
mod keys;
mod log;
mod login;
mod pins;
mod reload;
mod replace;
mod report;
pub mod routes;
mod serve;
mod signal;
mod table;
mod token;

use self::{
    accept::tls::Tls,
    args::{Args, Command, Common, Serve},
    error::Failure,
    reload::Source,
    serve::Faces,
};
use crate::{
    config::{Config, ConfigError, Limits},
    upstream::stdio::watchdog::{self, Watchdog},
};
use clap::{CommandFactory, Parser};
use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// How long the watchdog of a gateway that ended in order, and so has nothing left to kill, may take to leave.
const LEAVING: Duration = Duration::from_millis(200);

/// Runs the command: reads its arguments, does what they say, and answers with its exit code.
///
/// 0 if it is done, or after a stop that was asked for; 1 if it could not be done; 2 for a wrong command line or a wrong
/// configuration; 3 if a tool that was called says that it failed; 130 or 143 if SIGINT or SIGTERM ended it before it was
/// done. What goes wrong is said on stderr, with `--json` as an object.
pub fn run() -> ExitCode {
    let said = Args::try_parse().and_then(|args| {
        let common = args.common.clone();
        Ok((args.chosen()?, common))
    });
    let (command, common) = match said {
        Ok(said) => said,
        Err(error) => return misunderstood(&error),
    };
    if matches!(command, Command::Serve(_)) {
        // The configuration may be one of the descriptors that are closed next, as in `--config <(…)`.
        allocator::tell();
    }
    // Whatever the program that started this one left open is not for child processes.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let json = common.json;
    start(command, common).unwrap_or_else(|failure| tell(&failure, json))
}

/// Says why the command line cannot be used, or shows the help that it asks for.
fn misunderstood(error: &clap::Error) -> ExitCode {
    // What was not understood cannot be asked for it.
    let json = std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if json && error.use_stderr() {
        return tell(&Failure::usage(error.to_string()), json);
    }
    error.exit()
}

fn tell(failure: &Failure, json: bool) -> ExitCode {
    // Nobody can be told that stderr is closed.
    let _ = match json {
        true => writeln!(io::stderr(), "{}", failure.to_json()),
        false => writeln!(io::stderr(), "{failure}"),
    };
    ExitCode::from(failure.code)
}

fn start(command: Command, common: Common) -> Result<ExitCode, Failure> {
    // What a command that ends by itself has to say, it prints.
    let quiet = if matches!(command, Command::Serve(_)) { "warn" } else { "error" };
    log(common.log.as_deref(), quiet)?;
    match command {
        Command::Serve(serve) => serve_until_stopped(serve, &common),
        Command::Check(check) => {
            let (mut config, file) = (configured(&common)?, file(&common)?);
            guarded(&config, &Serve::default()).map_err(Failure::usage)?;
            tls(&config)?;
            pins::recall(&mut config, &file);
            in_runtime(check::run(check, config, &common))
        }
        Command::Pins(command) => {
            let file = file(&common)?;
            // Of a file that does not exist there would be nothing to tell, which reads as if all were well.
            std::fs::metadata(&file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
            pins::run(command, &file, common.json)
        }
        Command::Tools(tools) => in_runtime(call::list(tools, common)),
        Command::Call(call) => in_runtime(call::call(call, common)),
        Command::Login(login) => in_runtime(login::login(login, configured(&common)?, common.json)),
        Command::Logout { server } => in_runtime(login::logout(&server, configured(&common)?, common.json)),
        Command::Init(init) => init::run(&init, &common),
        Command::Connect(connect) => connect::connect(&connect, &common),
        Command::Disconnect(disconnect) => connect::disconnect(&disconnect, &common),
        Command::Schema => print(crate::config::SCHEMA.as_bytes()),
        Command::Watchdog => {
            watchdog::run(io::stdin());
            Ok(ExitCode::SUCCESS)
        }
        Command::Token { name, stdin } => {
            token::run(&name, stdin, common.json).map(|()| ExitCode::SUCCESS).map_err(Failure::usage)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "tower-mcp-gateway", &mut script);
            print(&script)
        }
    }
}

/// Writes to stdout; a reader that has gone, as in `… | head`, is no failure.
fn print(text: &[u8]) -> Result<ExitCode, Failure> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(format!("stdout: {error}"))),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn in_runtime(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime could be started: {error}")))?;
    let done = runtime.block_on(work);
    // A thread that waits for stdin cannot be told to stop; it ends with the process.
    runtime.shutdown_background();
    done
}

fn serve_until_stopped(serve: Serve, common: &Common) -> Result<ExitCode, Failure> {
    let file = file(common)?;
    let any_admin = serve.admin_port() == Some(0);
    let faces = Faces { http: serve.listens(), stdio: serve.stdio, any_admin };
    let json = common.json;
    let read = {
        let file = file.clone();
        move || configure(&serve, &file)
    };
    let mut config = read().map_err(Failure::usage)?;
    let tls = if faces.http { tls(&config)? } else { None };
    let kept = pins::recall(&mut config, &file);
    let watchdog = config.watchdog.clone();
    let done = in_runtime(async move {
        let source = Source::new(file, read, tls.as_ref()).map_err(|error| Failure::failed(error.to_string()))?;
        let served = serve::serve(config, faces, (tls, source, kept), json).await;
        served.map(|()| ExitCode::SUCCESS).map_err(|error| Failure::failed(error.to_string()))
    });
    watchdog.inspect(|watchdog| watchdog.dismiss(LEAVING));
    done
}

/// The certificate that clients are shown, read and checked.
fn tls(config: &Config) -> Result<Option<Tls>, Failure> {
    let tls = config.tls.clone().map(Tls::load).transpose();
    tls.map_err(|invalid| Failure::usage(invalid.to_string()))
}

/// The configuration file that is named, or the one that is found.
fn file(common: &Common) -> Result<PathBuf, Failure> {
    match &common.config {
        Some(file) => Ok(file.clone()),
        None => find::file(|variable| std::env::var_os(variable)).map_err(|absent| Failure::usage(absent.to_string())),
    }
}

/// The configuration as it stands in the file.
fn configured(common: &Common) -> Result<Config, Failure> {
    let file = file(common)?;
    let mut config = read(&file)?;
    config.watchdog = Some(watchdog());
    Ok(config)
}

/// The configuration of the file, or why it cannot be used.
fn read(file: &Path) -> Result<Config, Failure> {
    Config::from_file(file).map_err(|error| Failure::usage(unusable(&error, file)))
}

/// Why a configuration cannot be used, and how to come by one where there is none.
fn unusable(error: &ConfigError, file: &Path) -> String {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let remedy = match cause.map(io::Error::kind) {
        Some(io::ErrorKind::NotFound) => {
            format!("; `tower-mcp-gateway init --config {}` makes one", file.display())
        }
        _ => String::new(),
    };
    format!("{error}{remedy}")
}

/// What ends the child processes of a gateway that is killed.
fn watchdog() -> Watchdog {
    Watchdog::by(again)
}

/// This program once more, as the watchdog of its child processes.
fn again() -> std::process::Command {
    // On Linux the very file that runs, also where an upgrade has put another in its place.
    let own = match cfg!(target_os = "linux") {
        true => PathBuf::from("/proc/self/exe"),
        false => std::env::current_exe().unwrap_or_default(),
    };
    let mut command = std::process::Command::new(own);
    command.arg0("tower-mcp-gateway").arg("watchdog");
    command
}

/// The configuration of the file, overridden by the command line.
fn configure(serve: &Serve, file: &Path) -> Result<Config, String> {
    let mut config = Config::from_file(file).map_err(|error| unusable(&error, file))?;
    config.watchdog = Some(watchdog());
    config.place = Some(find::place_of(file).into());
    config.host = serve.host().unwrap_or(config.host);
    config.port = serve.port().unwrap_or(config.port);
    config.admin.host = serve.admin_host().unwrap_or(config.admin.host);
    config.admin.port = serve.admin_port().or(config.admin.port);
    guarded(&config, serve)?;
    if serve.stdio && !serve.listens() {
        leave_soon(&mut config.limits);
    }
    if config.keys.is_none() {
        keep_keys(&mut config);
    }
    Ok(config)
}

/// A client that launched the gateway closes its stdin and kills it 2 s later. Whatever has not ended by then is left behind
/// for ever, so children that ignore the end of their stdin are told and killed sooner than the configuration says.
fn leave_soon(limits: &mut Limits) {
    const LEAVE: Duration = Duration::from_millis(500);
    for time in [&mut limits.stop_grace, &mut limits.kill_grace, &mut limits.drain_timeout] {
        *time = LEAVE.min(*time);
    }
}

/// Nobody opens a gateway to a network by forgetting something.
fn guarded(config: &Config, serve: &Serve) -> Result<(), String> {
    let (admin, listens) = (&config.admin, serve.listens());
    // Beside a client at stdin it is shown where a port says so.
    let shown = serve.admin_port().is_some() || admin.port.map_or(listens, |port| port != 0);
    for (open, host, auth, field) in
        [(listens, config.host, &config.auth, "auth"), (shown, admin.host, &admin.auth, "admin.auth")]
    {
        if !open || host.is_loopback() || auth.is_some() {
            continue;
        }
        return Err(format!(
            "{host} can be reached from other machines, and nothing says who may come in: name the clients in `{field}` \
             (`tower-mcp-gateway token` makes a token and its entry), or write `\"auth\": \"none\"` there if something in \
             front of the gateway lets in only whom it should"
        ));
    }
    Ok(())
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

fn log(filter: Option<&str>, default: &str) -> Result<(), Failure> {
    use tracing_subscriber::EnvFilter;
    let filter = match filter {
        Some(said) => EnvFilter::try_new(said).map_err(|error| {
            Failure::usage(format!(
                "--log: {error}: write a level (error, warn, info, debug, trace) or `module=level,…`"
            ))
        })?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).fmt_fields(log::Fields);
    let subscriber = subscriber.with_ansi(io::stderr().is_terminal());
    // Fails only if a subscriber is there already, which then is the one to use.
    let _ = subscriber.with_writer(io::stderr).try_init();
    Ok(())
}
