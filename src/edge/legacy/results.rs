//! Results in the words of revisions before 2026-07-28.

use crate::json::{
    Json,
    object::{self, Edit},
};
use memchr::memmem;
use serde_json::value::RawValue;
use std::cell::RefCell;

/// A tool's result without a `structuredContent` that is no object: 2026-07-28 allows any value there. What it says is
/// in the text as well.
pub(in crate::edge) fn called(result: Json) -> Json {
    const KEY: &str = "structuredContent";
    if !result.has(KEY) {
        return result;
    }
    match result.first(KEY) {
        Some(content) if !content.as_bytes().starts_with(b"{") => {
            object::edit(result.as_bytes(), &[Edit::Remove(KEY)]).map_or(result, Json::trusted)
        }
        _ => result,
    }
}

thread_local! {
    /// The last list that was looked through on this thread, and what became of it: a gateway answers with the same bytes
    /// until its table changes.
    static LATEST: RefCell<Option<(Json, Json)>> = const { RefCell::new(None) };
}

/// A list of tools as [`fit`] leaves it; the same bytes are looked through once.
#[inline(never)]
pub(in crate::edge) fn listed(result: Json) -> Json {
    LATEST.with_borrow_mut(|latest| match latest {
        Some((given, answer)) if given.is_same(&result) => answer.clone(),
        _ => {
            let answer = fit(result.clone());
            *latest = Some((result, answer.clone()));
            answer
        }
    })
}

/// A list of tools without each `outputSchema` that is of no object: 2026-07-28 allows any schema there.
fn fit(result: Json) -> Json {
    if memmem::find(result.as_bytes(), SCHEMA.as_bytes()).is_none() {
        return result;
    }
    let Some(tools) = result.member("tools") else { return result };
    let Ok(elements) = tools.read::<Vec<&RawValue>>() else { return result };
    if elements.iter().all(|tool| is_fit(tool)) {
        return result;
    }
    let mut out = Vec::with_capacity(tools.as_bytes().len());
    for (place, tool) in elements.into_iter().enumerate() {
        out.push(if place == 0 { b'[' } else { b',' });
        let bare = if is_fit(tool) { None } else { object::edit(tool.get().as_bytes(), &[Edit::Remove(SCHEMA)]).ok() };
        out.extend_from_slice(bare.as_deref().unwrap_or(tool.get().as_bytes()));
    }
    out.push(b']');
    object::edit(result.as_bytes(), &[Edit::Set("tools", &out)]).map_or(result, Json::trusted)
}

const SCHEMA: &str = "outputSchema";

/// Whether a tool has no schema of its output, or that of an object.
fn is_fit(tool: &RawValue) -> bool {
    let (mut has, mut fit) = (false, false);
    let read = object::each_member(tool.get().as_bytes(), |key, value| {
        if key == SCHEMA {
            has = true;
            let _ = object::each_member(value.get().as_bytes(), |key, value| {
                fit |= key == "type" && value.get() == "\"object\"";
            });
        }
    });
    read.is_err() || !has || fit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::splices::object_of;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn structured_content_must_be_an_object() {
        for (given, kept) in [
            (r#"{"content":[],"structuredContent":[1]}"#, r#"{"content":[]}"#),
            (r#"{"structuredContent":null,"content":[]}"#, r#"{"content":[]}"#),
            (r#"{"structuredContent": {"a":1e400}}"#, r#"{"structuredContent": {"a":1e400}}"#),
            (r#"{"content":["structuredContent"]}"#, r#"{"content":["structuredContent"]}"#),
        ] {
            assert_eq!(called(Json::from_static(given)).as_str(), kept);
        }
    }

    #[test]
    fn only_a_schema_of_something_else_than_an_object_is_dropped() {
        let list = r#"{"tools":[{"name":"a","outputSchema":{"type":"array"}},{"name":"b", "outputSchema":{"type":"object"}},{"outputSchema":true,"name":"c"}],"n":1}"#;
        let kept = r#"{"tools":[{"name":"a"},{"name":"b", "outputSchema":{"type":"object"}},{"name":"c"}],"n":1}"#;
        assert_eq!(listed(Json::from_static(list)).as_str(), kept);
        assert_eq!(listed(Json::from_static(kept)).as_str(), kept);
        let odd = r#"{"tools":{"outputSchema":1}}"#;
        assert_eq!(listed(Json::from_static(odd)).as_str(), odd);
    }

    proptest! {
        /// parse(splice(x)) = edit(parse(x)).
        #[test]
        fn a_result_loses_what_is_no_object_and_nothing_else((value, text) in object_of("structuredContent|content|[a-c]".prop_map(String::from))) {
            let mut value = value;
            let fitting = called(Json::parse(text).unwrap());
            let object = value.as_object_mut().unwrap();
            if object.get("structuredContent").is_some_and(|content| !content.is_object()) {
                object.remove("structuredContent");
            }
            prop_assert_eq!(serde_json::from_str::<Value>(fitting.as_str()).unwrap(), value);
        }

        #[test]
        fn a_list_loses_schemas_of_other_things_than_objects_and_nothing_else(
            tools in prop::collection::vec((object_of("outputSchema|name|[a-c]".prop_map(String::from)), prop::option::of("object|array")), 0..4),
            pages in prop::option::of("[a-c]{0,3}"),
        ) {
            let mut tools: Vec<Value> = tools.into_iter().map(|((mut tool, _), kind)| {
                if let Some(kind) = kind {
                    tool["outputSchema"] = json!({"a": 1, "type": kind});
                }
                tool
            }).collect();
            let list = json!({"nextCursor": pages, "tools": tools});
            let fitting = listed(Json::parse(list.to_string()).unwrap());
            for tool in &mut tools {
                if tool.get("outputSchema").is_some_and(|schema| schema["type"] != "object") {
                    tool.as_object_mut().unwrap().remove("outputSchema");
                }
            }
            prop_assert_eq!(serde_json::from_str::<Value>(fitting.as_str()).unwrap(), json!({"nextCursor": pages, "tools": tools}));
        }
    }
}
