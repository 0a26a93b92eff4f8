//! The inputs, in files of one concern each.
//!
//! ```text
//! case: what is wrong
//! era: modern              only for one era; both where it is left out
//! answer: 400/-32700 cut   what is acceptable: a status, with a code or `result`; `cut` is the end without an answer
//! head: name: value        a header instead of the good one of that name
//! also: name: value        a header beside it
//! without: name            no such header
//! line: GET / HTTP/1.1     another request line
//! as: tools/call echo      the method, and perhaps the name, that the headers repeat
//! body: {…}                instead of a good one
//! raw:                     all bytes as they are, a line for each line that begins with a bar
//! | GET / HTTP/1.1
//! ```
//!
//! Between `‹` and `›`: hexadecimal bytes (`‹00 ff›`), a repetition (`‹200000*x›`), or what depends on the era:
//! `‹headers›` (all that are right, each with CRLF, without the length), `‹host›`, `‹meta›` (the member `_meta`),
//! `‹session›`, `‹length›` (of a good body) and `‹good›` (that body).

use crate::{era::Era, talk::Answer};
use std::path::Path;

/// One input.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) wants: Vec<Want>,
    era: Option<String>,
    line: Option<String>,
    changes: Vec<Change>,
    named: Option<String>,
    body: Option<String>,
    raw: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Head(String),
    Also(String),
    Without(String),
}

/// An answer that will do.
#[derive(Debug)]
pub(crate) struct Want {
    status: Option<u16>,
    message: Option<Message>,
}

#[derive(Debug)]
enum Message {
    Code(i64),
    Result,
}

impl Want {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "cut" {
            return Some(Self { status: None, message: None });
        }
        let (status, message) = text.split_once('/').map_or((text, None), |(status, message)| (status, Some(message)));
        let message = match message {
            None => None,
            Some("result") => Some(Message::Result),
            Some(code) => Some(Message::Code(code.parse().ok()?)),
        };
        Some(Self { status: Some(status.parse().ok()?), message })
    }

    pub(crate) fn takes(&self, answer: Option<&Answer>) -> bool {
        let Some(answer) = answer else { return self.status.is_none() };
        self.status == Some(answer.status)
            && match &self.message {
                None => true,
                Some(Message::Code(code)) => answer.json()["error"]["code"] == *code,
                Some(Message::Result) => answer.json().get("result").is_some(),
            }
    }
}

impl Case {
    pub(crate) fn is_for(&self, era: &Era) -> bool {
        self.era.as_deref().is_none_or(|name| name == era.name)
    }

    /// What is sent.
    pub(crate) fn bytes(&self, era: &Era) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return expand(&raw.join("‹0d 0a›"), era);
        }
        let body = self.body.as_ref().map_or_else(|| era.body().into_bytes(), |body| expand(body, era));
        let line = self.line.as_deref().unwrap_or("POST /mcp HTTP/1.1");
        let named = self.named.as_deref().map_or(("tools/list", None), |named| match named.split_once(' ') {
            Some((method, name)) => (method, Some(name)),
            None => (named, None),
        });
        let mut headers = era.headers(named.0, named.1);
        headers.push(format!("content-length: {}", body.len()));
        let name = |header: &str| header.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        for change in &self.changes {
            match change {
                Change::Also(header) => headers.push(header.clone()),
                Change::Without(dropped) => headers.retain(|header| name(header) != name(dropped)),
                Change::Head(set) => {
                    headers.retain(|header| name(header) != name(set));
                    headers.push(set.clone());
                }
            }
        }
        let head = [&[line.to_owned()], &headers[..]].concat().join("‹0d 0a›");
        [expand(&head, era), b"\r\n\r\n".to_vec(), body].concat()
    }
}

/// All cases of all files.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let file = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut cases: Vec<Case> = Vec::new();
    for (n, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
        let wrong = || format!("{file}.txt:{}: {line}", n + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(raw) = line.strip_prefix('|') {
            let case = cases.last_mut().unwrap_or_else(|| panic!("{}", wrong()));
            let raw = raw.strip_prefix(' ').unwrap_or(raw).to_owned();
            case.raw.as_mut().unwrap_or_else(|| panic!("{}", wrong())).push(raw);
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{}", wrong()));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        if key == "case" {
            cases.push(Case { file: file.clone(), name: value, ..Case::default() });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{}", wrong()));
        match key {
            "era" => case.era = Some(value),
            "answer" => {
                case.wants =
                    value.split(' ').map(|want| Want::parse(want).unwrap_or_else(|| panic!("{}", wrong()))).collect()
            }
            "line" => case.line = Some(value),
            "head" => case.changes.push(Change::Head(value)),
            "also" => case.changes.push(Change::Also(value)),
            "without" => case.changes.push(Change::Without(value)),
            "as" => case.named = Some(value),
            "body" => case.body = Some(value),
            "raw" => case.raw = Some(Vec::new()),
            _ => panic!("{}", wrong()),
        }
    }
    cases
}

/// The bytes that a text stands for.
fn expand(text: &str, era: &Era) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('‹') {
        let (inner, after) = after.split_once('›').unwrap_or_else(|| panic!("no end: {text}"));
        out.extend_from_slice(before.as_bytes());
        match inner {
            "headers" => {
                out.extend_from_slice(format!("{}\r\n", era.headers("tools/list", None).join("\r\n")).as_bytes())
            }
            "host" => out.extend_from_slice(era.host().as_bytes()),
            "meta" => out.extend_from_slice(era.meta().as_bytes()),
            "session" => out.extend_from_slice(era.session().as_bytes()),
            "length" => out.extend_from_slice(era.body().len().to_string().as_bytes()),
            "good" => out.extend_from_slice(era.body().as_bytes()),
            _ => match inner.split_once('*') {
                Some((times, what)) => out.extend_from_slice(what.repeat(times.parse().unwrap()).as_bytes()),
                None => {
                    out.extend(inner.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("bytes in hexadecimal")))
                }
            },
        }
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
