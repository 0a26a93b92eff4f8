use super::{call, check, connect, init, login, pins, token};
use crate::config::address;
use clap::{Args as Group, Parser, Subcommand};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// Many MCP servers behind one endpoint.
///
/// Reads a configuration file, connects to the servers in it, and serves all their tools at
/// http://127.0.0.1:4000/mcp. Clients that only speak the older HTTP+SSE transport use /sse.
#[derive(Debug, Parser)]
#[command(version, name = "tower-mcp-gateway", after_help = AFTER)]
pub(super) struct Args {
    /// What to do; `serve` if nothing is said
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    pub(super) common: Common,

    #[command(flatten)]
    serve: Serve,
}

/// What every command takes.
#[derive(Clone, Debug, Group)]
pub(super) struct Common {
    /// The configuration file [default: ./tower-mcp-gateway.json, then the one in the user's config folder]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Print JSON for programs in place of lines for people
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// What is logged to stderr, such as `info` or `warn,tower_mcp_gateway::health=debug` [default: $RUST_LOG, then
    /// `warn`]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(super) log: Option<String>,
}

impl Common {
    /// The command line of `command` with the same configuration, to be copied into a shell.
    pub(super) fn line(&self, command: &str) -> String {
        let mut line = "tower-mcp-gateway".to_owned();
        if !command.is_empty() {
            line = format!("{line} {command}");
        }
        let Some(file) = &self.config else { return line };
        let file = file.display().to_string();
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
        let file = if file.chars().all(is_plain) { file } else { format!("'{}'", file.replace('\'', r"'\''")) };
        format!("{line} --config {file}")
    }
}

/// Where the gateway serves.
#[derive(Clone, Debug, Default, Group)]
pub(super) struct Serve {
    /// Where to listen, instead of the address and port in the file: `:4100`, `0.0.0.0:4000`, `[::1]:4000`; port 0
    /// takes a free one
    #[arg(short, long, value_name = "ADDRESS", value_parser = listen, conflicts_with_all = ["host", "port"])]
    listen: Option<Listen>,

    /// The address to listen on, without its port
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    host: Option<IpAddr>,

    /// The port to listen on
    #[arg(short, long, value_name = "PORT")]
    port: Option<u16>,

    /// Where operators ask, instead of `admin` in the file: `:4001`, `127.0.0.1:0`; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", value_parser = listen)]
    admin: Option<Listen>,

    /// Serve the one client at stdin and stdout, as desktop clients launch servers; HTTP as well only if --listen,
    /// --port or --host is given
    #[arg(long)]
    pub(super) stdio: bool,
}

impl Serve {
    pub(super) fn host(&self) -> Option<IpAddr> {
        self.listen.and_then(|listen| listen.host).or(self.host)
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.listen.and_then(|listen| listen.port).or(self.port)
    }

    /// The address at which operators ask, where one is said.
    pub(super) fn admin_host(&self) -> Option<IpAddr> {
        self.admin.and_then(|listen| listen.host)
    }

    /// The port of operators, where one is said; 0 for a free one.
    pub(super) fn admin_port(&self) -> Option<u16> {
        self.admin.and_then(|listen| listen.port)
    }

    /// Whether to listen on a port.
    pub(super) fn listens(&self) -> bool {
        // Each client launches a gateway of its own, and they would all want the one port of the file.
        !self.stdio || self.port().is_some() || self.host().is_some()
    }

    /// What was said before and after the word `serve`.
    fn or(self, other: Self) -> Self {
        let listen = self.listen.or(other.listen);
        let (host, port) = (self.host.or(other.host), self.port.or(other.port));
        let admin = self.admin.or(other.admin);
        Self { listen, host, port, admin, stdio: self.stdio || other.stdio }
    }

    fn is_said(&self) -> bool {
        self.stdio || self.admin.is_some() || self.port().is_some() || self.host().is_some()
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the configured servers (the default)
    #[command(after_help = SERVE)]
    Serve(Serve),
    /// Write a configuration to begin with, with the servers that your clients know
    #[command(after_help = init::EXAMPLES)]
    Init(init::Init),
    /// Validate the configuration, contact every server, and say what is wrong and what to do about it
    #[command(after_help = check::EXAMPLES)]
    Check(check::Check),
    /// List the tools that clients see
    #[command(after_help = call::LIST_EXAMPLES)]
    Tools(call::Tools),
    /// Call a tool as a client does
    #[command(after_help = call::CALL_EXAMPLES)]
    Call(call::Call),
    /// Tell a client of the gateway, in its own file
    #[command(after_help = connect::CONNECT_EXAMPLES)]
    Connect(connect::Connect),
    /// Make a client forget the gateway
    #[command(after_help = connect::DISCONNECT_EXAMPLES)]
    Disconnect(connect::Disconnect),
    /// Sign in at a server that asks for it, in a browser
    #[command(after_help = login::LOGIN_EXAMPLES)]
    Login(login::Login),
    /// Forget the sign-in at a server
    #[command(after_help = login::LOGOUT_EXAMPLES)]
    Logout {
        /// The id of the server
        server: String,
    },
    /// List tools that are not what was first seen, and accept what they are now
    #[command(after_help = pins::EXAMPLES)]
    Pins(pins::Command),
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_help = SCHEMA)]
    Schema,
    /// Make a bearer token for a client, with the entry of `auth.tokens` that lets it in
    #[command(after_help = token::EXAMPLES)]
    Token {
        /// Whose token it is
        #[arg(long, default_value = "client", value_name = "NAME")]
        name: String,

        /// Print the entry of a token that exists, which is read from stdin
        #[arg(long)]
        stdin: bool,
    },
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Started by `serve`: kills its child processes when it is killed itself
    #[command(hide = true)]
    Watchdog,
}

impl Args {
    /// The command, with what was said before its name.
    pub(super) fn chosen(self) -> Result<Command, clap::Error> {
        match self.command {
            None => Ok(Command::Serve(self.serve)),
            Some(Command::Serve(serve)) => Ok(Command::Serve(serve.or(self.serve))),
            Some(_) if self.serve.is_said() => {
                use clap::{CommandFactory, error::ErrorKind};
                let reason = "--listen, --host, --port, --admin and --stdio belong to `serve`";
                Err(Self::command().error(ErrorKind::ArgumentConflict, reason))
            }
            Some(command) => Ok(command),
        }
    }
}

/// An address, a port, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listen {
    host: Option<IpAddr>,
    port: Option<u16>,
}

fn listen(text: &str) -> Result<Listen, &'static str> {
    const REMEDY: &str = "write an address, a port or both: 127.0.0.1:4000, :4000, 0.0.0.0, [::1]:4000";
    let port = |digits: &str| digits.parse::<u16>().map_err(|_| REMEDY);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(host) = address(bare) {
        return Ok(Listen { host: Some(host), port: None });
    }
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Ok(Listen { host: Some(both.ip()), port: Some(both.port()) });
    }
    Ok(match text.rsplit_once(':') {
        None | Some(("", _)) => Listen { host: None, port: Some(port(text.trim_start_matches(':'))?) },
        Some((host, digits)) => Listen { host: Some(address(host).map_err(|_| REMEDY)?), port: Some(port(digits)?) },
    })
}

const AFTER: &str = "\
The first minute:
  tower-mcp-gateway init --import    takes over the servers of Claude, Cursor, VS Code and Windsurf
  tower-mcp-gateway check            tells which of them answer, and what to do about the others
  tower-mcp-gateway                  serves them all at http://127.0.0.1:4000/mcp
  tower-mcp-gateway connect cursor   writes that address into the client's own file

A configuration file by hand:
  { \"mcpServers\": { \"search\": { \"type\": \"sse\", \"url\": \"http://localhost:3510\" } } }

Exit codes: 0 done, or stopped as asked; 1 it could not be done, or a server failed its check; 2 wrong command line or \
configuration; 3 a tool that was called says that it failed.";

const SERVE: &str = "\
Examples:
  tower-mcp-gateway --config mcp.json
  tower-mcp-gateway serve --listen :8080 --log info
  tower-mcp-gateway serve --listen :0 --admin :0      on free ports, which it prints
  tower-mcp-gateway serve --stdio --config mcp.json   as desktop clients launch it

GET /healthz answers 200 while the process lives, GET /readyz once every server has connected or failed once.
A changed file, or SIGHUP, reloads the servers in it while calls go on. With --json every line is an object with an \
`event`: listening, admin, server, note, reload, stopping.
Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong command line or configuration.";

const SCHEMA: &str = "\
Examples:
  tower-mcp-gateway schema > tower-mcp-gateway.schema.json

A configuration with \"$schema\": \"./tower-mcp-gateway.schema.json\" is completed and checked by editors such as VS Code, \
Zed and those of JetBrains; `init` writes both.";

const COMPLETIONS: &str = "\
Examples:
  tower-mcp-gateway completions bash > ~/.local/share/bash-completion/completions/tower-mcp-gateway
  tower-mcp-gateway completions zsh > ~/.zfunc/_tower-mcp-gateway
  tower-mcp-gateway completions fish > ~/.config/fish/completions/tower-mcp-gateway.fish";

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(line: &str) -> (Common, Serve) {
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        let common = args.common.clone();
        let Command::Serve(serve) = args.chosen().unwrap() else { panic!("{line}") };
        (common, serve)
    }

    #[test]
    fn options_stand_before_and_after_the_command() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        for line in [
            "x --config a --port 0 --host localhost",
            "x serve --config a --port 0",
            "x --config a --admin :0 serve --port 0",
        ] {
            let (common, serve) = serve(line);
            assert_eq!((common.config, serve.port()), (Some("a".into()), Some(0)), "{line}");
        }
        for (line, listens) in [("x", true), ("x serve --stdio", false), ("x --stdio serve --listen :0", true)] {
            assert_eq!(serve(line).1.listens(), listens, "{line}");
        }
        for line in ["x --port 65536", "x --host nowhere", "x fly", "x --config", "x --listen :1 --port 2"] {
            assert_eq!(Args::try_parse_from(line.split(' ')).unwrap_err().exit_code(), 2, "{line}");
        }
        let stray = Args::try_parse_from(["x", "--stdio", "check"]).unwrap().chosen().unwrap_err();
        assert!(stray.exit_code() == 2 && stray.to_string().contains("belong to `serve`"), "{stray}");
    }

    #[test]
    fn a_command_line_that_is_advised_names_the_same_configuration() {
        let line = |config: Option<&str>, command: &str| {
            Common { config: config.map(PathBuf::from), json: false, log: None }.line(command)
        };
        assert_eq!(line(None, "check"), "tower-mcp-gateway check");
        assert_eq!(line(Some("a/b.json"), "check"), "tower-mcp-gateway check --config a/b.json");
        assert_eq!(line(Some("o'er it"), ""), r"tower-mcp-gateway --config 'o'\''er it'");
    }

    #[test]
    fn an_address_to_listen_on_may_lack_either_half() {
        for (text, host, port) in [
            (":4100", None, Some(4100)),
            ("4100", None, Some(4100)),
            ("0.0.0.0", Some("0.0.0.0"), None),
            ("localhost:0", Some("127.0.0.1"), Some(0)),
            ("[::1]:80", Some("::1"), Some(80)),
            ("[::1]", Some("::1"), None),
            ("::1", Some("::1"), None),
        ] {
            let host = host.map(|host| host.parse().unwrap());
            assert_eq!(listen(text), Ok(Listen { host, port }), "{text}");
        }
        for text in ["", "nowhere", "nowhere:80", ":65536", "127.0.0.1:http", "-1", "::4000:"] {
            assert!(listen(text).unwrap_err().contains("127.0.0.1:4000"), "{text}");
        }
    }

    /// The words of a line as a shell takes it, without what follows the command: a remark, a pipe, a file.
    fn words(line: &str) -> Vec<String> {
        let line = ["  ", " | ", " > ", " < "].iter().fold(line, |line, end| line.split(end).next().unwrap_or(line));
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.trim().chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    #[test]
    fn every_example_of_the_help_is_understood() {
        use clap::CommandFactory;
        let command = Args::command();
        let helps = command.get_subcommands().chain([&command]).filter_map(|command| command.get_after_help());
        let helps: Vec<_> = helps.map(ToString::to_string).collect();
        let indented = helps.iter().flat_map(|help| help.lines()).filter(|line| line.starts_with("  "));
        let lines: Vec<_> = indented.filter_map(|line| Some(&line[line.find("tower-mcp-gateway")?..])).collect();
        assert!(lines.len() > 25, "{lines:?}");
        for line in lines {
            let parsed = Args::try_parse_from(words(line)).and_then(Args::chosen);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
