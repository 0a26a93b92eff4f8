//! The GET stream of a session.

use super::*;
use std::time::Duration;
use tower_mcp_gateway::{
    Method as Asked,
    json::Params,
    reply::{Ask, Event},
};

fn acknowledged() -> Event {
    note("notifications/subscriptions/acknowledged", json!({"notifications": {}}))
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_lists_come_on_the_stream_between_comments() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, dropped) = endless(vec![acknowledged(), note("notifications/tools/list_changed", json!({}))]);
    let (call, response) = through(&edge, &mut behind, get(&session), reply).await;
    assert_eq!(call.method.as_str(), "subscriptions/listen");
    let asked: Value = serde_json::from_str(call.params.as_str()).unwrap();
    let lists = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
    assert_eq!(asked["notifications"], lists);
    assert!(call.session.is_some());
    assert_eq!(header_of(&response, "content-type"), Some("text/event-stream"));
    let mut body = Reading::of(response);
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}});
    assert_eq!(message(&frame(&mut body).await.unwrap()), changed);
    assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
    drop(body);
    dropped.await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_to_one_client_outside_of_calls_comes_on_its_stream_from_its_level_on() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let level = request(&session, json!(1), "logging/setLevel", json!({"level": "warning"}));
    assert_eq!(ask(&edge, level).await.status(), 200);
    let (reply, _dropped) = endless(vec![acknowledged()]);
    let (call, response) = through(&edge, &mut behind, get(&session), reply).await;
    let client = call.session.clone().unwrap();
    for level in ["info", "warning", "no level", "debug", "error"] {
        let Event::Note(log) = note("notifications/message", json!({"level": level, "data": level})) else { panic!() };
        client.tell(*log);
    }
    let mut body = Reading::of(response);
    for level in ["warning", "no level", "error"] {
        assert_eq!(message(&frame(&mut body).await.unwrap())["params"]["data"], level);
    }
}

#[tokio::test]
async fn what_a_server_asks_one_client_outside_of_calls_is_asked_where_that_listens() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-11-25", json!({"roots": {}})).await;
    let (reply, _dropped) = endless(vec![acknowledged()]);
    let (call, response) = through(&edge, &mut behind, get(&session), reply).await;
    let (client, mut body) = (call.session.clone().unwrap(), Reading::of(response));
    let (undeclared, refused) = Ask::new(Asked::SAMPLE, Params::empty());
    client.ask(undeclared);
    assert!(refused.await.is_none(), "the client has not said that it can be asked so");
    let next = frame(&mut body);
    tokio::pin!(next);
    assert!(futures_util::poll!(&mut next).is_pending());
    let (asked, answered) = Ask::new(Asked::ROOTS_LIST, Params::empty());
    client.ask(asked);
    let question = message(&next.await.unwrap());
    assert_eq!(question["method"], "roots/list");
    let status = ask(&edge, answer(&session, &question["id"], json!({"roots": []}))).await.status();
    assert_eq!((status.as_u16(), answered.await.unwrap().unwrap().as_str()), (202, r#"{"roots":[]}"#));
}

#[tokio::test]
async fn a_session_has_one_stream_the_latest() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let opening = start(&edge, get(&session));
    let (_, respond) = next(&mut behind).await;
    refused(ask(&edge, get(&session)).await, 409, 409, Value::Null).await;
    let (tell, reply) = driven();
    tell.send(acknowledged()).unwrap();
    respond.send_response(reply);
    let mut stream = Reading::of(opening.await.unwrap());
    for n in 0..3 {
        let mut later = Reading::of(ask(&edge, get(&session)).await);
        assert_eq!(said(&mut stream).await, None, "the one before has ended");
        drop(stream);
        tell.send(note("notifications/message", json!({"n": n}))).unwrap();
        assert_eq!(said(&mut later).await.unwrap()["params"]["n"], n);
        stream = later;
    }
    drop(stream);
    tell.closed().await;
    let (_, again) = through(&edge, &mut behind, get(&session), endless(vec![acknowledged()]).0).await;
    assert_eq!(again.status(), 200);
    refused(ask(&edge, get(&session).with("accept", "application/json")).await, 406, 406, Value::Null).await;
    assert_eq!(ask(&edge, bare(Method::GET, "/mcp")).await.status(), 405);
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_with_its_session_and_keeps_it_alive() {
    let (edge, mut behind) =
        edge_with(tower_mcp_gateway::edge::EdgeLayer::new().session_idle_timeout(Duration::from_secs(60)));
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, dropped) = endless(vec![acknowledged()]);
    let (_, response) = through(&edge, &mut behind, get(&session), reply).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(ask(&edge, request(&session, json!(1), "ping", json!({}))).await.status(), 200);
    ask(&edge, delete(&session)).await;
    assert_eq!(text(response).await, "");
    dropped.await;
}

#[tokio::test]
async fn the_stream_ends_with_what_it_listens_to() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for last in [Ok(Event::Done(result(json!({})))), Err("cut".into())] {
        let reply = events(vec![Ok(acknowledged()), last]);
        let (_, response) = through(&edge, &mut behind, get(&session), reply).await;
        assert_eq!(text(response).await, "");
    }
}

#[tokio::test]
async fn there_is_no_stream_where_nothing_can_be_listened_to() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let unknown = error(json!({"code": -32601, "message": ""}));
    let (_, response) = through(&edge, &mut behind, get(&session), unknown).await;
    assert_eq!(response.status(), 405);
    let answer = start(&edge, get(&session));
    next(&mut behind).await.1.send_error(tower::load_shed::error::Overloaded::new());
    assert_eq!(answer.await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_session_has_its_stream_at_the_url_of_the_other_transport_too() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let here = |mut request: Post| {
        *request.uri_mut() = "/sse".parse().unwrap();
        request
    };
    refused(ask(&edge, here(get("unknown"))).await, 404, 404, Value::Null).await;
    let changed = note("notifications/tools/list_changed", json!({}));
    let (reply, _dropped) = endless(vec![acknowledged(), changed]);
    let (call, response) = through(&edge, &mut behind, here(get(&session)), reply).await;
    assert_eq!((call.method.as_str(), edge.sessions()), ("subscriptions/listen", 1));
    let mut body = Reading::of(response);
    let first = frame(&mut body).await.unwrap();
    assert_eq!(message(&first)["method"], "notifications/tools/list_changed");
    let last = first.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert_eq!(ask(&edge, here(resume(&session, last))).await.status(), 200);
}
