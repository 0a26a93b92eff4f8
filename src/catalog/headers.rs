//! The `x-mcp-header` annotations of a tool's schema (2026-07-28, "server/tools: x-mcp-header").

use crate::{
    param_headers::{MAX_ANNOTATIONS, MAX_HEADER, MAX_PATH},
    route::Mirror,
};
use http::HeaderName;
use serde_json::{Map, Value};

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

/// The arguments of a tool that are repeated in headers, or what is wrong with the annotations of its input schema.
///
/// An annotation names a header as RFC 9110 allows it, once in the tool whatever its case, on an argument that is a
/// string, an integer or a boolean, and that is reached through `properties` alone: a client must be able to find the
/// value without evaluating the schema. A tool has no more of them than one request has room for. Values that are no schemas (`default`, `enum`, …) are not looked into.
pub(super) fn mirrors(schema: &Value) -> Result<Vec<Mirror>, &'static str> {
    let mut reading = Reading::default();
    reading.schema(schema, Way::Root)?;
    Ok(reading.found)
}

/// How a schema was reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Root,
    Properties,
    Otherwise,
}

/// A schema being read.
#[derive(Default)]
struct Reading<'a> {
    path: Vec<&'a str>,
    found: Vec<Mirror>,
}

impl<'a> Reading<'a> {
    fn schema(&mut self, schema: &'a Value, way: Way) -> Result<(), &'static str> {
        let object = match schema {
            Value::Object(object) => object,
            Value::Array(schemas) => return schemas.iter().try_for_each(|schema| self.schema(schema, way)),
            _ => return Ok(()),
        };
        if let Some(annotation) = object.get(ANNOTATION) {
            self.annotation(annotation, object, way)?;
        }
        let argument = if way == Way::Otherwise { way } else { Way::Properties };
        for (name, schema) in named(object, "properties") {
            self.path.push(name);
            self.schema(schema, argument)?;
            self.path.pop();
        }
        for schema in SCHEMAS.iter().filter_map(|keyword| object.get(*keyword)) {
            self.schema(schema, Way::Otherwise)?;
        }
        let mut others = NAMED_SCHEMAS.iter().flat_map(|keyword| named(object, keyword));
        others.try_for_each(|(_, schema)| self.schema(schema, Way::Otherwise))
    }

    fn annotation(&mut self, annotation: &Value, schema: &Map<String, Value>, way: Way) -> Result<(), &'static str> {
        if way != Way::Properties {
            return Err("an x-mcp-header stands where no argument can be named");
        }
        if self.found.len() == MAX_ANNOTATIONS {
            return Err("an x-mcp-header stands on more than 64 arguments");
        }
        if self.path.iter().map(|name| name.len()).sum::<usize>() > MAX_PATH {
            return Err("an x-mcp-header stands on an argument whose path is longer than 1 KiB");
        }
        let name = annotation.as_str().ok_or("an x-mcp-header is no string")?;
        if name.len() > MAX_HEADER {
            return Err("an x-mcp-header is longer than 256 bytes");
        }
        let header = match name.is_empty() || !name.bytes().all(is_token) {
            true => None,
            // Names of headers are lower case here, so that two which differ in case are one.
            false => HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes()).ok(),
        };
        let header = header.ok_or("an x-mcp-header is no name of a header")?;
        if !matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
            return Err("an x-mcp-header stands on an argument that is no string, integer or boolean");
        }
        if self.found.iter().any(|mirror| mirror.header == header) {
            return Err("an x-mcp-header stands twice");
        }
        self.found.push(Mirror { header, path: self.path.iter().map(|name| Box::from(*name)).collect() });
        Ok(())
    }
}

fn named<'a>(object: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let members = object.get(keyword).and_then(Value::as_object).into_iter().flatten();
    members.map(|(name, schema)| (name.as_str(), schema))
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
            assert_eq!(mirrors(&schema).err(), None, "{schema}");
        }
    }

    #[test]
    fn an_annotation_leads_to_its_argument() {
        let inner = json!({"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "Deep-N"}}});
        let schema = json!({"properties": {"a": {"type": "string", "x-mcp-header": "Region"}, "in": inner}});
        let found = mirrors(&schema).unwrap();
        let found: Vec<_> = found.iter().map(|mirror| (mirror.header.as_str(), mirror.path.join("/"))).collect();
        assert_eq!(found, [("mcp-param-region", "a".to_owned()), ("mcp-param-deep-n", "in/n".to_owned())]);
    }

    /// A tool with annotations on this many arguments, each behind a name of this length.
    fn large(arguments: usize, name: usize) -> Value {
        let argument = |n: usize| (n.to_string(), json!({"type": "string", "x-mcp-header": format!("A{n}")}));
        let arguments: Map<_, _> = (0..arguments).map(argument).collect();
        json!({"properties": {"a".repeat(name): {"properties": arguments}}})
    }

    #[test]
    fn one_call_has_room_for_all_headers_of_a_tool() {
        assert_eq!(mirrors(&large(64, 1)).unwrap().len(), 64);
        assert_eq!(mirrors(&large(65, 1)).unwrap_err(), "an x-mcp-header stands on more than 64 arguments");
        assert_eq!(mirrors(&large(1, 1023)).unwrap().len(), 1);
        assert!(mirrors(&large(1, 1024)).is_err());
    }

    #[test]
    fn a_header_has_a_name_of_bounded_length() {
        let named = |length: usize| json!({"type": "string", "x-mcp-header": "a".repeat(length)});
        let on = |length: usize| mirrors(&json!({"properties": {"a": named(length)}})).map(|found| found.len());
        assert_eq!(on(256), Ok(1));
        assert_eq!(on(257), Err("an x-mcp-header is longer than 256 bytes"));
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
            assert!(mirrors(&schema).is_err(), "{schema}");
        }
    }
}
