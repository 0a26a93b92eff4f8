//! The tables of docs/configuration.md say what the JSON Schema says, no more and no less.

use crate::pages::{page, table};
use serde_json::Value;
use std::collections::BTreeSet;
use tower_mcp_gateway::config::SCHEMA;

/// The heading of a table, which of the tables under it, and the object in the schema that it describes.
const TABLES: &[(&str, usize, &str)] = &[
    ("## The file", 0, ""),
    ("## Limits", 0, "/definitions/limits"),
    ("## Admin", 0, "/properties/admin"),
    ("## TLS", 0, "/properties/tls"),
    ("## Servers", 0, "/definitions/server"),
    ("### Connection", 0, "/definitions/child"),
    ("### Connection", 1, "/definitions/web"),
    ("### Metadata", 0, "/definitions/metadata"),
    ("## mcpServers", 0, "/definitions/entry"),
    ("## Tool settings", 0, "/definitions/tool"),
    ("## Hosted servers", 0, "/definitions/signInClient"),
    ("## Auth", 0, "/definitions/auth"),
    ("### Tokens", 0, "/definitions/token"),
    ("### OAuth", 0, "/definitions/oauth"),
    ("## Policies", 0, "/definitions/policy"),
];

/// Definitions that are no objects with fields of their own, but types.
const TYPES: &[&str] = &["ms", "bytes", "count", "checks", "port", "rate"];

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// A field without its references, and the name of its type if that has one.
fn resolved<'a>(schema: &'a Value, field: &'a Value) -> (&'a Value, Option<&'a str>) {
    match field["$ref"].as_str().map(|path| path.trim_start_matches("#/definitions/")) {
        Some(name) if TYPES.contains(&name) => (&schema["definitions"][name], Some(name)),
        Some(name) => resolved(schema, &schema["definitions"][name]),
        None => (field, None),
    }
}

/// The word of the page for what a field may hold.
fn kind(schema: &Value, field: &Value) -> String {
    let (field, name) = resolved(schema, field);
    if let Some(name) = name {
        return name.to_owned();
    }
    let of_object = if field.get("properties").is_some() { "object" } else { "map" };
    match field["type"].as_str() {
        Some("string") => "text".into(),
        Some("array") => "list".into(),
        Some("object") => of_object.into(),
        Some(other) => other.into(),
        None if field.get("enum").or(field.get("const")).is_some() => "choice".into(),
        None => {
            let alternatives = field["anyOf"].as_array().into_iter().flatten();
            let named = alternatives.filter(|one| one["$ref"] != "#/definitions/variable");
            let kinds: Vec<_> = named.map(|one| kind(schema, one)).collect();
            let object = kinds.iter().find(|kind| *kind == "object");
            object.or(kinds.first()).cloned().unwrap_or_else(|| "any".into())
        }
    }
}

fn default(schema: &Value, field: &Value) -> String {
    match field.get("default").or(resolved(schema, field).0.get("default")) {
        Some(Value::String(text)) => format!("`{text}`"),
        Some(other) => other.to_string(),
        None => "–".into(),
    }
}

#[test]
fn every_field_is_there_with_its_type_and_default_and_no_other() {
    let (schema, page) = (schema(), page("docs/configuration.md"));
    for (heading, nth, pointer) in TABLES {
        let properties = schema.pointer(pointer).unwrap()["properties"].as_object().unwrap();
        let mut written = BTreeSet::new();
        for row in table(page.section(heading), *nth) {
            let [fields, kinds, defaults, says, ..] = &row[..] else { panic!("{heading}: {row:?}") };
            assert!(!says.is_empty(), "{heading}: {fields} says nothing");
            for name in fields.split('`').skip(1).step_by(2) {
                let field = properties.get(name).unwrap_or_else(|| panic!("{heading}: there is no `{name}`"));
                assert!(written.insert(name.to_owned()), "{heading}: `{name}` is there twice");
                if !kinds.starts_with("as in ") {
                    assert_eq!(*kinds, kind(&schema, field), "{heading}: the type of `{name}`");
                    assert_eq!(*defaults, default(&schema, field), "{heading}: the default of `{name}`");
                }
            }
        }
        assert_eq!(written, properties.keys().cloned().collect(), "{heading}");
    }
}

#[test]
fn every_object_of_the_schema_has_a_table() {
    let schema = schema();
    let described = |name: &str| TABLES.iter().any(|(_, _, pointer)| pointer.rsplit('/').next() == Some(name));
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        assert!(definition.get("properties").is_none() || described(name), "{name} is on no page");
    }
}

#[test]
fn every_choice_is_named() {
    let (schema, page) = (schema(), page("docs/configuration.md"));
    for (heading, nth, pointer) in TABLES {
        let properties = schema.pointer(pointer).unwrap()["properties"].as_object().unwrap();
        for row in table(page.section(heading), *nth).iter().filter(|row| row[1] == "choice") {
            let field = &properties[row[0].trim_matches('`')];
            let (field, _) = resolved(&schema, field);
            let choice = field["anyOf"].as_array().and_then(|all| all.first()).unwrap_or(field);
            let words = choice["enum"].as_array().cloned().unwrap_or_else(|| vec![choice["const"].clone()]);
            for word in &words {
                let word = format!("`{}`", word.as_str().unwrap());
                assert!(row[3].contains(&word), "{heading}: {} has also {word}", row[0]);
            }
        }
    }
}
