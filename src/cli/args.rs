use crate::config::address;
use clap::{Parser, Subcommand};
use std::{net::IpAddr, path::PathBuf};

/// Many MCP servers behind one endpoint.
///
/// Reads a configuration file, connects to the servers in it, and serves all their tools at
/// http://127.0.0.1:4000/mcp. Clients that only speak the older HTTP+SSE transport use /sse.
#[derive(Debug, Parser)]
#[command(version, name = "tower-mcp-gateway", after_help = AFTER)]
pub(super) struct Args {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// The configuration file [default: ./tower-mcp-gateway.json, then the one in the user's config folder]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// The address to listen on, instead of the one in the file
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = address)]
    pub(super) host: Option<IpAddr>,

    /// The port to listen on, instead of the one in the file; 0 takes a free one
    #[arg(short, long, global = true, value_name = "PORT")]
    pub(super) port: Option<u16>,

    /// Serve the one client at stdin and stdout, as desktop clients launch servers; HTTP as well only if --port or
    /// --host is given
    #[arg(long, global = true)]
    pub(super) stdio: bool,
}

impl Args {
    /// Whether to listen on a port.
    pub(super) fn listens(&self) -> bool {
        // Each client launches a gateway of its own, and they would all want the one port of the file.
        !self.stdio || self.port.is_some() || self.host.is_some()
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Serve the configured servers (the default)
    Serve,
    /// Make a bearer token for a client, with the entry of `auth.tokens` that lets it in
    Token {
        /// Whose token it is
        #[arg(long, default_value = "client", value_name = "NAME")]
        name: String,

        /// Print the entry of a token that exists, which is read from stdin
        #[arg(long)]
        stdin: bool,
    },
}

const AFTER: &str = "\
Example of a configuration file:
  { \"mcpServers\": { \"files\": { \"command\": \"npx\", \"args\": [\"-y\", \"@modelcontextprotocol/server-filesystem\", \".\"] } } }

GET /healthz answers 200 while the process lives, GET /readyz once every server has connected or failed once.
A changed file, or SIGHUP, reloads the servers in it while calls go on.
RUST_LOG sets what is logged to stderr (default: warn).
Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong command line or configuration.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_before_and_after_the_command() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        for line in
            ["x --config a --port 0 --host localhost", "x serve --config a --port 0", "x --config a serve --port 0"]
        {
            let args = Args::try_parse_from(line.split(' ')).unwrap();
            assert_eq!((args.config, args.port), (Some("a".into()), Some(0)), "{line}");
        }
        for (line, listens) in [("x", true), ("x serve --stdio", false), ("x --stdio serve --port 0", true)] {
            assert_eq!(Args::try_parse_from(line.split(' ')).unwrap().listens(), listens, "{line}");
        }
        for line in ["x --port 65536", "x --host nowhere", "x fly", "x --config"] {
            assert_eq!(Args::try_parse_from(line.split(' ')).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
