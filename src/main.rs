//! The `tower-mcp-gateway` command.

fn main() {}
