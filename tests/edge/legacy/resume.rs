//! Streams that are read over more than one connection.

use super::{questions::asking, *};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use tower_mcp_gateway::{Reply, reply::Event};

fn id_of(frame: &str) -> String {
    frame.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned()
}

/// The next message of a stream, with its event's id.
async fn identified(body: &mut Reading) -> Option<(String, Value)> {
    loop {
        let frame = frame(body).await?;
        if !frame.ends_with("data: \n\n") {
            return Some((id_of(&frame), message(&frame)));
        }
    }
}

fn done(n: u64) -> Event {
    Event::Done(result(json!({"n": n})))
}

#[tokio::test]
async fn the_last_revision_begins_streams_with_an_id_and_a_delay_earlier_ones_do_not() {
    let (edge, mut behind) = edge();
    for (version, primed) in [("2025-11-25", true), ("2025-06-18", false), ("2025-03-26", false)] {
        let session = open(&edge, &mut behind, version).await;
        let reply = events(vec![Ok(progress(1)), Ok(done(1))]);
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
        let mut body = Reading::of(response);
        let first = frame(&mut body).await.unwrap();
        let mut ids = vec![id_of(&first)];
        assert_eq!(first.contains("retry: ") && first.ends_with("\ndata: \n\n"), primed, "{first}");
        while let Some(frame) = frame(&mut body).await {
            ids.push(id_of(&frame));
        }
        assert_eq!(ids.len(), if primed { 3 } else { 2 });
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), if primed { 3 } else { 2 }, "no two events have one id");
    }
}

#[tokio::test]
async fn a_client_that_lost_its_connection_gets_the_rest() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for gone_after in [0, 1] {
        let (events, reply) = driven();
        events.send(progress(1)).unwrap();
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!("c")), reply).await;
        let mut body = Reading::of(response);
        let mut last = id_of(&frame(&mut body).await.unwrap());
        if gone_after == 1 {
            last = identified(&mut body).await.unwrap().0;
        }
        drop(body);
        events.send(progress(2)).unwrap();
        let resumed = ask(&edge, resume(&session, &last)).await;
        assert_eq!((resumed.status().as_u16(), header_of(&resumed, "content-type")), (200, Some("text/event-stream")));
        let mut body = Reading::of(resumed);
        for n in gone_after + 1..=2 {
            let (id, note) = identified(&mut body).await.unwrap();
            assert_eq!(note["params"]["progress"], n);
            last = id;
        }
        // And goes on live.
        events.send(progress(3)).unwrap();
        assert_eq!(identified(&mut body).await.unwrap().1["params"]["progress"], 3);
        drop(body);
        events.send(done(1)).unwrap();
        for _ in 0..2 {
            let again = messages(ask(&edge, resume(&session, &last)).await).await;
            assert_eq!(again[0]["params"]["progress"], 3);
            assert_eq!(again[1], json!({"jsonrpc": "2.0", "id": "c", "result": {"n": 1}}));
            assert_eq!(again.len(), 2);
        }
    }
}

#[tokio::test]
async fn coming_back_takes_the_stream_from_a_connection_nobody_knows_is_dead() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (events, reply) = driven();
    events.send(progress(1)).unwrap();
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
    let mut dead = Reading::of(response);
    let (last, _) = identified(&mut dead).await.unwrap();
    let mut waiting = Box::pin(frame(&mut dead));
    assert!(waiting.as_mut().now_or_never().is_none());
    let mut alive = Reading::of(ask(&edge, resume(&session, &last)).await);
    assert!(alive.frame_now().is_none());
    events.send(done(1)).unwrap();
    assert_eq!(waiting.await, None, "each message goes to one stream");
    assert_eq!(said(&mut alive).await.unwrap()["result"], json!({"n": 1}));
    assert_eq!(said(&mut alive).await, None);
}

trait Now {
    fn frame_now(&mut self) -> Option<Option<String>>;
}

impl Now for Reading {
    fn frame_now(&mut self) -> Option<Option<String>> {
        frame(self).now_or_never()
    }
}

#[tokio::test]
async fn only_what_was_said_on_that_stream_of_that_session_comes_back() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let other = open(&edge, &mut behind, "2025-11-25").await;
    let mut firsts = Vec::new();
    for n in [1, 2] {
        let (events, reply) = driven();
        events.send(progress(n)).unwrap();
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(n)), reply).await;
        firsts.push(id_of(&frame(&mut Reading::of(response)).await.unwrap()));
        events.send(done(n)).unwrap();
    }
    for (n, first) in [(1, &firsts[0]), (2, &firsts[1])] {
        let said = messages(ask(&edge, resume(&session, first)).await).await;
        assert_eq!(said.len(), 2);
        assert_eq!((&said[0]["params"]["progress"], &said[1]["id"]), (&json!(n), &json!(n)));
        refused(ask(&edge, resume(&other, first)).await, 400, 400, Value::Null).await;
    }
    for unknown in ["c99-0", "c1", "x1-1", "", "c1-zz", "c-", "cffffffffffffffffff-0"] {
        refused(ask(&edge, resume(&session, unknown)).await, 400, 400, Value::Null).await;
    }
    ask(&edge, delete(&session)).await;
    refused(ask(&edge, resume(&session, &firsts[0])).await, 404, 404, Value::Null).await;
}

#[tokio::test]
async fn what_was_asked_meanwhile_is_asked_and_can_be_answered() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let first = stream::iter([Ok(progress(1))]);
    let reply = Reply::stream(first.chain(asking("roots/list", json!({})).into_events()));
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
    let mut body = Reading::of(response);
    let (last, _) = identified(&mut body).await.unwrap();
    drop(body);
    let mut body = Reading::of(ask(&edge, resume(&session, &last)).await);
    let asked = said(&mut body).await.unwrap();
    assert_eq!(asked["method"], "roots/list");
    drop(body);
    ask(&edge, answer(&session, &asked["id"], json!({"roots": []}))).await;
    let rest = messages(ask(&edge, resume(&session, &last)).await).await;
    assert_eq!(rest[1]["result"]["answer"]["told"], json!({"roots": []}));
}

#[tokio::test]
async fn a_flood_nobody_reads_is_forgotten_from_its_beginning() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let flood = (0..1000).map(|n| Ok(progress(n))).chain([Ok(done(1))]).collect();
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), events(flood)).await;
    let first = id_of(&frame(&mut Reading::of(response)).await.unwrap());
    let rest = messages(ask(&edge, resume(&session, &first)).await).await;
    let numbers: Vec<u64> = rest.iter().filter_map(|note| note["params"]["progress"].as_u64()).collect();
    assert!(numbers.is_sorted() && numbers.last() == Some(&999));
    assert_eq!(rest.last().unwrap()["result"], json!({"n": 1}));
}

#[tokio::test]
async fn a_call_that_is_resumed_can_still_be_cancelled_and_ends_with_its_session() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for end in [told(&session, "notifications/cancelled", json!({"requestId": 1})), delete(&session)] {
        let (reply, dropped) = endless(vec![progress(1)]);
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
        let mut body = Reading::of(response);
        let first = id_of(&frame(&mut body).await.unwrap());
        drop(body);
        let mut resumed = Reading::of(ask(&edge, resume(&session, &first)).await);
        assert!(said(&mut resumed).await.is_some());
        ask(&edge, end).await;
        assert_eq!(said(&mut resumed).await, None);
        dropped.await;
    }
}

#[tokio::test]
async fn batches_come_back_too() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let one = |id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "n"}});
    let answering = start(&edge, in_session(&session, json!([one(1), one(2)])));
    let (events, reply) = driven();
    next(&mut behind).await.1.send_response(reply);
    let second = next(&mut behind).await.1;
    events.send(progress(1)).unwrap();
    let mut body = Reading::of(answering.await.unwrap());
    let (last, _) = identified(&mut body).await.unwrap();
    drop(body);
    events.send(done(1)).unwrap();
    second.send_response(result(json!({})).into());
    let mut ids: Vec<_> =
        messages(ask(&edge, resume(&session, &last)).await).await.iter().map(|m| m["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["1", "2"]);
}

#[tokio::test]
async fn the_listening_stream_is_taken_over_or_begun_again() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let changed = || note("notifications/tools/list_changed", json!({}));
    let (events, reply) = driven();
    for _ in 0..2 {
        events.send(changed()).unwrap();
    }
    let (_, response) = through(&edge, &mut behind, get(&session), reply).await;
    let mut dead = Reading::of(response);
    let (first, _) = identified(&mut dead).await.unwrap();
    let (second, _) = identified(&mut dead).await.unwrap();
    // Taken over, with what may have been lost on the way.
    let mut body = Reading::of(ask(&edge, resume(&session, &first)).await);
    assert_eq!(identified(&mut body).await.unwrap().0, second);
    assert_eq!(said(&mut dead).await, None);
    drop(dead);
    events.send(changed()).unwrap();
    let (third, _) = identified(&mut body).await.unwrap();
    drop(body);
    // Begun again.
    let (reply, _dropped) = endless(vec![changed()]);
    let (_, response) = through(&edge, &mut behind, resume(&session, &second), reply).await;
    let mut body = Reading::of(response);
    assert_eq!(identified(&mut body).await.unwrap().0, third);
    let (fourth, _) = identified(&mut body).await.unwrap();
    assert!(![first, second, third].contains(&fourth));
    drop(body);
    // Of a stream that is not known any more.
    let (_, response) = through(&edge, &mut behind, resume(&session, "l99-1"), endless(vec![changed()]).0).await;
    assert!(said(&mut Reading::of(response)).await.is_some());
}

#[tokio::test]
async fn one_answer_larger_than_the_memory_is_still_sent_to_who_is_there() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let large = Bytes::from(format!("\"{}\"", "x".repeat(5 << 20)));
    let outcome = Outcome::Result(tower_mcp_gateway::json::Json::parse(large).unwrap());
    let reply = events(vec![Ok(progress(1)), Ok(Event::Done(outcome))]);
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
    let messages = messages(response).await;
    assert_eq!(messages[1]["result"].as_str().unwrap().len(), 5 << 20);
}

/// A part of a result.
fn part(text: impl Into<Bytes>) -> Event {
    Event::Part(text.into())
}

#[tokio::test]
async fn who_comes_back_in_the_middle_of_an_answer_gets_all_of_it() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let outcome = || Event::Done(Outcome::Passed(tower_mcp_gateway::json::Members::default()));
    for (more, is_gone) in [(1 << 20, false), (5 << 20, true)] {
        let (events, reply) = driven();
        events.send(progress(1)).unwrap();
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!("c")), reply).await;
        let mut body = Reading::of(response);
        frame(&mut body).await.unwrap();
        let (last, _) = identified(&mut body).await.unwrap();
        events.send(part("{\"a\":\"")).unwrap();
        let begun = body.rest().await.unwrap();
        assert!(begun.starts_with("id: ") && begun.ends_with("\"result\":{\"a\":\""), "{begun}");
        drop(body);
        events.send(part("x".repeat(more))).unwrap();
        let mut body = Reading::of(ask(&edge, resume(&session, &last)).await);
        events.send(part("y\"")).unwrap();
        events.send(outcome()).unwrap();
        match identified(&mut body).await {
            Some((id, answer)) => {
                assert!(id != last && !is_gone);
                assert_eq!(answer["result"]["a"].as_str().map(str::len), Some(more + 1));
            }
            None => assert!(is_gone, "more than is kept"),
        }
        assert!(frame(&mut body).await.is_none());
    }
}

#[tokio::test]
async fn who_comes_back_after_an_answer_broke_off_is_told_so() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for comes_back_first in [true, false] {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let arriving = stream::poll_fn(move |cx| receiver.poll_recv(cx));
        sender.send(Ok(progress(1))).unwrap();
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!("c")), Reply::stream(arriving)).await;
        let mut body = Reading::of(response);
        frame(&mut body).await.unwrap();
        let (last, _) = identified(&mut body).await.unwrap();
        sender.send(Ok(part("{\"a\":\""))).unwrap();
        body.rest().await.unwrap();
        let resumed = async || Reading::of(ask(&edge, resume(&session, &last)).await);
        let early = if comes_back_first { Some(resumed().await) } else { None };
        sender.send(Err("cut".into())).unwrap();
        if !comes_back_first {
            assert_eq!(body.rest().await.unwrap_err(), "the answer was broken off");
        }
        drop(body);
        let mut again = match early {
            Some(early) => early,
            None => resumed().await,
        };
        let (_, answer) = identified(&mut again).await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("c"), &json!(-32603)));
    }
}
