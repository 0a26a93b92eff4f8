//! Splices: *parse(splice(x)) = edit(parse(x))*, and what was not edited keeps its bytes.

use bytes::Bytes;
use serde_json::{Map, Value};
use tower_mcp_gateway::json::{
    Json, Params,
    object::{Edit, edit},
};

pub fn run(data: &[u8]) {
    let Ok(json) = Json::parse(Bytes::copy_from_slice(data)) else { return };
    let Ok(params) = Params::parse(json.clone()) else { return };
    // Numbers beyond a double are JSON and no `Value`.
    let value = serde_json::from_slice::<Map<String, Value>>(json.as_bytes()).ok();
    check(&params.with_name("a\"\u{1}é"), value.as_ref(), |value| {
        value.insert("name".into(), "a\"\u{1}é".into());
    });
    check(&params.with_uri(""), value.as_ref(), |value| {
        value.insert("uri".into(), "".into());
    });
    let edited = params.edit(&[Edit::Remove("cursor"), Edit::Set("x", b"[1e2]")]).expect("no deeper than it was");
    check(&edited, value.as_ref(), |value| {
        value.remove("cursor");
        value.insert("x".into(), serde_json::json!([1e2]));
    });
    let is_object = value.as_ref().is_some_and(|value| value.get("_meta").is_none_or(Value::is_object));
    let stamped = params.edit_meta(&[Edit::Set("progressToken", b"7"), Edit::Remove("gone")]);
    check(&stamped, value.as_ref().filter(|_| is_object), |value| {
        let meta = value.entry("_meta").or_insert_with(|| Value::Object(Map::new()));
        meta["progressToken"] = 7.into();
        meta.as_object_mut().expect("an object").remove("gone");
    });
    assert_eq!(params.name(), params.with_uri("x").name());
    let plain = edit(json.as_bytes(), &[]).expect("an object");
    assert_eq!(edit(&plain, &[]).expect("an object"), plain);
}

fn check(spliced: &Params, value: Option<&Map<String, Value>>, change: impl FnOnce(&mut Map<String, Value>)) {
    Json::parse(spliced.as_bytes().clone()).expect("a splice is JSON");
    Params::parse(Json::parse(spliced.as_bytes().clone()).expect("JSON")).expect("a splice is an object");
    if let Some(mut value) = value.cloned() {
        change(&mut value);
        let read: Map<String, Value> = serde_json::from_slice(spliced.as_bytes()).expect("a splice is an object");
        assert_eq!(read, value);
    }
}
