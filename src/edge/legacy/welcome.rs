use crate::{
    Revision,
    identity::Identity,
    json::{Json, object::push_member},
    meta,
};
use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// What clients are told when they open a session: written once for as long as `server/discover` says the same.
#[derive(Debug, Default)]
pub(super) struct Welcome(ArcSwapOption<Written>);

#[derive(Debug)]
struct Written {
    found: Json,
    /// To a client of each revision.
    told: [Json; Revision::ALL.len()],
}

impl Welcome {
    /// An `InitializeResult` out of a `DiscoverResult`.
    pub(super) fn result(&self, revision: Revision, found: &Json) -> Json {
        let kept = self.0.load();
        match kept.as_deref().filter(|written| written.found.is_same(found)) {
            Some(written) => written.told[revision as usize].clone(),
            None => {
                let written = Written::new(found);
                let result = written.told[revision as usize].clone();
                self.0.store(Some(Arc::new(written)));
                result
            }
        }
    }
}

impl Written {
    fn new(found: &Json) -> Self {
        let [about, capabilities, instructions] = found.members([meta::META, "capabilities", "instructions"]);
        let this = || serde_json::json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
        let identity = Identity::of(found);
        let info = about.and_then(|about| about.member(meta::SERVER_INFO));
        let info = info.map_or_else(|| this().to_string(), |info| info.to_string());
        let capabilities = capabilities.unwrap_or(Json::from_static("{}"));
        let mut rest = Vec::new();
        push_member(&mut rest, "capabilities", capabilities.as_bytes());
        push_member(&mut rest, "serverInfo", info.as_bytes());
        if let Some(instructions) = instructions {
            push_member(&mut rest, "instructions", instructions.as_bytes());
        }
        if let Some(identity) = identity {
            let mut about = b"{".to_vec();
            identity.write(&mut about);
            about.push(b'}');
            push_member(&mut rest, meta::META, &about);
        }
        rest.push(b'}');
        let told = Revision::ALL.map(|revision| {
            let version = format!("{{\"protocolVersion\":\"{revision}\"");
            Json::trusted([version.as_bytes(), &rest].concat().into())
        });
        Self { found: found.clone(), told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_is_kept_is_told_again_and_only_for_the_bytes_it_was_written_from() {
        let found = |name: &str| {
            let text = format!(r#"{{"capabilities":{{}},"_meta":{{"{}":{{"name":"{name}"}}}}}}"#, meta::SERVER_INFO);
            Json::parse(Bytes::from(text)).unwrap()
        };
        let welcome = Welcome::default();
        let (one, other) = (found("one"), found("two"));
        for (found, name) in [(&one, "one"), (&one, "one"), (&other, "two"), (&one, "one")] {
            for revision in [Revision::V2025_03_26, Revision::V2025_11_25] {
                let told = welcome.result(revision, found);
                let meant = format!(
                    r#"{{"protocolVersion":"{revision}","capabilities":{{}},"serverInfo":{{"name":"{name}"}}}}"#
                );
                assert_eq!(told.as_str(), meant);
            }
        }
        assert_eq!(welcome.0.load().as_deref().unwrap().found, one);
    }
}
