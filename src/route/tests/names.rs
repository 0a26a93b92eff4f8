use super::*;
use crate::toolset::Toolset;

fn done() -> Outcome {
    Outcome::Result(Json::from_static("{}"))
}

#[tokio::test]
async fn a_call_reaches_its_server_with_providers_and_under_the_servers_own_name() {
    let (a, at_a) = server("a", tools(r#"[{"name":"x"}]"#));
    let (b, at_b) = server("b", tools(r#"[{"name":"x"},{"name":"y"}]"#));
    let (route, mut hands) = (route(&[a, b]), [at_a, at_b]);
    for (name, hand, expected) in [
        ("x", 0, ("x", "a-1")),
        ("a__x", 0, ("x", "a-1")),
        ("b__x", 1, ("x", "b-1")),
        ("y", 1, ("y", "b-1")),
        ("b__y", 1, ("y", "b-1")),
    ] {
        let params = format!(r#"{{"_meta":{{"k":1}},"name":"{name}","arguments":{{"name":"{name}","n":1e400}}}}"#);
        let (asked, _) = exchange(&route, call(Method::TOOLS_CALL, &params), &mut hands[hand], done()).await;
        assert_eq!(asked.providers.as_ref().unwrap().endpoints()[0].as_str(), expected.1, "{name}");
        let sent = params.replacen(&format!("\"name\":\"{name}\""), &format!("\"name\":\"{}\"", expected.0), 1);
        assert_eq!(asked.params.as_str(), sent, "nothing but the name differs");
    }
}

#[tokio::test]
async fn prompts_are_routed_apart_from_tools() {
    let (a, mut at_a) = server("a", Listing::default().with(Kind::Prompts, json(r#"[{"name":"x"}]"#)));
    let (b, _at_b) = server("b", tools(r#"[{"name":"x"}]"#).capable(json(r#"{"prompts":{}}"#)));
    let route = route(&[b, a]);
    let (asked, _) = exchange(&route, call(Method::PROMPTS_GET, r#"{"name":"x"}"#), &mut at_a, done()).await;
    assert_eq!(asked.method, Method::PROMPTS_GET);
    let problem = refused(&route, call(Method::PROMPTS_GET, r#"{"name":"y"}"#)).await;
    assert_eq!((problem.code, problem.status.as_u16()), (-32602, 200));
}

#[tokio::test]
async fn what_leads_nowhere_is_refused_in_the_protocols_words() {
    let (a, _at_a) = server("a", tools("[]"));
    let (b, _at_b) = server("b", tools("[]"));
    let route = route(&[a, b]);
    for (method, params, code, status) in [
        (Method::TOOLS_CALL, r#"{"name":"nope"}"#, -32602, 200),
        (Method::PROMPTS_GET, r#"{"name":"nope"}"#, -32602, 200),
        (Method::PROMPTS_GET, r#"{"name":"a__nope"}"#, -32602, 200),
        (Method::TOOLS_CALL, "{}", -32602, 200),
        (Method::TOOLS_CALL, r#"{"name":null}"#, -32602, 200),
        (Method::RESOURCES_READ, r#"{"uri":["r://1"]}"#, -32602, 200),
        (Method::COMPLETE, "{}", -32602, 200),
        (Method::COMPLETE, r#"{"ref":{"type":"ref/prompt","name":"p"}}"#, -32601, 404),
        (Method::RESOURCES_SUBSCRIBE, r#"{"uri":"r://1"}"#, -32601, 404),
        (Method::new("tasks/get"), "{}", -32601, 404),
        (Method::new(""), "{}", -32601, 404),
    ] {
        let problem = refused(&route, call(method.clone(), params)).await;
        assert_eq!((problem.code, problem.status.as_u16()), (code, status), "{method} {params}");
    }
    let problem = refused(&route, call(Method::RESOURCES_READ, r#"{"uri":"r://1"}"#)).await;
    assert_eq!(problem.data.unwrap().as_str(), r#"{"uri":"r://1"}"#);
}

#[tokio::test]
async fn notifications_are_taken_and_told_to_no_server() {
    let (a, mut at_a) = server("a", tools("[]"));
    let route = route(&[a]);
    let reply = route.clone().oneshot(call(Method::ROOTS_LIST_CHANGED, "{}")).await.unwrap();
    assert!(matches!(reply.as_single(), Some(Outcome::Accepted)));
    assert!(tokio_test::task::spawn(at_a.next_request()).poll().is_pending());
}

#[tokio::test]
async fn an_only_server_gets_what_it_does_not_list() {
    let (a, mut at_a) = server("a", tools("[]"));
    let route = route(&[a]);
    for (method, params, sent) in [
        (Method::TOOLS_CALL, r#"{"name":"hidden"}"#, r#"{"name":"hidden"}"#),
        (Method::TOOLS_CALL, r#"{"name":"a__hidden"}"#, r#"{"name":"hidden"}"#),
        (Method::TOOLS_CALL, r#"{"name":"a__"}"#, r#"{"name":"a__"}"#),
        (Method::PROMPTS_GET, r#"{"name":"b__hidden"}"#, r#"{"name":"b__hidden"}"#),
        (Method::RESOURCES_READ, r#"{"uri":"r://hidden"}"#, r#"{"uri":"r://hidden"}"#),
    ] {
        let (asked, _) = exchange(&route, call(method, params), &mut at_a, done()).await;
        assert_eq!(asked.params.as_str(), sent);
        assert!(asked.providers.is_none(), "any endpoint may have it");
    }
}

#[tokio::test]
async fn a_tool_that_is_taken_away_is_reached_by_no_name_that_its_server_does_not_list() {
    let glob = |text: &str| crate::Glob::new(text);
    let toolset = Toolset::default().allow([glob("*"), glob("unlisted")]).deny([glob("delete_*")]);
    let inner = || {
        let (part, hand) = server("inner", tools(r#"[{"name":"read_file"},{"name":"delete_file"}]"#));
        (route(&[part.tools(Arc::new(toolset.clone()))]), hand)
    };
    let (to_nobody, hand) = inner();
    drop(hand);
    for name in ["delete_file", "inner__delete_file", "files__delete_file", "inner__files__delete_file"] {
        let refusal = refused(&to_nobody, call(Method::TOOLS_CALL, &format!(r#"{{"name":"{name}"}}"#))).await;
        assert_eq!(refusal.code, -32602, "{name}");
    }
    let (route, mut at_inner) = inner();
    for (name, sent) in [("read_file", "read_file"), ("unlisted", "unlisted"), ("inner__unlisted", "unlisted")] {
        let asked = call(Method::TOOLS_CALL, &format!(r#"{{"name":"{name}"}}"#));
        let (asked, _) = exchange(&route, asked, &mut at_inner, done()).await;
        assert_eq!(asked.params.name().unwrap(), sent);
    }
    let prompt = call(Method::PROMPTS_GET, r#"{"name":"files__summary"}"#);
    let (asked, _) = exchange(&route, prompt, &mut at_inner, done()).await;
    assert_eq!(asked.params.name().unwrap(), "files__summary", "rules are of tools");
}

#[tokio::test]
async fn what_nobody_lists_goes_where_alone_it_could_be() {
    let able = |capabilities: &str| Listing::default().capable(json(capabilities));
    let (a, mut at_a) = server("a", able(r#"{"tools":{},"resources":{}}"#));
    let (b, mut at_b) = server("b", able(r#"{"prompts":{},"resources":{}}"#));
    let route = route(&[a, b]);
    for (method, params, sent) in [
        (Method::TOOLS_CALL, r#"{"name":"hidden"}"#, r#"{"name":"hidden"}"#),
        (Method::TOOLS_CALL, r#"{"name":"a__hidden"}"#, r#"{"name":"hidden"}"#),
        (Method::TOOLS_CALL, r#"{"name":"c__hidden"}"#, r#"{"name":"c__hidden"}"#),
    ] {
        let (asked, _) = exchange(&route, call(method, params), &mut at_a, done()).await;
        assert_eq!(asked.params.as_str(), sent);
    }
    let (asked, _) = exchange(&route, call(Method::PROMPTS_GET, r#"{"name":"hidden"}"#), &mut at_b, done()).await;
    assert_eq!(asked.params.name().unwrap(), "hidden");
    for (method, params) in
        [(Method::TOOLS_CALL, r#"{"name":"b__hidden"}"#), (Method::RESOURCES_READ, r#"{"uri":"r://hidden"}"#)]
    {
        assert_eq!(refused(&route, call(method, params)).await.code, -32602, "{params}");
    }
}

#[tokio::test]
async fn a_qualified_name_goes_to_its_server_though_others_could_have_it_too() {
    let ((a, _at_a), (b, mut at_b)) = (server("a", tools("[]")), server("b", tools("[]")));
    let route = route(&[a, b]);
    let (asked, _) = exchange(&route, call(Method::TOOLS_CALL, r#"{"name":"b__hidden"}"#), &mut at_b, done()).await;
    assert_eq!(asked.params.name().unwrap(), "hidden");
    assert!(asked.providers.is_none(), "any endpoint may have it");
    assert_eq!(refused(&route, call(Method::TOOLS_CALL, r#"{"name":"hidden"}"#)).await.code, -32602);
}

#[tokio::test]
async fn a_qualified_name_that_two_servers_could_mean_is_nobodys() {
    let ((a, _at_a), (b, _at_b)) = (server("a", tools("[]")), server("a__b", tools("[]")));
    let route = route(&[a, b]);
    assert_eq!(refused(&route, call(Method::TOOLS_CALL, r#"{"name":"a__b__x"}"#)).await.code, -32602);
}

#[tokio::test]
async fn a_long_name_is_not_repeated_at_length() {
    let ((a, _at_a), (b, _at_b)) = (server("a", tools("[]")), server("b", tools("[]")));
    let route = route(&[a, b]);
    let params = format!(r#"{{"name":"{}"}}"#, "é".repeat(100_000));
    let problem = refused(&route, call(Method::TOOLS_CALL, &params)).await;
    assert_eq!(problem.message.chars().count(), "unknown tool: ".len() + 201);
    let uri = format!("r://{}", "x".repeat(100_000));
    let problem = refused(&route, call(Method::RESOURCES_READ, &format!(r#"{{"uri":"{uri}"}}"#))).await;
    assert!(problem.message.len() < 300 && problem.data.is_none());
    let problem = refused(&route, call(Method::new("m".repeat(1000)), "{}")).await;
    assert!(problem.message.len() < 300);
}

#[tokio::test]
async fn completion_follows_its_reference() {
    let listing = |capabilities: &str| {
        let listing = Listing::default().with(Kind::Prompts, json(r#"[{"name":"p"}]"#));
        listing.with(Kind::Templates, json(r#"[{"uriTemplate":"t://{x}"}]"#)).capable(json(capabilities))
    };
    let (a, _at_a) = server("a", listing("{}"));
    let (b, mut at_b) = server("b", listing(r#"{"completions":{}}"#));
    let route = route(&[a, b]);
    let params = r#"{"ref":{"type":"ref/prompt","name":"b__p"},"argument":{"name":"q","value":"v"}}"#;
    let (asked, _) = exchange(&route, call(Method::COMPLETE, params), &mut at_b, done()).await;
    assert_eq!(asked.params.as_str(), params.replace("b__p", "p"));
    assert_eq!(asked.providers.as_ref().unwrap().endpoints()[0].as_str(), "b-1");
    for reference in [r#"{"type":"ref/prompt","name":"p"}"#, r#"{"type":"ref/resource","uri":"t://{x}"}"#] {
        let reply = route.clone().oneshot(call(Method::COMPLETE, &format!(r#"{{"ref":{reference}}}"#))).await.unwrap();
        let answer = reply.as_single().unwrap().result().unwrap().to_string();
        assert!(answer.contains(r#""values":[]"#), "{reference} is of a server that completes nothing: {answer}");
    }
    let unknown = r#"{"ref":{"type":"ref/prompt","name":"nope"}}"#;
    assert_eq!(refused(&route, call(Method::COMPLETE, unknown)).await.code, -32602);
}

#[test]
fn routes_are_always_ready_however_their_pools_are() {
    let (a, mut at_a) = server("a", tools(r#"[{"name":"x"}]"#));
    at_a.allow(0);
    let mut route = tokio_test::task::spawn(route(&[a]));
    let ready = route.enter(|cx, mut route| tower::Service::poll_ready(&mut *route, cx));
    assert!(ready.is_ready());
}
