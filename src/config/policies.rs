use super::reader::{Field, Object, Reader, list};
use crate::{
    Glob,
    auth::AuthLayer,
    policy::{Policies, Policy},
};

const FIELDS: &[&str] = &["servers", "tools", "deny", "requests", "maxInFlight"];

/// Reads `policies` and `principals`: who sees and may do what.
pub(super) fn read(reader: &mut Reader<'_>, root: &Object<'_>, auth: &mut Option<AuthLayer>) {
    let named: Vec<(String, Policy)> = root.get("policies").map(|field| policies(reader, field)).unwrap_or_default();
    let Some(field) = root.get("principals") else {
        if let Some(field) = root.get("policies") {
            reader.wrong(
                field,
                "is for nobody: name in `principals` who has which policy, as in `{ \"*\": \"readers\" }`",
            );
        }
        return;
    };
    let principals = principals(reader, field, &named);
    match auth.take() {
        Some(layer) if layer.is_required() => *auth = principals.map(|principals| layer.policies(principals)),
        other => {
            *auth = other;
            reader.wrong(field, "nobody says who they are: principals are known by `auth`");
        }
    }
}

fn policies(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<(String, Policy)> {
    let members = reader.map(field).unwrap_or_default();
    if members.len() > Policies::MAX {
        reader.wrong(field, format!("holds more than {} policies", Policies::MAX));
        return Vec::new();
    }
    members.into_iter().filter_map(|(name, field)| Some((name.clone(), policy(reader, name, &field)?))).collect()
}

fn policy(reader: &mut Reader<'_>, name: String, field: &Field<'_>) -> Option<Policy> {
    let object = reader.object(field, FIELDS, |_| None)?;
    let mut policy = Policy::new(name);
    if let Some(patterns) = patterns(reader, &object, "servers") {
        policy = policy.servers(patterns);
    }
    if let Some(patterns) = patterns(reader, &object, "tools") {
        policy = policy.tools(patterns);
    }
    if let Some(patterns) = patterns(reader, &object, "deny") {
        policy = policy.deny(patterns);
    }
    if let Some(field) = object.get("requests") {
        let text = reader.text(field)?;
        policy = policy.rate(text.parse().map_err(|invalid| reader.wrong(field, format!("{invalid}"))).ok()?);
    }
    if let Some(field) = object.get("maxInFlight") {
        let calls = reader.integer(field, 1..=1_000_000, "")?;
        policy = policy.max_in_flight(calls.try_into().ok()?);
    }
    Some(policy)
}

fn patterns(reader: &mut Reader<'_>, object: &Object<'_>, key: &str) -> Option<Vec<Glob>> {
    let items = object.get(key).and_then(|field| reader.list(field))?;
    Some(items.iter().filter_map(|item| reader.text(item)).map(Glob::new).collect())
}

fn principals(reader: &mut Reader<'_>, field: &Field<'_>, named: &[(String, Policy)]) -> Option<Policies> {
    let mut policies = Policies::default();
    for (pattern, field) in reader.map(field)? {
        let name = reader.text(&field)?;
        match named.iter().find(|(known, _)| *known == name) {
            Some((_, policy)) => policies = policies.principal(Glob::new(pattern), policy),
            None => {
                let known: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
                let known =
                    if known.is_empty() { "there are none".into() } else { format!("there are {}", list(&known)) };
                reader.wrong(&field, format!("is no policy of `policies`: {known}"));
            }
        }
    }
    Some(policies)
}
