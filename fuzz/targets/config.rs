//! Configurations: each is taken, or refused in words.

use tower_mcp_gateway::config::Config;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text, |variable| (variable != "NOT_SET").then(|| "a variable".to_owned())) {
        Ok(config) => assert!(!format!("{config:?}").is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
