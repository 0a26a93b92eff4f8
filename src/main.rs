//! The `tower-mcp-gateway` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tower_mcp_gateway::cli::run()
}
