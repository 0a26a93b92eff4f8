use super::*;
#[cfg(feature = "legacy")]
use crate::json::splices::object_of;
use crate::json::{Fault, MAX_DEPTH, object::Edit};
use proptest::prelude::*;
use serde_json::{Value, json};

fn params(text: &str) -> Params {
    Params::parse(Json::parse(text.to_owned()).unwrap()).unwrap()
}

#[test]
fn members_are_found_and_decoded() {
    let p = params(r#"{"_meta":{"progressToken":"t"},"name":"a\u0062","uri":"file:///x","arguments":{"name":"no"}}"#);
    assert_eq!(p.name().unwrap(), "ab");
    assert_eq!(p.uri().unwrap(), "file:///x");
    assert_eq!(p.progress_token().unwrap().as_str(), "\"t\"");
    assert_eq!(p.member("arguments").unwrap().as_str(), r#"{"name":"no"}"#);
    assert_eq!(params(r#"{"name":7}"#).name(), None);
}

#[test]
fn a_splice_moves_the_spans_behind_it() {
    let p = params(r#"{"name":"a","_meta":{"k":1},"uri":"u"}"#).with_name("longer \"name\"");
    assert_eq!(p.as_str(), r#"{"name":"longer \"name\"","_meta":{"k":1},"uri":"u"}"#);
    assert_eq!((p.name().unwrap().as_ref(), p.uri().unwrap().as_ref()), ("longer \"name\"", "u"));
    let p = p.edit_meta(&[Edit::Set("progressToken", b"9")]);
    assert_eq!(p.as_str(), r#"{"name":"longer \"name\"","_meta":{"k":1,"progressToken":9},"uri":"u"}"#);
    assert_eq!(p.uri().unwrap(), "u");
}

#[test]
fn an_emptied_meta_goes_and_a_missing_one_comes() {
    let p = params(r#"{"_meta":{"k":1},"name":"n"}"#).edit_meta(&[Edit::Remove("k")]);
    assert_eq!(p.as_str(), r#"{"name":"n"}"#);
    assert_eq!(p.edit_meta(&[Edit::Set("k", b"2")]).as_str(), r#"{"name":"n","_meta":{"k":2}}"#);
    assert_eq!(p.edit_meta(&[Edit::Remove("k")]).as_str(), r#"{"name":"n"}"#);
}

/// The members by two ways: as the places say, and as another parser finds them.
fn assert_places(params: &Params) {
    let again = Params::parse(Json::parse(params.raw.clone()).unwrap()).unwrap();
    for key in META_KEYS {
        let (kept, found) = (params.meta_member(key), again.meta().and_then(|meta| meta.member(key)));
        assert_eq!(kept.map(|json| json.to_string()), found.map(|json| json.to_string()), "{key} of {params:?}");
    }
    assert_eq!((params.name(), params.uri(), params.meta()), (again.name(), again.uri(), again.meta()));
    let cursor = again.member("cursor").is_some_and(|cursor| cursor.as_str() != "null");
    assert_eq!((params.has_cursor(), again.has_cursor()), (cursor, cursor));
}

const META_KEYS: [&str; 5] = [meta::PROTOCOL_VERSION, meta::CLIENT_INFO, meta::LOG_LEVEL, meta::PROGRESS_TOKEN, "a"];

/// Arrays in each other, as many as `depth`.
fn nested(depth: usize) -> String {
    ["[".repeat(depth), "]".repeat(depth)].concat()
}

#[test]
fn an_edit_that_would_be_too_deep_is_refused() {
    let edited = |depth| params(r#"{"name":"a"}"#).edit(&[Edit::Set("x", nested(depth).as_bytes())]);
    assert_eq!(edited(MAX_DEPTH - 1).unwrap().member("x").unwrap().as_str(), nested(MAX_DEPTH - 1));
    assert!(matches!(edited(MAX_DEPTH).unwrap_err().fault(), Fault::TooDeep { .. }));
    let twice = [Edit::Set("x", b"1"), Edit::Set("x", b"2")];
    assert!(matches!(Params::empty().edit(&twice).unwrap_err().fault(), Fault::Duplicate(_)));
    assert!(Params::empty().edit(&[Edit::Set("x", b"]")]).is_err());
}

#[test]
fn each_member_that_is_known_by_its_name_may_stand_once_as_any_other() {
    let known = ["name", "uri", "_meta", "arguments", "progressToken", "progress", "total", "message", "cursor"];
    let once: Vec<String> = known
        .into_iter()
        .chain(["requestState", "inputResponses", "ref", "other"])
        .map(|key| format!("{key:?}:1"))
        .collect();
    assert!(Params::parse(Json::parse(format!("{{{}}}", once.join(","))).unwrap()).is_ok());
    let of_meta: Vec<String> = META_KEYS.into_iter().map(|key| format!("{key:?}:1")).collect();
    let refused =
        |text: String| matches!(Params::parse(Json::parse(text).unwrap()).unwrap_err().fault(), Fault::Duplicate(_));
    for again in &once {
        assert!(refused(format!("{{{},{again}}}", once.join(","))), "{again}");
    }
    for again in &of_meta {
        assert!(refused(format!("{{\"_meta\":{{{},{again}}}}}", of_meta.join(","))), "{again}");
    }
}

#[test]
fn another_token_of_a_note_moves_what_stands_behind_it() {
    for token in ["1", "\"a longer one\""] {
        let mut note = params(r#"{"name":"n","progressToken":77,"_meta":{"a":1,"progressToken":2},"uri":"u"}"#);
        note.tell(&Json::parse(token).unwrap());
        assert_eq!(
            note.as_str(),
            format!(r#"{{"name":"n","progressToken":{token},"_meta":{{"a":1,"progressToken":2}},"uri":"u"}}"#)
        );
        assert_eq!(note.told_token().unwrap().as_str(), token);
        assert_places(&note);
    }
}

#[test]
fn a_member_that_stands_twice_is_refused_also_in_meta() {
    for text in [r#"{"a":1,"a":2}"#, r#"{"_meta":{"a":1,"\u0061":2}}"#, r#"{"_meta":{},"_meta":{}}"#] {
        let refused = Params::parse(Json::parse(text).unwrap()).unwrap_err();
        assert!(matches!(refused.fault(), Fault::Duplicate(_)), "{text}");
    }
    assert!(Params::parse(Json::from_static("[]")).is_err());
}

proptest! {
    /// parse(splice(x)) = edit(parse(x)), for the reserved members of `_meta`, with space wherever it may stand.
    #[test]
    fn meta_is_edited_as_its_value_would_be(
        old in prop::collection::btree_map(prop::sample::select(&META_KEYS[..]), any::<i16>(), 0..5),
        sets in prop::collection::vec((prop::sample::select(&META_KEYS[..4]), prop::option::of(any::<i16>())), 1..6),
        front in any::<bool>(), pretty in any::<bool>(), reversed in any::<bool>(),
    ) {
        let mut sets = sets;
        sets.sort();
        sets.dedup_by_key(|(key, _)| *key);
        let member = |(key, n): (&&str, &i16)| format!("\"{key}\" : {n}");
        let mut members: Vec<_> = old.iter().map(member).collect();
        if reversed {
            members.reverse();
        }
        let space = if pretty { "\n  " } else { "" };
        let meta = format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")));
        let text = match front {
            true => format!("{{{space}\"_meta\":{meta}{space},\"name\":\"n\"{space}}}"),
            false => format!("{{\"uri\":\"u\",\"name\":\"n\"{space},{space}\"_meta\":{meta}}}"),
        };
        let texts: Vec<_> = sets.iter().map(|(key, n)| (*key, n.map(|n| n.to_string()))).collect();
        let edits: Vec<_> = texts.iter().map(|(key, n)| match n {
            Some(n) => Edit::Set(key, n.as_bytes()),
            None => Edit::Remove(key),
        }).collect();
        let edited = params(&text).edit_meta(&edits);
        let mut value: Value = serde_json::from_str(&text).unwrap();
        for (key, n) in sets {
            match n {
                Some(n) => value["_meta"][key] = n.into(),
                None => { value["_meta"].as_object_mut().unwrap().remove(key); }
            }
        }
        if value["_meta"].as_object().unwrap().is_empty() {
            value.as_object_mut().unwrap().remove("_meta");
        }
        prop_assert_eq!(serde_json::from_str::<Value>(edited.as_str()).unwrap(), value);
        assert_places(&edited);
        assert_places(&edited.with_name("longer than before"));
        assert_places(&edited.with_name("l").edit_meta(&[Edit::Set(meta::LOG_LEVEL, b"\"debug\"")]));
    }

    /// A preset says what its members say one by one.
    #[cfg(feature = "legacy")]
    #[test]
    fn what_is_preset_is_what_edits_would_say((_, text) in object_of("name|_meta|cursor|[a-c]".prop_map(String::from)), n in any::<i32>(), level in any::<bool>()) {
        let n = n.to_string();
        let members = [(meta::PROTOCOL_VERSION, &b"\"v\""[..]), (meta::CLIENT_INFO, n.as_bytes())];
        let sets = members.map(|(key, value)| Edit::Set(key, value));
        let level = if level { Edit::Set(meta::LOG_LEVEL, b"\"debug\"") } else { Edit::Remove(meta::LOG_LEVEL) };
        let edited = params(&text).edit_meta(&[sets[0], sets[1], level, Edit::Remove(meta::CLIENT_CAPABILITIES)]);
        let preset = params(&text).with_preset(&Preset::new(&members).with(level));
        let value = |params: &Params| serde_json::from_str::<Value>(params.as_str()).unwrap();
        prop_assert_eq!(value(&preset), value(&edited));
        assert_places(&preset);
        assert_places(&preset.with_name("longer than before"));
    }

    #[test]
    fn a_renamed_call_differs_in_its_name_alone(old in ".*", new in ".*", after in any::<bool>(), n in any::<i32>()) {
        let mut value = if after { json!({"name": old, "arguments": {"name": n}, "_meta": {"a": n}}) }
            else { json!({"_meta": {"a": n}, "arguments": [n], "name": old}) };
        let renamed = Params::from_value(&value).unwrap().with_name(&new);
        prop_assert_eq!(renamed.name().unwrap(), new.clone());
        prop_assert_eq!(renamed.meta_member("a").unwrap().to_string(), n.to_string());
        value["name"] = Value::from(new);
        prop_assert_eq!(serde_json::from_str::<Value>(renamed.as_str()).unwrap(), value);
    }
}
