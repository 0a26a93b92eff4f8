//! Arguments that a server wants to see in headers as well (2026-07-28, "server/tools: x-mcp-header").

use super::header;
use crate::{
    Call,
    catalog::Item,
    json::Json,
    param_headers::{MAX_ANNOTATIONS, MAX_HEADER, MAX_PATH},
};
use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
use memchr::memmem;
use serde_json::{Map, Value, value::RawValue};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const KEY: &str = "x-mcp-header";
/// Tools with such arguments that are remembered: those that were listed last, because nothing says that one is gone but that
/// lists do without it. Calls of others go without headers, are refused by the server, and have it listed again.
const MAX_TOOLS: usize = 4096;
/// What is remembered of them in all: hundreds of times what tools usually have, and a hundred of the largest ones.
const MAX_BYTES: usize = 8 << 20;
/// How deep an argument may lie.
const MAX_DEPTH: usize = 16;
/// The characters of a tool's name that the log shows: models take no longer ones.
const SHOWN: usize = 64;

/// What the lists of a server say about its tools.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    known: ArcSwap<Known>,
    /// Whether any are known: hardly any server has such tools, and each call looks.
    any: AtomicBool,
}

/// Tools by name.
#[derive(Clone, Debug, Default)]
struct Known {
    tools: HashMap<Box<str>, Tool>,
    /// How many were listed so far.
    listed: u64,
}

#[derive(Clone, Debug)]
struct Tool {
    params: Arc<[Param]>,
    /// The place of its latest listing among all.
    listed: u64,
}

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
        let nothing_known = !self.any.load(Ordering::Acquire);
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
        let known = self.known.load();
        if learnt.iter().all(|(name, params)| params.is_empty() && !known.tools.contains_key(name.as_str())) {
            return;
        }
        self.known.rcu(|known| {
            let mut known = Known::clone(known);
            learnt.iter().for_each(|(name, params)| known.learn(name, params));
            known.forget();
            known
        });
        self.any.store(true, Ordering::Release);
    }

    /// The headers of a call, as far as its tool's annotations are known.
    pub(super) fn headers(&self, call: &Call) -> Option<HeaderMap> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let known = self.known.load();
        let Tool { params, .. } = call.params.name().and_then(|name| known.tools.get(&*name))?;
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

impl Known {
    fn learn(&mut self, name: &str, params: &Arc<[Param]>) {
        if params.is_empty() {
            self.tools.remove(name);
            return;
        }
        self.listed += 1;
        self.tools.insert(name.into(), Tool { params: params.clone(), listed: self.listed });
    }

    /// Forgets what is beyond the bounds. Two lists that are read at once remind of what is in either.
    fn forget(&mut self) {
        let mut latest: Vec<_> =
            self.tools.iter().map(|(name, tool)| (tool.listed, tool.bytes() + name.len())).collect();
        if latest.len() <= MAX_TOOLS && latest.iter().map(|(_, bytes)| bytes).sum::<usize>() <= MAX_BYTES {
            return;
        }
        latest.sort_unstable_by(|a, b| b.cmp(a));
        let mut room = MAX_BYTES;
        let fits = |(_, bytes): &&(u64, usize)| room.checked_sub(*bytes).map(|rest| room = rest).is_some();
        let since = latest.iter().take(MAX_TOOLS).take_while(fits).last().map_or(u64::MAX, |(listed, _)| *listed);
        self.tools.retain(|_, tool| tool.listed >= since);
    }
}

impl Tool {
    /// The text that is kept.
    fn bytes(&self) -> usize {
        let of = |param: &Param| param.header.as_str().len() + param.path.iter().map(String::len).sum::<usize>();
        self.params.iter().map(of).sum()
    }
}

/// Adds what one tool's schema says of its arguments, which may be nothing.
fn read_one(tool: &str, learnt: &mut Vec<(String, Arc<[Param]>)>) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Listed {
        name: String,
        #[serde(default, rename = "inputSchema")]
        schema: Value,
    }
    let annotated = memmem::find(tool.as_bytes(), KEY.as_bytes()).is_some();
    // What cannot be read is for others to find fault with.
    let Ok(Listed { name, schema }) = serde_json::from_str(tool) else { return Ok(()) };
    let mut params = Vec::new();
    let read = if annotated { collect(&schema, &mut Vec::new(), &mut params) } else { Ok(()) };
    if read.is_err() {
        params.clear();
    }
    let shown = || name.chars().take(SHOWN).collect::<String>();
    let read = read.map_err(|why| format!("{:?} has an {KEY} that {why}", shown()));
    // No client is shown a tool with a longer name.
    if name.len() <= Item::MAX_NAME {
        learnt.push((name, params.into()));
    }
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
    if name.len() > MAX_HEADER {
        return Err("is longer than 256 bytes");
    }
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

    /// A tool with one argument, behind a name of this length, in a header whose name has that one.
    fn annotated(name: &str, argument: usize, header: usize) -> Value {
        let argument = ("a".repeat(argument), json!({"type": "string", "x-mcp-header": "h".repeat(header)}));
        json!({"name": name, "inputSchema": {"properties": Map::from_iter([argument])}})
    }

    fn knows(annotations: &Annotations, name: &str) -> bool {
        annotations.known.load().tools.contains_key(name)
    }

    #[test]
    fn the_tools_that_were_listed_last_are_remembered() {
        let annotations = Annotations::default();
        let list = |names: std::ops::Range<usize>| {
            let tools = names.map(|n| annotated(&n.to_string(), 1, 1)).collect();
            assert!(annotations.learn(&page(tools)).is_none());
        };
        list(0..MAX_TOOLS);
        list(0..1);
        for come in (MAX_TOOLS..2 * MAX_TOOLS - 1).step_by(1000) {
            list(come..come + 1);
            assert!(knows(&annotations, &come.to_string()), "tools that come later are learnt");
            assert_eq!(annotations.known.load().tools.len(), MAX_TOOLS);
        }
        assert!(knows(&annotations, "0"), "it was listed again");
        assert!(!knows(&annotations, "1"), "nobody has listed it for the longest time");
        list(0..MAX_TOOLS + 7);
        assert_eq!(annotations.known.load().tools.len(), MAX_TOOLS);
    }

    #[test]
    fn what_is_remembered_of_tools_is_bounded_in_bytes() {
        let annotations = Annotations::default();
        let argument = |n: usize| (n.to_string(), json!({"type": "string", "x-mcp-header": format!("{n:0256}")}));
        let arguments: Map<_, _> = (0..MAX_ANNOTATIONS).map(argument).collect();
        let schema = json!({"properties": {"a".repeat(MAX_PATH - 2): {"properties": arguments}}});
        for n in 0..150 {
            annotations.learn(&page(json!([{"name": n.to_string(), "inputSchema": schema}])));
            assert!(knows(&annotations, &n.to_string()));
        }
        let known = annotations.known.load();
        let bytes: usize = known.tools.iter().map(|(name, tool)| name.len() + tool.bytes()).sum();
        assert!((MAX_BYTES / 2..=MAX_BYTES).contains(&bytes), "{bytes}");
        assert!(!knows(&annotations, "0"));
    }

    #[test]
    fn names_are_remembered_up_to_a_length() {
        let learn = |name: usize, header: usize| {
            let (annotations, name) = (Annotations::default(), "n".repeat(name));
            let is_whole = annotations.learn(&page(json!([annotated(&name, 1, header)]))).is_none();
            (is_whole, knows(&annotations, &name))
        };
        assert_eq!(learn(Item::MAX_NAME, MAX_HEADER), (true, true));
        assert_eq!(learn(Item::MAX_NAME + 1, MAX_HEADER), (true, false));
        assert_eq!(learn(1, MAX_HEADER + 1), (false, false));
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
