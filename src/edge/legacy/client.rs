use crate::{
    Call, Method, Revision, Session,
    json::{
        Json, Params, Preset,
        object::{self, Edit},
    },
    meta,
};
use http::Extensions;
use std::sync::Arc;

/// What a client told once, in its own words, and the revision that was agreed on.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) revision: Revision,
    pub(super) info: Json,
    pub(super) capabilities: Json,
}

impl Told {
    /// The most a client may tell about itself: it is kept for the life of the session, and no real one comes near.
    const MAX_BYTES: usize = 8 << 10;

    /// What the members `clientInfo` and `capabilities` of `initialize` tell; `None` if it is more than is kept.
    pub(super) fn new(revision: Revision, info: Option<Json>, capabilities: Option<Json>) -> Option<Self> {
        let object = |value: &Json| value.as_bytes().starts_with(b"{");
        let info = info.filter(object).unwrap_or(Json::from_static(r#"{"name":"unknown","version":"0"}"#));
        let capabilities = capabilities.filter(object).unwrap_or(Json::from_static("{}"));
        if info.as_bytes().len() + capabilities.as_bytes().len() > Self::MAX_BYTES {
            return None;
        }
        Some(Self { revision, info, capabilities })
    }
}

/// What a client told once, in its own words and in those of 2026-07-28.
#[derive(Debug)]
pub(in crate::edge) struct Client {
    session: Arc<Session>,
    /// The same as each request of 2026-07-28 tells it.
    preset: Preset,
}

impl Client {
    /// The client of the session with this id.
    pub(super) fn new(id: impl Into<Arc<str>>, told: Told) -> Self {
        let Told { revision, info, capabilities } = told;
        let meant = translated(&capabilities);
        let preset = Preset::new(&[
            (meta::PROTOCOL_VERSION, Revision::QUOTED_MODERN.as_bytes()),
            (meta::CLIENT_INFO, info.as_bytes()),
            (meta::CLIENT_CAPABILITIES, meant.as_bytes()),
        ]);
        // Kept once, and not in the bytes of the request they came in.
        let info = preset.member(meta::CLIENT_INFO).expect("it was preset");
        let same = || preset.member(meta::CLIENT_CAPABILITIES).filter(|_| meant == capabilities);
        let capabilities = same().unwrap_or_else(|| capabilities.unshared());
        Self { session: Arc::new(Session::new(id, revision, info, capabilities)), preset }
    }

    pub(in crate::edge) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// A request of this client as one that stands for itself.
    pub(super) fn call(&self, method: Method, params: &Params, level: Option<&str>, extensions: Extensions) -> Call {
        let params = match level {
            None => params.with_preset(&self.preset),
            Some(level) => {
                let level = format!("\"{level}\"");
                params.with_preset(&self.preset.with(Edit::Set(meta::LOG_LEVEL, level.as_bytes())))
            }
        };
        let mut call = Call::new(method, params);
        call.session = Some(self.session.clone());
        call.extensions = extensions;
        call
    }
}

/// Capabilities in the words of 2026-07-28: an elicitation without a mode means forms, roots no longer change, and
/// tasks are something else there.
fn translated(told: &Json) -> Json {
    let named = object::members(told.as_bytes(), ["roots", "elicitation", "tasks"]);
    let Ok([roots, elicitation, tasks]) = named else { return Json::from_static("{}") };
    if roots.is_none() && elicitation.is_none() && tasks.is_none() {
        return told.clone();
    }
    let roots = roots.and_then(|roots| object::edit(roots.as_bytes(), &[Edit::Remove("listChanged")]).ok());
    let elicitation = elicitation.and_then(|it| object::edit(it.as_bytes(), &[]).ok());
    let mut edits = vec![Edit::Remove("tasks")];
    if let Some(roots) = &roots {
        edits.push(Edit::Set("roots", roots));
    }
    if elicitation.is_some_and(|it| &it[..] == b"{}") {
        edits.push(Edit::Set("elicitation", br#"{"form":{}}"#));
    }
    object::edit(told.as_bytes(), &edits).map_or(Json::from_static("{}"), Json::trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_put_into_the_words_of_the_inner_revision() {
        for (told, meant) in [
            ("{}", "{}"),
            (r#"{"elicitation":{ }}"#, r#"{"elicitation":{"form":{}}}"#),
            (r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":{"url":{}}}"#),
            (r#"{"roots":{"listChanged":true},"sampling":{"tools":{}}}"#, r#"{"roots":{},"sampling":{"tools":{}}}"#),
            (r#"{"tasks":{"list":{}},"experimental":{"x":1e400}}"#, r#"{"experimental":{"x":1e400}}"#),
            (r#"{"roots":7}"#, r#"{"roots":7}"#),
            (r#"{"a":1,"a":2}"#, "{}"),
        ] {
            assert_eq!(translated(&Json::from_static(told)).as_str(), meant);
        }
    }
}
