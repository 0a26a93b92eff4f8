//! The `x-mcp-header` annotations of a tool's schema (2026-07-28, "server/tools: x-mcp-header").

use serde_json::{Map, Value};
use std::collections::HashSet;

/// The annotation: the header that repeats an argument.
const ANNOTATION: &str = "x-mcp-header";

/// Keywords whose value is one schema, or an array of schemas.
const SCHEMAS: [&str; 15] = [
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "allOf",
    "anyOf",
    "oneOf",
];
/// Keywords whose value is an object of schemas. Only what `properties` hold is an argument one can name.
const NAMED_SCHEMAS: [&str; 4] = ["patternProperties", "dependentSchemas", "$defs", "definitions"];

/// What is wrong with the annotations of an input schema, if anything.
///
/// An annotation names a header as RFC 9110 allows it, once in the tool whatever its case, on an argument that is a
/// string, an integer or a boolean, and that is reached through `properties` alone: a client must be able to find the
/// value without evaluating the schema. Values that are no schemas (`default`, `enum`, …) are not looked into.
pub(super) fn fault(schema: &Value) -> Option<&'static str> {
    check(schema, Way::Root, &mut HashSet::new()).err()
}

/// How a schema was reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Root,
    Properties,
    Otherwise,
}

fn check(schema: &Value, way: Way, seen: &mut HashSet<String>) -> Result<(), &'static str> {
    let object = match schema {
        Value::Object(object) => object,
        Value::Array(schemas) => return schemas.iter().try_for_each(|schema| check(schema, way, seen)),
        _ => return Ok(()),
    };
    if let Some(annotation) = object.get(ANNOTATION) {
        check_annotation(annotation, object, way, seen)?;
    }
    let argument = if way == Way::Otherwise { way } else { Way::Properties };
    for schema in named(object, "properties") {
        check(schema, argument, seen)?;
    }
    for schema in SCHEMAS.iter().filter_map(|keyword| object.get(*keyword)) {
        check(schema, Way::Otherwise, seen)?;
    }
    NAMED_SCHEMAS.iter().flat_map(|keyword| named(object, keyword)).try_for_each(|s| check(s, Way::Otherwise, seen))
}

fn named<'a>(object: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> {
    object.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::values)
}

fn check_annotation(
    annotation: &Value,
    schema: &Map<String, Value>,
    way: Way,
    seen: &mut HashSet<String>,
) -> Result<(), &'static str> {
    if way != Way::Properties {
        return Err("an x-mcp-header stands where no argument can be named");
    }
    let name = annotation.as_str().ok_or("an x-mcp-header is no string")?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("an x-mcp-header is no name of a header");
    }
    if !matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
        return Err("an x-mcp-header stands on an argument that is no string, integer or boolean");
    }
    if !seen.insert(name.to_ascii_lowercase()) {
        return Err("an x-mcp-header stands twice");
    }
    Ok(())
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn annotations_that_a_client_can_follow_are_valid() {
        for schema in [
            json!(true),
            json!({"type": "object"}),
            json!({"properties": {"a": {"type": "string", "x-mcp-header": "Region"}}}),
            json!({"properties": {"a": {"type": "integer", "x-mcp-header": "A"}, "b": {"type": "boolean", "x-mcp-header": "B"}}}),
            json!({"properties": {"a": {"type": "object", "properties": {"b": {"type": "string", "x-mcp-header": "A"}}}}}),
            json!({"properties": {"x-mcp-header": {"type": "string"}}}),
            json!({"properties": {"a": {"default": {"x-mcp-header": 7}, "enum": [{"x-mcp-header": ""}]}}}),
        ] {
            assert_eq!(fault(&schema), None, "{schema}");
        }
    }

    #[test]
    fn all_others_are_not() {
        let on = |annotation: Value, kind: Value| json!({"type": kind, "x-mcp-header": annotation});
        let argument = |schema: Value| json!({"properties": {"a": schema}});
        let valid = || on(json!("A"), json!("string"));
        for schema in [
            argument(on(json!(""), json!("string"))),
            argument(on(json!(7), json!("string"))),
            argument(on(json!(null), json!("string"))),
            argument(on(json!("My Region"), json!("string"))),
            argument(on(json!("Région"), json!("string"))),
            argument(on(json!("A:B"), json!("string"))),
            argument(on(json!("A\r\nB"), json!("string"))),
            argument(on(json!("A"), json!("number"))),
            argument(on(json!("A"), json!("object"))),
            argument(on(json!("A"), json!("array"))),
            argument(on(json!("A"), json!(null))),
            json!({"properties": {"a": on(json!("A"), json!("string")), "b": on(json!("a"), json!("string"))}}),
            on(json!("A"), json!("string")),
            argument(json!({"type": "array", "items": valid()})),
            argument(json!({"anyOf": [valid()]})),
            json!({"oneOf": [argument(valid())]}),
            json!({"$defs": {"a": valid()}}),
            json!({"additionalProperties": valid()}),
            json!({"patternProperties": {"^a": valid()}}),
            json!({"if": argument(valid())}),
        ] {
            assert!(fault(&schema).is_some(), "{schema}");
        }
    }
}
