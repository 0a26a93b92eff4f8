//! The `tower-mcp-gateway` command.

use std::process::ExitCode;

/// The calls of a gateway are thousands of small allocations a second, most of them freed by the thread that made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tower_mcp_gateway::cli::run()
}
