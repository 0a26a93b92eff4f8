//! The JSON Schema says what the parser says.

use crate::parse;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tower_mcp_gateway::config::{Config, SCHEMA};

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// The fields the parser knows where `text` has one that it does not.
fn known(text: &Value) -> BTreeSet<String> {
    let error = parse(&text.to_string()).unwrap_err().to_string();
    let (_, known) = error.split_once("the fields known here are ").unwrap_or_else(|| panic!("{error}"));
    known.lines().next().unwrap().split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn described(object: &Value) -> BTreeSet<String> {
    object["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_field_is_in_it_and_no_other() {
    let (schema, stray) = (schema(), json!({ "zzzzzzzzzzzz": 1 }));
    let of = |name: &str| &schema["definitions"][name];
    let server = |connection: Value| json!({ "servers": [{ "id": "a", "name": "a", "transport": connection["type"], "connection": connection }] });
    for (text, object) in [
        (stray.clone(), &schema),
        (json!({ "limits": stray }), of("limits")),
        (json!({ "admin": stray }), &schema["properties"]["admin"]),
        (json!({ "auth": stray }), of("auth")),
        (json!({ "auth": { "tokens": [stray] } }), of("token")),
        (json!({ "servers": [stray] }), of("server")),
        (json!({ "mcpServers": { "a": stray } }), of("entry")),
        (json!({ "mcpServers": { "a": { "command": "x", "toolSettings": { "t": stray } } } }), of("tool")),
        (server(json!({ "type": "stdio", "command": "x", "zzzzzzzzzzzz": 1 })), of("child")),
        (server(json!({ "type": "http", "url": "http://x", "auth": { "zzzzzzzzzzzz": 1 } })), of("signInClient")),
        (server(json!({ "type": "http", "url": "http://x", "zzzzzzzzzzzz": 1 })), of("web")),
    ] {
        assert_eq!(described(object), known(&text), "{text}");
        assert_eq!(object["additionalProperties"], false, "{text}");
    }
}

#[test]
fn every_default_in_it_is_the_one_of_the_code() {
    let (schema, config) = (schema(), Config::default());
    let mut text = serde_json::Map::new();
    let mut limits = serde_json::Map::new();
    let defaults = |object: &Value, into: &mut serde_json::Map<String, Value>| {
        for (name, field) in object["properties"].as_object().unwrap() {
            into.extend(field.get("default").map(|default| (name.clone(), default.clone())));
        }
    };
    defaults(&schema, &mut text);
    defaults(&schema["definitions"]["limits"], &mut limits);
    assert!(text.len() > 8 && limits.len() > 12, "{text:?} {limits:?}");
    text.insert("limits".into(), limits.into());
    let read = parse(&Value::from(text).to_string()).unwrap();
    let mut expected = config.clone();
    (expected.servers, expected.notes) = (read.servers.clone(), read.notes.clone());
    assert_eq!(format!("{read:?}"), format!("{expected:?}"));
}

#[test]
fn it_takes_and_refuses_what_the_parser_does() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (text, right) in [
        (json!({}), true),
        (json!({ "port": "${TOKEN}", "balancer": "weighted" }), true),
        (json!({ "port": 65536 }), false),
        (json!({ "port": "4000" }), false),
        (json!({ "balancer": "fair" }), false),
        (json!({ "requestTimeout": 0 }), false),
        (json!({ "limits": { "fall": 101 } }), false),
        (json!({ "auth": "none" }), true),
        (json!({ "auth": "all" }), false),
        (json!({ "auth": { "tokens": [{ "name": "ci", "token": "x".repeat(32) }] } }), true),
        (json!({ "auth": { "tokens": [{ "name": "ci" }] } }), false),
        (json!({ "mcpServers": { "a": { "command": "x", "args": ["y"], "retry": "idempotent" } } }), true),
        (json!({ "mcpServers": { "a": { "command": "x", "rate": "60/min", "allow": ["r_*"], "deny": [] } } }), true),
        (json!({ "mcpServers": { "a": { "command": "x", "rate": "60/day" } } }), false),
        (
            json!({ "mcpServers": { "a": { "command": "x", "toolSettings": { "t": { "rename": "u", "hidden": false } } } } }),
            true,
        ),
        (json!({ "mcpServers": { "a": { "command": "x", "toolSettings": { "t": { "rename": "u v" } } } } }), false),
        (json!({ "servers": { "a": { "url": "http://x/mcp", "type": "streamableHttp" } } }), true),
        (json!({ "mcpServers": { "a": { "command": "x", "args": "y" } } }), false),
        (
            json!({ "servers": [{ "id": "a", "name": "b", "transport": "sse", "connection": { "type": "sse", "url": "http://x" } }] }),
            true,
        ),
        (
            json!({ "servers": [{ "id": "a", "transport": "sse", "connection": { "type": "sse", "url": "http://x" } }] }),
            false,
        ),
        (
            json!({ "servers": [{ "id": "a", "name": "b", "transport": "sse", "connection": { "type": "sse" } }] }),
            false,
        ),
    ] {
        assert_eq!(validator.is_valid(&text), right, "the schema: {text}");
        let parsed = Config::parse(&text.to_string(), |_| Some("1".into()));
        assert_eq!(parsed.is_ok(), right, "the parser: {text} {:?}", parsed.err().map(|error| error.to_string()));
    }
}
