use crate::{
    Call, Method,
    json::{Json, object},
    meta,
    reply::Ask,
};
use std::{cell::RefCell, ops::Deref, sync::Arc};

/// Extensions are passed on as they are; a client that says more about them than this is taken to have none.
const MAX_REST: usize = 8 << 10;

/// What a client can be asked, by its own declaration (2026-07-28, "basic/index: Capabilities").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    form: bool,
    url: bool,
    sampling: bool,
    sampling_tools: bool,
    sampling_context: bool,
    roots: bool,
    /// Members that have nothing to do with questions, each after a comma.
    rest: String,
}

/// What a client declares, and how it is declared at a server in its place.
#[derive(Debug)]
pub(super) struct Declared {
    abilities: Abilities,
    pub(super) declaration: Arc<str>,
}

thread_local! {
    /// What was read last on this thread: every call of a client declares the same, and most clients do.
    static LATEST: RefCell<Option<Read>> = const { RefCell::new(None) };
}

struct Read {
    text: Box<[u8]>,
    declared: Arc<Declared>,
}

impl Declared {
    fn read(declared: &Json) -> Arc<Self> {
        LATEST.with_borrow_mut(|latest| match latest {
            Some(read) if *read.text == declared.as_bytes()[..] => read.declared.clone(),
            _ => {
                let (text, declared) =
                    (declared.as_bytes()[..].into(), Arc::new(Self::new(Abilities::parse(declared))));
                *latest = Some(Read { text, declared: declared.clone() });
                declared
            }
        })
    }

    fn new(abilities: Abilities) -> Self {
        let declaration = abilities.declaration();
        Self { abilities, declaration }
    }
}

impl Default for Declared {
    fn default() -> Self {
        Self::new(Abilities::default())
    }
}

impl Deref for Declared {
    type Target = Abilities;

    fn deref(&self) -> &Abilities {
        &self.abilities
    }
}

impl Abilities {
    /// What the client of this call declares.
    pub(super) fn of(call: &Call) -> Arc<Declared> {
        let declared = call.params.meta_member(meta::CLIENT_CAPABILITIES);
        declared.map_or_else(Arc::default, |declared| Declared::read(&declared))
    }

    fn parse(declared: &Json) -> Self {
        let mut abilities = Self::default();
        // What cannot be read is not declared.
        let _ = object::each_member(declared.as_bytes(), |key, value| {
            let text = value.get();
            let has = |name: &str| {
                let member = object::get(&bytes::Bytes::copy_from_slice(text.as_bytes()), name);
                member.ok().flatten().is_some_and(|member| member.as_bytes().starts_with(b"{"))
            };
            if !text.starts_with('{') {
                return;
            }
            match key {
                "elicitation" => {
                    abilities.url = has("url");
                    // Without a mode it means forms (2025-11-25, "client/elicitation").
                    abilities.form = has("form") || !abilities.url;
                }
                "sampling" => {
                    abilities.sampling = true;
                    (abilities.sampling_tools, abilities.sampling_context) = (has("tools"), has("context"));
                }
                "roots" => abilities.roots = true,
                "extensions" | "experimental" if abilities.rest.len() + text.len() <= MAX_REST => {
                    abilities.rest.push_str(&format!(",\"{key}\":{text}"));
                }
                _ => {}
            }
        });
        abilities
    }

    /// Everything the gateway can carry from a server to a client.
    pub(super) fn all() -> Self {
        let rest = String::new();
        Self { form: true, url: true, sampling: true, sampling_tools: true, sampling_context: true, roots: true, rest }
    }

    /// The `capabilities` of `initialize`. A client's roots do not change as far as its server is told: it asks again.
    pub(super) fn declaration(&self) -> Arc<str> {
        let mut members = String::new();
        members.push_str(match (self.form, self.url) {
            (false, false) => "",
            // What every revision that knows elicitation takes.
            (true, false) => r#","elicitation":{}"#,
            (false, true) => r#","elicitation":{"url":{}}"#,
            (true, true) => r#","elicitation":{"form":{},"url":{}}"#,
        });
        if self.sampling {
            members.push_str(match (self.sampling_context, self.sampling_tools) {
                (false, false) => r#","sampling":{}"#,
                (true, false) => r#","sampling":{"context":{}}"#,
                (false, true) => r#","sampling":{"tools":{}}"#,
                (true, true) => r#","sampling":{"context":{},"tools":{}}"#,
            });
        }
        if self.roots {
            members.push_str(r#","roots":{}"#);
        }
        members.push_str(&self.rest);
        format!("{{{}}}", members.strip_prefix(',').unwrap_or_default()).into()
    }

    /// Whether there is anything the client can be asked.
    pub(super) fn can_be_asked(&self) -> bool {
        self.form || self.url || self.sampling || self.roots
    }

    /// Whether the client can be asked to open an address.
    pub(super) fn open_addresses(&self) -> bool {
        self.url
    }

    /// What the client would have to declare to be asked this; `None` if it has.
    pub(super) fn lack(&self, ask: &Ask) -> Option<&'static str> {
        let text = |key| ask.params.member(key).and_then(|value| value.read::<String>().ok());
        let (able, needed) = if ask.method == Method::ELICIT {
            match text("mode").as_deref() {
                Some("url") => (self.url, NEEDS_URL),
                _ => (self.form, r#"{"elicitation":{"form":{}}}"#),
            }
        } else if ask.method == Method::SAMPLE {
            let with_tools = ["tools", "toolChoice"].iter().any(|key| ask.params.member(key).is_some());
            match with_tools {
                true => (self.sampling && self.sampling_tools, r#"{"sampling":{"tools":{}}}"#),
                false => (self.sampling, r#"{"sampling":{}}"#),
            }
        } else {
            (self.roots, r#"{"roots":{}}"#)
        };
        (!able).then_some(needed)
    }
}

/// What a client needs to be sent to an address.
pub(super) const NEEDS_URL: &str = r#"{"elicitation":{"url":{}}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Params;

    fn abilities(declared: &'static str) -> Abilities {
        Abilities::parse(&Json::from_static(declared))
    }

    #[test]
    fn what_is_declared_is_what_the_client_declared_in_the_words_of_before() {
        for (modern, legacy) in [
            ("{}", "{}"),
            ("[]", "{}"),
            (r#"{"elicitation":{}}"#, r#"{"elicitation":{}}"#),
            (r#"{"elicitation":{"form":{}}}"#, r#"{"elicitation":{}}"#),
            (r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":{"url":{}}}"#),
            (
                r#"{"roots":{"listChanged":true},"elicitation":{"url":{},"form":{}}}"#,
                r#"{"elicitation":{"form":{},"url":{}},"roots":{}}"#,
            ),
            (r#"{"sampling":{"tools":{}},"roots":7}"#, r#"{"sampling":{"tools":{}}}"#),
            (r#"{"extensions":{"x/y":{"a":1e400}},"tasks":{}}"#, r#"{"extensions":{"x/y":{"a":1e400}}}"#),
        ] {
            assert_eq!(&*abilities(modern).declaration(), legacy);
        }
        let all = Abilities::all().declaration();
        assert_eq!(Abilities::parse(&Json::parse(all.to_string()).unwrap()), Abilities::all());
        let long = format!(r#"{{"extensions":{{"x":"{}"}}}}"#, "x".repeat(MAX_REST));
        assert_eq!(&*Abilities::parse(&Json::parse(long).unwrap()).declaration(), "{}");
    }

    #[test]
    fn a_question_needs_what_its_kind_needs() {
        let lack = |declared, method, params: &'static str| {
            let (ask, _answer) = Ask::new(method, Params::parse(Json::from_static(params)).unwrap());
            abilities(declared).lack(&ask)
        };
        let form = r#"{"elicitation":{}}"#;
        assert_eq!(lack(form, Method::ELICIT, r#"{"message":"m"}"#), None);
        assert_eq!(lack(form, Method::ELICIT, r#"{"mode":"form"}"#), None);
        assert_eq!(lack(form, Method::ELICIT, r#"{"mode":"url"}"#), Some(NEEDS_URL));
        assert!(lack(r#"{"elicitation":{"url":{}}}"#, Method::ELICIT, "{}").is_some());
        assert_eq!(lack(r#"{"sampling":{}}"#, Method::SAMPLE, "{}"), None);
        assert!(lack(r#"{"sampling":{}}"#, Method::SAMPLE, r#"{"tools":[]}"#).is_some());
        assert_eq!(lack(r#"{"sampling":{"tools":{}}}"#, Method::SAMPLE, r#"{"toolChoice":{}}"#), None);
        assert_eq!(lack("{}", Method::ROOTS_LIST, "{}"), Some(r#"{"roots":{}}"#));
    }
}
