//! Completion of the arguments of a prompt or of a resource template.

use super::{
    Table, Target,
    error::{self, Unknown},
    service::{Found, unlisted_target},
};
use crate::{
    Call, Reply,
    catalog::Kind,
    json::{
        Json,
        object::{self, Edit},
        write,
    },
    reply::Outcome,
};

/// Finds the server of the prompt or resource that `ref` names.
#[inline(never)]
pub(super) fn find<S>(table: &Table<S>, call: Call) -> Found<S> {
    let Some((kind, name)) = reference(&call) else {
        return Found::refuse(error::no_name("ref"));
    };
    let target = match kind {
        Kind::Prompts => table.prompt(&name).cloned().or_else(|| unlisted_target(table, kind, &name)),
        // A template by its text; else the URI of a resource, which 2024-11-05 allows as well.
        _ => {
            let listed = table.template(&name).or_else(|| table.resource(&name).first().copied());
            listed.cloned().or_else(|| table.unlisted_of(kind).cloned().map(Target::new))
        }
    };
    match target {
        Some(target) if target.backend().abilities().completions => {
            let call = renamed(&target, call);
            Found::One(target, call)
        }
        // The gateway says that it completes if any server does, so the others have nothing to offer.
        Some(_) if table.completes() => Found::Answer(Ok(nothing())),
        Some(_) => Found::refuse(error::no_method(&call.method)),
        None => Found::Nobody(call, Unknown { kind: kind.word(), name: name.into() }),
    }
}

fn reference(call: &Call) -> Option<(Kind, String)> {
    let reference = call.params.member("ref")?;
    let (kind, member) = match reference.member("type")?.read::<String>().ok()?.as_str() {
        "ref/prompt" => (Kind::Prompts, "name"),
        "ref/resource" => (Kind::Resources, "uri"),
        _ => return None,
    };
    Some((kind, reference.member(member)?.read().ok()?))
}

/// The prompt's name stands in `ref`, not beside it.
fn renamed<S>(target: &Target<S>, mut call: Call) -> Call {
    call.providers = target.providers_of().cloned();
    if let (Some(name), Some(reference)) = (target.upstream_name(), call.params.member("ref")) {
        let mut quoted = Vec::new();
        write::string(&mut quoted, name);
        if let Ok(edited) = object::edit(reference.as_bytes(), &[Edit::Set("name", &quoted)]) {
            call.params = call.params.edit_shallow(&[Edit::Set("ref", &edited)]);
        }
    }
    call
}

fn nothing() -> Reply {
    Outcome::Result(Json::from_static(r#"{"completion":{"values":[],"total":0,"hasMore":false}}"#)).into()
}
