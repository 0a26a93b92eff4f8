//! Arguments that a server wants to see in headers as well (2026-07-28, "server/tools: x-mcp-header").

use super::header;
use crate::{
    Call,
    json::Json,
    param_headers::{MAX_ANNOTATIONS, MAX_PATH},
};
use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
use memchr::memmem;
use serde_json::{Map, Value, value::RawValue};
use std::{collections::HashMap, sync::Arc};

const KEY: &str = "x-mcp-header";
/// Tools with such arguments that are remembered; calls of further ones go without, and are refused by the server.
const MAX_TOOLS: usize = 4096;
/// How deep an argument may lie.
const MAX_DEPTH: usize = 16;
/// The characters of a tool's name that the log shows: models take no longer ones.
const SHOWN: usize = 64;

/// What the lists of a server say about its tools.
#[derive(Debug, Default)]
pub(super) struct Annotations(ArcSwap<HashMap<Box<str>, Arc<[Param]>>>);

/// An argument that is repeated in a header.
#[derive(Debug)]
struct Param {
    header: HeaderName,
    path: Vec<String>,
}

impl Annotations {
    /// Learns from a page of `tools/list`. Gives the page without the tools whose annotations are no good, if there are
    /// such: no client can call those rightly, and the others are none the worse for it.
    pub(super) fn learn(&self, page: &Json) -> Option<Json> {
        let nothing_known = self.0.load().is_empty();
        if nothing_known && memmem::find(page.as_bytes(), KEY.as_bytes()).is_none() {
            return None;
        }
        let tools = page.member("tools")?;
        let tools: Vec<&RawValue> = tools.read().ok()?;
        let (mut good, mut learnt, mut fault) = (Vec::with_capacity(tools.len()), Vec::new(), None);
        for tool in &tools {
            match read_one(tool.get(), &mut learnt) {
                Ok(()) => good.push(*tool),
                Err(why) => drop(fault.get_or_insert(why)),
            }
        }
        // One line, because the number is the server's choice.
        if let Some(why) = fault {
            tracing::warn!(left_out = tools.len() - good.len(), "tools are left out; of the first, {why}");
        }
        self.remember(&learnt);
        if good.len() == tools.len() {
            return None;
        }
        let good = serde_json::to_vec(&good).ok()?;
        let edits = [crate::json::object::Edit::Set("tools", &good)];
        crate::json::object::edit(page.as_bytes(), &edits).ok().map(Json::trusted)
    }

    fn remember(&self, learnt: &[(String, Arc<[Param]>)]) {
        let known = self.0.load();
        if learnt.iter().all(|(name, params)| params.is_empty() && !known.contains_key(name.as_str())) {
            return;
        }
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            for (name, params) in learnt {
                if params.is_empty() {
                    known.remove(name.as_str());
                } else if known.len() < MAX_TOOLS || known.contains_key(name.as_str()) {
                    known.insert(name.as_str().into(), params.clone());
                }
            }
            known
        });
    }

    /// The headers of a call, as far as its tool's annotations are known.
    pub(super) fn headers(&self, call: &Call) -> Option<HeaderMap> {
        let known = self.0.load();
        // Hardly any server has such tools, and arguments are read for no other.
        if known.is_empty() {
            return None;
        }
        let params = call.params.name().and_then(|name| known.get(&*name))?;
        let arguments = call.params.member("arguments").and_then(|arguments| arguments.read::<Value>().ok())?;
        let mut headers = HeaderMap::new();
        for Param { header, path } in params.iter() {
            let value = path.iter().try_fold(&arguments, |value, name| value.get(name));
            let text = match value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(truth)) => truth.to_string(),
                // Absent and null have no header; what else there is the schema does not allow.
                _ => continue,
            };
            headers.insert(header.clone(), header::value(&text));
        }
        Some(headers)
    }
}

/// Adds what one tool's schema says of its arguments, which may be nothing.
fn read_one(tool: &str, learnt: &mut Vec<(String, Arc<[Param]>)>) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Tool {
        name: String,
        #[serde(default, rename = "inputSchema")]
        schema: Value,
    }
    let annotated = memmem::find(tool.as_bytes(), KEY.as_bytes()).is_some();
    // What cannot be read is for others to find fault with.
    let Ok(Tool { name, schema }) = serde_json::from_str(tool) else { return Ok(()) };
    let mut params = Vec::new();
    let read = if annotated { collect(&schema, &mut Vec::new(), &mut params) } else { Ok(()) };
    if read.is_err() {
        params.clear();
    }
    let shown = || name.chars().take(SHOWN).collect::<String>();
    let read = read.map_err(|why| format!("{:?} has an {KEY} that {why}", shown()));
    learnt.push((name, params.into()));
    read
}

/// Finds the annotated properties of a schema.
fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Param>) -> Result<(), &'static str> {
    let Value::Object(schema) = schema else { return Ok(()) };
    for (keyword, value) in schema {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) if path.len() < MAX_DEPTH => {
                for (name, property) in properties {
                    path.push(name.clone());
                    annotation(property, path, found)?;
                    collect(property, path, found)?;
                    path.pop();
                }
            }
            (KEY, _) if !path.is_empty() => {}
            // Text that only looks like it.
            ("description" | "title" | "default" | "examples" | "const" | "enum" | "$comment", _) => {}
            (_, elsewhere) if mentions(elsewhere) => return Err("is not in `properties` all the way"),
            (KEY, _) => return Err("is at no property"),
            _ => {}
        }
    }
    Ok(())
}

fn annotation(property: &Value, path: &[String], found: &mut Vec<Param>) -> Result<(), &'static str> {
    let Some(name) = property.get(KEY) else { return Ok(()) };
    if !matches!(property.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
        return Err("is at a property that is no string, integer or boolean");
    }
    if found.len() == MAX_ANNOTATIONS {
        return Err("more arguments have than one request has room for");
    }
    if path.iter().map(String::len).sum::<usize>() > MAX_PATH {
        return Err("is at a property whose path is too long");
    }
    let name = name.as_str().filter(|name| !name.is_empty()).ok_or("is no name")?;
    let header = HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes()).map_err(|_| "is no header name")?;
    if found.iter().any(|param| param.header == header) {
        return Err("another property has as well");
    }
    found.push(Param { header, path: path.to_vec() });
    Ok(())
}

/// Whether an annotation stands somewhere in a part of a schema.
fn mentions(schema: &Value) -> bool {
    let any = |members: &Map<String, Value>| members.iter().any(|(key, value)| key == KEY || mentions(value));
    match schema {
        Value::Object(members) => any(members),
        Value::Array(items) => items.iter().any(mentions),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, json::Params};
    use serde_json::json;

    fn page(tools: Value) -> Json {
        Json::from_value(&json!({"tools": tools, "nextCursor": "c"})).unwrap()
    }

    fn headers(annotations: &Annotations, name: &str, arguments: Value) -> Vec<(String, String)> {
        let params = Params::from_value(&json!({"name": name, "arguments": arguments})).unwrap();
        let headers = annotations.headers(&Call::new(Method::TOOLS_CALL, params)).unwrap_or_default();
        let mut all: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        all.sort();
        all
    }

    #[test]
    fn arguments_are_repeated_as_the_list_says() {
        let annotations = Annotations::default();
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "in": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"},
            "free": {"type": "string"},
        }});
        assert!(annotations.learn(&page(json!([{"name": "t", "inputSchema": schema}]))).is_none());
        let arguments = json!({"region": "Zürich", "in": {"n": 42}, "dry": null, "free": "x"});
        let expected = [("mcp-param-n", "42"), ("mcp-param-region", "=?base64?WsO8cmljaA==?=")];
        assert_eq!(headers(&annotations, "t", arguments), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(headers(&annotations, "t", json!({"dry": true})), [("mcp-param-dry".into(), "true".into())]);
        assert!(headers(&annotations, "u", json!({"region": "eu"})).is_empty());
        annotations.learn(&page(json!([{"name": "t", "inputSchema": {}}])));
        assert!(headers(&annotations, "t", json!({"region": "eu"})).is_empty(), "the latest list holds");
    }

    #[test]
    fn one_call_has_room_for_all_headers_of_a_tool() {
        let learnt = |arguments: usize, name: usize| {
            let argument = |n: usize| (n.to_string(), json!({"type": "string", "x-mcp-header": format!("A{n}")}));
            let arguments: Map<_, _> = (0..arguments).map(argument).collect();
            let schema = json!({"properties": {"a".repeat(name): {"properties": arguments}}});
            Annotations::default().learn(&page(json!([{"name": "t", "inputSchema": schema}]))).is_none()
        };
        assert!(learnt(64, 1) && learnt(1, 1023));
        assert!(!learnt(65, 1) && !learnt(1, 1024));
    }

    #[test]
    fn a_tool_whose_annotations_are_no_good_is_left_out_and_no_other() {
        let one = |property: Value| json!({"type": "object", "properties": {"a": property}});
        let annotated = |kind: &str, name: Value| one(json!({"type": kind, "x-mcp-header": name}));
        for schema in [
            annotated("number", json!("A")),
            annotated("object", json!("A")),
            annotated("string", json!("")),
            annotated("string", json!("a b")),
            annotated("string", json!(7)),
            one(json!({"type": "array", "items": {"type": "string", "x-mcp-header": "A"}})),
            json!({"anyOf": [annotated("string", json!("A"))]}),
            json!({"properties": {
                "a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}
            }}),
        ] {
            let tools = json!([{"name": "bad", "inputSchema": schema}, {"name": "good", "inputSchema": {}}]);
            let left = Annotations::default().learn(&page(tools)).expect("a page without it");
            let left: Value = left.read().unwrap();
            assert_eq!(left, json!({"tools": [{"name": "good", "inputSchema": {}}], "nextCursor": "c"}), "{schema}");
        }
        let spoken = json!([{"name": "t", "description": "has no x-mcp-header", "inputSchema": {"description": "x-mcp-header"}}]);
        assert!(Annotations::default().learn(&page(spoken)).is_none());
    }
}
