//! Headers that repeat arguments, and calls in which the two differ.

use super::*;
use crate::ParamHeaders;
use http::HeaderMap;

const TOOLS: &str = r#"[{"name":"plain","inputSchema":{"properties":{"region":{"type":"string"}}}},
    {"name":"run","inputSchema":{"properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "limit":{"type":"integer","x-mcp-header":"Limit"},
        "dry":{"type":"boolean","x-mcp-header":"Dry"},
        "in":{"type":"object","properties":{"zone":{"type":"string","x-mcp-header":"Zone"}}}}}}]"#;

/// A call of a client that repeats arguments in these headers.
fn over_http(tool: &str, arguments: &str, headers: &[(&'static str, &str)]) -> Call {
    let mut call = call(Method::TOOLS_CALL, &format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#));
    call.mirrored = true;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    if let Some(headers) = ParamHeaders::of(&map) {
        call.extensions.insert(headers);
    }
    call
}

fn result() -> Outcome {
    Outcome::Result(json("{}"))
}

#[tokio::test]
async fn a_call_whose_headers_say_what_its_arguments_do_goes_on_with_them() {
    let (part, mut handle) = server("a", tools(TOOLS));
    let route = route(&[part]);
    let region = "mcp-param-region";
    for (tool, arguments, headers) in [
        ("run", r#"{"region":"eu"}"#, &[(region, "eu")][..]),
        ("run", r#"{"region":"eu"}"#, &[(region, "  eu\t")]),
        ("run", r#"{"region":"eu"}"#, &[(region, "=?base64?ZXU=?=")]),
        ("run", r#"{"region":" ü"}"#, &[(region, "=?base64?IMO8?=")]),
        ("run", r#"{"region":"=?base64?ZXU="}"#, &[(region, "=?base64?ZXU=")]),
        ("run", r#"{"region":""}"#, &[(region, "")]),
        ("run", r#"{"region":null}"#, &[]),
        ("run", r#"{}"#, &[("mcp-param-unknown", "any")]),
        ("run", r#"{"limit":42,"dry":true}"#, &[("mcp-param-limit", "42.0"), ("mcp-param-dry", "true")]),
        ("run", r#"{"in":{"zone":"b"}}"#, &[("mcp-param-zone", "b")]),
        ("run", r#"{"in":7,"region":["not","to","be","repeated"]}"#, &[]),
        ("a__run", r#"{"region":"eu"}"#, &[(region, "eu")]),
        ("plain", r#"{"region":"eu"}"#, &[(region, "us")]),
    ] {
        let (asked, _) = exchange(&route, over_http(tool, arguments, headers), &mut handle, result()).await;
        let kept = asked.extensions.get::<ParamHeaders>().map_or(0, |headers| headers.iter().count());
        assert_eq!(kept, headers.len(), "{tool} {arguments}");
    }
}

#[tokio::test]
async fn a_call_whose_headers_contradict_its_arguments_reaches_no_server() {
    let (part, mut handle) = server("a", tools(TOOLS));
    let route = route(&[part]);
    handle.allow(1);
    let region = "mcp-param-region";
    for (tool, arguments, headers) in [
        ("run", r#"{"region":"eu"}"#, &[(region, "us")][..]),
        ("run", r#"{"region":"eu"}"#, &[(region, "EU")]),
        ("run", r#"{"region":" eu"}"#, &[(region, " eu")]),
        ("run", r#"{"region":"eu"}"#, &[]),
        ("run", r#"{"region":""}"#, &[]),
        ("run", r#"{"region":"eu"}"#, &[("mcp-param-zone", "eu")]),
        ("run", r#"{"region":"eu"}"#, &[(region, "eu"), (region, "us")]),
        ("run", r#"{"region":"eu"}"#, &[(region, "eu"), (region, "eu")]),
        ("run", r#"{"region":"eu"}"#, &[(region, "=?base64?ZXU?=")]),
        ("run", r#"{"region":"eu"}"#, &[(region, "=?base64?Z!U=?=")]),
        ("run", r#"{"region":"ü"}"#, &[(region, "ü")]),
        ("run", r#"{}"#, &[(region, "eu")]),
        ("run", r#"{"region":null}"#, &[(region, "null")]),
        ("run", r#"{"region":["eu"]}"#, &[(region, "eu")]),
        ("run", r#"{"region":"us","region":"eu"}"#, &[(region, "eu")]),
        ("run", r#"{"region":"us","regio\u006e":"eu"}"#, &[(region, "eu")]),
        ("run", r#"{"limit":42}"#, &[("mcp-param-limit", "43")]),
        ("run", r#"{"dry":false}"#, &[("mcp-param-dry", "0")]),
        ("run", r#"{"in":{"zone":"b"}}"#, &[]),
        ("a__run", r#"{"region":"eu"}"#, &[(region, "us")]),
    ] {
        let problem = refused(&route, over_http(tool, arguments, headers)).await;
        let answer = (problem.status.as_u16(), problem.code);
        assert_eq!(answer, (400, -32020), "{tool} {arguments} {headers:?}: {}", problem.message);
    }
    assert!(tokio_test::task::spawn(handle.next_request()).poll().is_pending());
}

#[tokio::test]
async fn clients_that_have_no_such_headers_need_none() {
    let (part, mut handle) = server("a", tools(TOOLS));
    let route = route(&[part]);
    let call = call(Method::TOOLS_CALL, r#"{"name":"run","arguments":{"region":"eu"}}"#);
    let (asked, _) = exchange(&route, call, &mut handle, result()).await;
    assert_eq!(asked.params.name().as_deref(), Some("run"));
}

#[tokio::test]
async fn annotations_that_nobody_can_follow_ask_for_nothing() {
    let doubled = r#"[{"name":"run","inputSchema":{"properties":{
        "a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}}]"#;
    let (part, mut handle) = server("a", tools(doubled));
    let call = over_http("run", r#"{"a":"1","b":"2"}"#, &[("mcp-param-a", "2")]);
    let (asked, _) = exchange(&route(&[part]), call, &mut handle, result()).await;
    assert!(asked.extensions.get::<ParamHeaders>().is_some());
}
