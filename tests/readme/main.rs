//! What the README says is run: its configurations are read, its commands exist, its requests are sent.
#![cfg(feature = "cli")]

mod commands;

use tower_mcp_gateway::config::Config;

const README: &str = include_str!("../../README.md");

/// A fenced part of the README.
struct Block {
    language: &'static str,
    text: &'static str,
}

fn blocks() -> Vec<Block> {
    let fences = README.split("```").skip(1).step_by(2);
    fences.map(|fence| fence.split_once('\n').map(|(language, text)| Block { language, text }).unwrap()).collect()
}

fn of(languages: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    blocks().into_iter().filter(|block| languages.contains(&block.language)).map(|block| block.text)
}

#[test]
fn every_configuration_is_one() {
    // An absolute path is as good a secret as any, and what a folder must be.
    let secret = |_: &str| Some("/a-secret-of-more-than-thirty-two-characters".to_owned());
    let mut servers = 0;
    for text in of(&["json", "jsonc"]) {
        let config = Config::parse(text, secret).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(config.notes.is_empty(), "{:?}", config.notes);
        servers += config.servers.len();
    }
    assert_eq!(servers, 15);
}

#[test]
fn every_configuration_is_as_its_schema_says() {
    let schema = serde_json::from_str(tower_mcp_gateway::config::SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for text in of(&["json", "jsonc"]) {
        let root = jsonc_parser::cst::CstRootNode::parse(text, &Default::default()).unwrap();
        let value = root.to_serde_value().unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
}

#[test]
fn every_field_has_a_row() {
    let tool = "{\"mcpServers\": {\"a\": {\"command\": \"a\", \"toolSettings\": {\"t\": {\"zzzzzzzzzzzz\": 1}}}}}";
    let entry = "{\"servers\": [{\"zzzzzzzzzzzz\": 1}]}";
    for unknown in ["{\"zzzzzzzzzzzz\": 1}", "{\"limits\": {\"zzzzzzzzzzzz\": 1}}", entry, tool] {
        let known = Config::parse(unknown, |_| None).unwrap_err().to_string();
        let (_, known) = known.split_once("the fields known here are ").expect("the fields are listed");
        let known = known.lines().next().unwrap_or_default();
        let fields: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        assert!(fields.len() > 6, "{fields:?}");
        for field in fields {
            let row = format!("| `{field}` |");
            let in_text =
                ["inputs", "globalShortcut", "preferences", "fall", "rise", "tools", "status", "lastHealthCheck"];
            let in_text = in_text.contains(&field);
            assert!(README.contains(&if in_text { format!("`{field}`") } else { row }), "{field}");
        }
    }
}

#[test]
fn every_default_is_the_one_of_the_code() {
    let config = Config::default();
    let limits = &config.limits;
    let ms = |time: std::time::Duration| time.as_millis().to_string();
    for (field, default) in [
        ("name", format!("`{}`", config.name)),
        ("host", format!("`{}`", config.host)),
        ("port", config.port.to_string()),
        ("balancer", format!("`{}`", config.balancer.as_str())),
        ("healthCheckInterval", ms(config.health_check_interval)),
        ("requestTimeout", ms(config.request_timeout)),
        ("connectTimeout", ms(config.connect_timeout)),
        ("startTimeout", ms(config.start_timeout)),
        ("startPatience", ms(config.start_patience)),
        ("maxInFlight", limits.max_in_flight.to_string()),
        ("maxInFlightPerServer", limits.max_in_flight_per_server.to_string()),
        ("maxStreams", limits.max_streams.to_string()),
        ("maxSessions", limits.max_sessions.to_string()),
        ("maxRequestBytes", limits.max_request_bytes.to_string()),
        ("maxMessageBytes", limits.max_message_bytes.to_string()),
        ("maxTotal", ms(limits.max_total)),
        ("askTimeout", ms(limits.ask_timeout)),
        ("idleTimeout", ms(limits.idle_timeout)),
        ("headTimeout", ms(limits.head_timeout)),
        ("bodyTimeout", ms(limits.body_timeout)),
        ("connectionIdleTimeout", ms(limits.connection_idle_timeout)),
        ("stallTimeout", ms(limits.stall_timeout)),
        ("stopGrace", ms(limits.stop_grace)),
        ("killGrace", ms(limits.kill_grace)),
        ("drainTimeout", ms(limits.drain_timeout)),
    ] {
        // Settings of single servers have the same names, and no default of their own.
        let has_default = |line: &&str| line.split('|').count() > 4;
        let mut rows = README.lines().filter(has_default);
        let row = rows.find(|line| line.starts_with(&format!("| `{field}` |"))).expect(field);
        assert_eq!(row.split('|').nth(3).map(str::trim), Some(default.as_str()), "{row}");
    }
}

#[test]
fn the_minimum_rust_version_is_that_of_the_manifest() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert_eq!(README.matches(&format!("Rust {version} or newer")).count(), 2);
}
