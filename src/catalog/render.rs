use super::{Freshness, Kind, Merge, Part};
use crate::{
    Method, Revision,
    json::{
        Json,
        object::{self, push_member},
        write,
    },
    meta,
};
use std::collections::BTreeMap;

/// Extensions the gateway cannot carry, and therefore does not advertise for a server: its methods would have to be
/// routed by task.
const NOT_CARRIED: [&str; 1] = ["io.modelcontextprotocol/tasks"];

/// The results that are the same for every client, built once per table and shared by all who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub(super) lists: [Json; 4],
    pub(super) discover: Json,
}

impl Rendered {
    /// The result of a list.
    pub fn list(&self, kind: Kind) -> &Json {
        &self.lists[kind as usize]
    }

    /// The result of `server/discover`.
    pub fn discover(&self) -> &Json {
        &self.discover
    }

    /// The result of this method, if it is one of those.
    pub fn result(&self, method: &Method) -> Option<&Json> {
        if *method == Method::DISCOVER { Some(&self.discover) } else { Kind::of(method).map(|kind| self.list(kind)) }
    }
}

/// A list being written.
#[derive(Debug)]
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

    pub(super) fn finish(mut self) -> Json {
        self.out.push(b']');
        let mut out = b"{".to_vec();
        push_member(&mut out, self.member, &self.out);
        close(out, self.freshness)
    }
}

/// Every cacheable result ends with what 2026-07-28 demands; older clients skip what they do not know.
fn close(mut out: Vec<u8>, freshness: Option<Freshness>) -> Json {
    let Freshness { ttl_ms, public } = freshness.unwrap_or(Freshness::NONE);
    push_member(&mut out, "ttlMs", ttl_ms.to_string().as_bytes());
    push_member(&mut out, "cacheScope", if public { b"\"public\"" } else { b"\"private\"" });
    push_member(&mut out, "resultType", b"\"complete\"");
    out.push(b'}');
    Json::trusted(out.into())
}

/// The result of `server/discover`.
pub(super) fn discover<S>(merge: &Merge, parts: &[Part<S>]) -> Json {
    let mut out = b"{".to_vec();
    let versions = [Revision::LATEST_MODERN.as_str()];
    push_member(&mut out, "supportedVersions", &serde_json::to_vec(&versions).expect("strings are JSON"));
    push_member(&mut out, "capabilities", &capabilities(parts));
    if let Some(instructions) = instructions(parts) {
        let mut text = Vec::new();
        write::string(&mut text, &instructions);
        push_member(&mut out, "instructions", &text);
    }
    let info = serde_json::json!({meta::SERVER_INFO: {"name": merge.name, "version": merge.version}});
    push_member(&mut out, meta::META, info.to_string().as_bytes());
    let freshness = parts.iter().flat_map(Part::listings).filter_map(|(_, listing)| listing.freshness);
    close(out, freshness.reduce(Freshness::and))
}

/// Tools, prompts and resources stand there whatever the servers have: the gateway answers these lists in any case, a
/// server with the first prompt may be registered at any time, and a client that opened with `initialize` is told
/// only once. What is forwarded (completion, extensions) stands there if a server has it.
fn capabilities<S>(parts: &[Part<S>]) -> Vec<u8> {
    let mut out = b"{".to_vec();
    for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
        push_member(&mut out, kind.capability(), br#"{"listChanged":true}"#);
    }
    let listings = || parts.iter().flat_map(Part::listings).map(|(_, listing)| listing);
    if listings().any(|listing| listing.has("completions")) {
        push_member(&mut out, "completions", b"{}");
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
