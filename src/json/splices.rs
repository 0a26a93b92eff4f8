//! For each way in which a message's bytes are changed: *parse(splice(x)) = edit(parse(x))*.

use super::{
    Id, Json, Params,
    object::{self, Edit},
    write,
};
use crate::{Method, meta::META};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any JSON, with texts that need escapes.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c\"\\\\\u{1}é]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The name of a member: one of those that are spliced, or another.
fn key() -> impl Strategy<Value = String> {
    "name|uri|_meta|progressToken|arguments|[a-c\"\\\\é]{0,2}".prop_map(String::from)
}

/// An object with these members, compact or spread out.
pub(crate) fn object_of(member: impl Strategy<Value = String>) -> impl Strategy<Value = (Value, String)> {
    (prop::collection::btree_map(member, value(), 0..6), any::<bool>()).prop_map(|(members, spread)| {
        let value = Value::Object(members.into_iter().collect());
        let text = if spread { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        (value, text.unwrap())
    })
}

#[derive(Clone, Debug)]
enum Step {
    Name(String),
    Uri(String),
    Token(Value),
    Meta(Vec<(String, Option<Value>)>),
    Members(Vec<(String, Option<Value>)>),
}

fn step() -> impl Strategy<Value = Step> {
    let edits = || {
        let edits = prop::collection::btree_map(key(), prop::option::of(value()), 0..3);
        edits.prop_map(|edits| edits.into_iter().collect::<Vec<_>>())
    };
    prop_oneof![
        ".{0,5}".prop_map(Step::Name),
        ".{0,5}".prop_map(Step::Uri),
        value().prop_map(Step::Token),
        edits().prop_map(Step::Meta),
        edits().prop_map(Step::Members),
    ]
}

/// The same on a value.
fn apply(object: &mut Map<String, Value>, edits: &[(String, Option<Value>)]) {
    for (key, change) in edits {
        match change {
            Some(value) => object.insert(key.clone(), value.clone()),
            None => object.remove(key),
        };
    }
}

fn written(edits: &[(String, Option<Value>)]) -> Vec<(String, Option<String>)> {
    edits.iter().map(|(key, value)| (key.clone(), value.as_ref().map(Value::to_string))).collect()
}

fn as_edits(written: &[(String, Option<String>)]) -> Vec<Edit<'_>> {
    written
        .iter()
        .map(|(key, value)| value.as_ref().map_or(Edit::Remove(key), |value| Edit::Set(key, value.as_bytes())))
        .collect()
}

fn stepped(params: &Params, step: &Step) -> Params {
    match step {
        Step::Name(name) => params.with_name(name),
        Step::Uri(uri) => params.with_uri(uri),
        Step::Token(token) => {
            let mut told = params.clone();
            told.tell(&Json::from_value(token).unwrap());
            told
        }
        Step::Meta(edits) => params.edit_meta(&as_edits(&written(edits))),
        Step::Members(edits) => params.edit(&as_edits(&written(edits))).unwrap(),
    }
}

fn oracle(value: &mut Value, step: &Step) {
    let object = value.as_object_mut().unwrap();
    match step {
        Step::Name(name) => drop(object.insert("name".into(), name.as_str().into())),
        Step::Uri(uri) => drop(object.insert("uri".into(), uri.as_str().into())),
        Step::Token(token) => drop(object.insert("progressToken".into(), token.clone())),
        Step::Members(edits) => apply(object, edits),
        Step::Meta(edits) => {
            let mut meta = object.get(META).and_then(Value::as_object).cloned().unwrap_or_default();
            apply(&mut meta, edits);
            match meta.is_empty() {
                true => drop(object.remove(META)),
                false => drop(object.insert(META.into(), meta.into())),
            }
        }
    }
}

proptest! {
    #[test]
    fn edits_of_an_object((value, text) in object_of(key()), edits in prop::collection::btree_map(key(), prop::option::of(value()), 0..4)) {
        let edits: Vec<_> = edits.into_iter().collect();
        let mut value = value;
        let edited = object::edit(text.as_bytes(), &as_edits(&written(&edits))).unwrap();
        apply(value.as_object_mut().unwrap(), &edits);
        prop_assert_eq!(serde_json::from_slice::<Value>(&edited).unwrap(), value);
    }

    #[test]
    fn edits_of_parameters_one_after_the_other((value, text) in object_of(key()), steps in prop::collection::vec(step(), 1..6)) {
        let (mut value, mut params) = (value, Params::parse(Json::parse(text).unwrap()).unwrap());
        for step in &steps {
            params = stepped(&params, step);
            oracle(&mut value, step);
            prop_assert_eq!(&serde_json::from_str::<Value>(params.as_str()).unwrap(), &value, "{:?}", step);
            // What it knows of the text is what a new look at it finds.
            let anew = Params::parse(Json::parse(params.as_str().to_owned()).unwrap()).unwrap();
            prop_assert_eq!(params.name(), anew.name());
            prop_assert_eq!(params.uri(), anew.uri());
            prop_assert_eq!(params.told_token().map(|token| token.to_string()), anew.told_token().map(|token| token.to_string()));
            prop_assert_eq!(params.progress_token().map(|token| token.to_string()), anew.progress_token().map(|token| token.to_string()));
        }
    }

    #[test]
    fn frames_around_what_is_in_them((inner, text) in object_of(key()), id in any::<u64>(), method in "[a-z/é\"\\\\\u{0}-\u{1f}\u{7f}]{1,8}") {
        let (id_of, payload) = (Id::from(id), Json::parse(text.clone()).unwrap());
        let method_of = Method::new(method.clone());
        let read = |frame: bytes::Bytes| serde_json::from_slice::<Value>(&frame).unwrap();
        let (frame, mut framed) = (write::Frame { id, method: &method_of, params: text.as_bytes() }, Vec::new());
        frame.append(&mut framed);
        prop_assert_eq!(&framed, &write::request(&id_of, &method_of, text.as_bytes()));
        prop_assert_eq!(framed.len(), frame.length());
        prop_assert_eq!(read(write::request(&id_of, &method_of, text.as_bytes())), json!({"jsonrpc": "2.0", "id": id, "method": method, "params": inner}));
        prop_assert_eq!(read(write::notification(&method_of, text.as_bytes())), json!({"jsonrpc": "2.0", "method": method, "params": inner}));
        prop_assert_eq!(read(write::result(&id_of, &payload)), json!({"jsonrpc": "2.0", "id": id, "result": inner}));
        prop_assert_eq!(read(write::error(None, &payload)), json!({"jsonrpc": "2.0", "id": null, "error": inner}));
        // And the bytes of what is in them are the ones that were given.
        prop_assert!(std::str::from_utf8(&write::result(&id_of, &payload)).unwrap().contains(&text));
    }
}
