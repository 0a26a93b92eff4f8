use super::{Freshness, Kind, Listing, Merge, Part};
use crate::{
    Method, Revision,
    json::{
        Json,
        object::{self, Edit, push_member},
        write,
    },
    meta,
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Extensions the gateway cannot carry, and therefore does not advertise for a server: its methods would have to be
/// routed by task.
const NOT_CARRIED: [&str; 1] = ["io.modelcontextprotocol/tasks"];

/// The results that are the same for every client, built once per table and shared by all who ask.
///
/// A list of ten thousand tools is some megabytes. To answer with it costs a reference count.
///
/// ```
/// use tower_mcp_gateway::{Method, catalog::Kind, route::{Pool, Table}};
///
/// let table = Table::<Pool>::default();
/// let prompts = table.rendered().result(&Method::PROMPTS_LIST).unwrap();
/// assert_eq!(prompts, table.rendered().list(Kind::Prompts));
/// assert!(table.rendered().result(&Method::TOOLS_CALL).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub(super) lists: [Json; 4],
    pub(super) early_tools: Json,
    pub(super) discover: Json,
}

impl Rendered {
    /// The result of a list.
    pub fn list(&self, kind: Kind) -> &Json {
        &self.lists[kind as usize]
    }

    /// The tools in the words of the initialize era; the same bytes as the [list](Self::list) where no tool differs.
    ///
    /// 2026-07-28 has no `execution` in a tool, so clients of that revision get none. Earlier revisions know it, and have
    /// no `outputSchema` that is not of `"type": "object"`, which their clients refuse together with the whole list.
    pub fn early_tools(&self) -> &Json {
        &self.early_tools
    }

    /// The result of `server/discover`.
    pub fn discover(&self) -> &Json {
        &self.discover
    }

    /// What is listed for clients that open with `initialize`.
    pub fn early_result(&self, method: &Method) -> Option<&Json> {
        if *method == Method::TOOLS_LIST { Some(&self.early_tools) } else { self.result(method) }
    }

    /// The result of this method, if it is one of those.
    pub fn result(&self, method: &Method) -> Option<&Json> {
        if *method == Method::DISCOVER { Some(&self.discover) } else { Kind::of(method).map(|kind| self.list(kind)) }
    }
}

/// A list being written.
#[derive(Clone, Debug)]
pub(super) struct Array {
    out: Vec<u8>,
    member: &'static str,
    freshness: Option<Freshness>,
}

impl Array {
    pub(super) fn new(kind: Kind) -> Self {
        Self { out: b"[".to_vec(), member: kind.member(), freshness: None }
    }

    pub(super) fn push(&mut self, item: &[u8]) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(item);
    }

    /// The list is as fresh as its oldest part, and private if any part is.
    pub(super) fn part(&mut self, freshness: Option<Freshness>) {
        self.freshness = self.freshness.into_iter().chain(freshness).reduce(Freshness::and);
    }

    /// The same parts as those of another list.
    pub(super) fn freshness_of(&mut self, other: &Self) {
        self.freshness = other.freshness;
    }

    pub(super) fn finish(mut self) -> Json {
        self.out.push(b']');
        let mut out = open(self.freshness);
        push_member(&mut out, self.member, &self.out);
        close(out)
    }
}

/// A tool as clients of 2026-07-28 see it, where that differs from what its server wrote.
pub(super) fn modern_tool(tool: &[u8]) -> Option<Bytes> {
    edited(tool, |key, _| key == "execution")
}

/// A tool as earlier clients see it, where that differs.
pub(super) fn early_tool(tool: &[u8]) -> Option<Bytes> {
    let is_object = |schema: &str| {
        let kind = object::get(&Bytes::copy_from_slice(schema.as_bytes()), "type");
        kind.ok().flatten().is_some_and(|kind| kind.as_str() == "\"object\"")
    };
    edited(tool, |key, value| key == "outputSchema" && !is_object(value))
}

/// The object without the one member that `is_out` names, if it has one.
fn edited(object: &[u8], is_out: impl Fn(&str, &str) -> bool) -> Option<Bytes> {
    let mut out = None;
    object::each_member(object, |key, value| {
        if is_out(key, value.get()) {
            out = Some(key.to_owned());
        }
    })
    .ok()?;
    object::edit(object, &[Edit::Remove(&out?)]).ok()
}

/// Every cacheable result begins with what 2026-07-28 demands, so that whoever looks for it finds it at once; older
/// clients skip what they do not know.
fn open(freshness: Option<Freshness>) -> Vec<u8> {
    let Freshness { ttl_ms, public } = freshness.unwrap_or(Freshness::NONE);
    let mut out = b"{".to_vec();
    push_member(&mut out, "resultType", b"\"complete\"");
    push_member(&mut out, "ttlMs", ttl_ms.to_string().as_bytes());
    push_member(&mut out, "cacheScope", if public { b"\"public\"" } else { b"\"private\"" });
    out
}

fn close(mut out: Vec<u8>) -> Json {
    out.push(b'}');
    Json::trusted(out.into())
}

/// The result of `server/discover`.
pub(super) fn discover<S>(merge: &Merge, parts: &[Part<S>]) -> Json {
    let freshness = parts.iter().flat_map(Part::listings).filter_map(|(_, listing)| listing.freshness);
    let mut out = open(freshness.reduce(Freshness::and));
    let versions = [Revision::LATEST_MODERN.as_str()];
    push_member(&mut out, "supportedVersions", &serde_json::to_vec(&versions).expect("strings are JSON"));
    push_member(&mut out, "capabilities", &capabilities(parts));
    if let Some(instructions) = instructions(parts) {
        let mut text = Vec::new();
        write::string(&mut text, &instructions);
        push_member(&mut out, "instructions", &text);
    }
    let (mut about, info) = (b"{".to_vec(), serde_json::json!({"name": merge.name, "version": merge.version}));
    push_member(&mut about, meta::SERVER_INFO, info.to_string().as_bytes());
    let behind = parts.iter().flat_map(Part::listings).filter_map(|(_, listing)| listing.identity.as_ref());
    merge.identity.before(behind).write(&mut about);
    about.push(b'}');
    push_member(&mut out, meta::META, &about);
    close(out)
}

/// Tools, prompts and resources stand there whatever the servers have: the gateway answers these lists in any case, a
/// server with the first prompt may be registered at any time, and a client that opened with `initialize` is told
/// only once. What servers do themselves (completion, logging, subscriptions to resources, extensions) stands there if
/// one has it.
fn capabilities<S>(parts: &[Part<S>]) -> Vec<u8> {
    let mut out = b"{".to_vec();
    let listings = || parts.iter().flat_map(Part::listings).map(|(_, listing)| listing);
    for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
        let subscribes = kind == Kind::Resources && listings().any(Listing::subscribes);
        let declared: &[u8] =
            if subscribes { br#"{"listChanged":true,"subscribe":true}"# } else { br#"{"listChanged":true}"# };
        push_member(&mut out, kind.capability(), declared);
    }
    for capability in ["completions", "logging"] {
        if listings().any(|listing| listing.has(capability)) {
            push_member(&mut out, capability, b"{}");
        }
    }
    let mut extensions = BTreeMap::new();
    for declared in listings().filter_map(|listing| listing.capabilities.as_ref()?.member("extensions")) {
        // What is no object declares no extension.
        let _ = object::each_member(declared.as_bytes(), |id, settings| {
            if !NOT_CARRIED.contains(&id) {
                extensions.entry(id.to_owned()).or_insert_with(|| settings.get().to_owned());
            }
        });
    }
    if !extensions.is_empty() {
        let mut object = b"{".to_vec();
        for (id, settings) in &extensions {
            push_member(&mut object, id, settings.as_bytes());
        }
        object.push(b'}');
        push_member(&mut out, "extensions", &object);
    }
    out.push(b'}');
    out
}

/// What the servers tell models, each under its name; a single server's stand alone.
fn instructions<S>(parts: &[Part<S>]) -> Option<String> {
    let said = parts.iter().filter_map(|part| {
        let text = part.listings().find_map(|(_, listing)| listing.instructions.as_deref())?;
        (!text.trim().is_empty()).then_some((&part.server, text))
    });
    let said: Vec<_> = said.collect();
    match (&said[..], parts.len()) {
        ([], _) => None,
        ([(_, text)], 1) => Some((*text).to_owned()),
        _ => Some(said.iter().map(|(server, text)| format!("## {server}\n\n{text}")).collect::<Vec<_>>().join("\n\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::splices::object_of;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    proptest! {
        /// parse(splice(x)) = edit(parse(x)), for clients of either era; where nothing changes, the bytes stay.
        #[test]
        fn a_tool_loses_what_its_client_does_not_know_and_nothing_else(
            (tool, text) in object_of("outputSchema|execution|name|[a-c]".prop_map(String::from)),
            kind in prop::option::of("object|array"),
        ) {
            let (mut tool, mut text) = (tool, text);
            if let Some(kind) = kind {
                tool["outputSchema"] = json!({"type": kind});
                text = tool.to_string();
            }
            let read = |edited: Option<Bytes>| edited.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
            let without = |key: &str, out: bool| out.then(|| {
                let mut tool = tool.clone();
                tool.as_object_mut().unwrap().remove(key);
                tool
            });
            prop_assert_eq!(read(modern_tool(text.as_bytes())), without("execution", tool.get("execution").is_some()));
            let odd = tool.get("outputSchema").is_some_and(|schema| schema["type"] != "object");
            prop_assert_eq!(read(early_tool(text.as_bytes())), without("outputSchema", odd));
        }
    }
}
