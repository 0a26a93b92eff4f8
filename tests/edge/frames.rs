//! What has arrived together leaves together, and what arrives alone is not held for company; in both eras.

use super::{legacy, support::*};
use futures_util::FutureExt;
use http::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use tower_mcp_gateway::{Reply, edge::Body, reply::Event};

/// The answer of a call to a client of each era, whose reply `reply` makes.
async fn answers(mut reply: impl FnMut() -> Reply) -> [Response<Body>; 2] {
    let (edge, mut behind) = edge();
    let session = legacy::open(&edge, &mut behind, "2025-06-18").await;
    let params = json!({"name": "n", "_meta": {"progressToken": "t"}});
    let modern = modern(json!(1), "tools/call", params.clone());
    let early = legacy::request(&session, json!(1), "tools/call", params);
    [through(&edge, &mut behind, modern, reply()).await.1, through(&edge, &mut behind, early, reply()).await.1]
}

fn done() -> Event {
    Event::Done(result(json!({"a": 1})))
}

fn numbers(frame: &str) -> Vec<Value> {
    let messages = frame.split_terminator("\n\n").map(message);
    messages.map(|message| message["params"]["progress"].clone()).collect()
}

#[tokio::test]
async fn what_arrived_together_is_one_frame_and_the_outcome_ends_it() {
    for response in answers(|| events((1..=10).map(progress).chain([done()]).map(Ok).collect())).await {
        let mut reading = Reading::of(response);
        let frame = reading.together().await.unwrap();
        let mut expected: Vec<Value> = (1..=10).map(Value::from).collect();
        expected.push(Value::Null);
        assert_eq!(numbers(&frame), expected);
        assert!(reading.is_over(), "the end needs no frame of its own");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_arrives_alone_leaves_at_once() {
    let begun = Instant::now();
    let mut senders = Vec::new();
    let answers = answers(|| {
        let (sender, reply) = driven();
        sender.send(progress(0)).unwrap();
        senders.push(sender);
        reply
    });
    for (response, sender) in answers.await.into_iter().zip(&senders) {
        let mut reading = Reading::of(response);
        assert_eq!(numbers(&reading.together().await.unwrap()), [0]);
        for n in 1..4 {
            assert!(reading.together().now_or_never().is_none(), "nothing has come");
            sender.send(progress(n)).unwrap();
            // Ready at once: neither a timer nor another event is waited for.
            assert_eq!(numbers(&reading.together().now_or_never().unwrap().unwrap()), [n]);
        }
        sender.send(progress(4)).unwrap();
        sender.send(progress(5)).unwrap();
        assert_eq!(numbers(&reading.together().now_or_never().unwrap().unwrap()), [4, 5]);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "nor did the head wait for a clock");
}

#[tokio::test]
async fn a_flood_is_cut_into_frames_of_a_bounded_size_between_events() {
    let long = "x".repeat(10 << 10);
    let flood = || {
        (0..40).map(|n| note("notifications/progress", json!({"progressToken": "t", "progress": n, "message": long})))
    };
    for response in answers(|| events(flood().chain([done()]).map(Ok).collect())).await {
        let (mut reading, mut seen) = (Reading::of(response), Vec::new());
        while let Some(frame) = reading.together().await {
            assert!(frame.len() < 64 << 10, "{} bytes", frame.len());
            seen.extend(numbers(&frame));
        }
        seen.pop();
        assert_eq!(seen, (0..40).map(Value::from).collect::<Vec<_>>());
    }
}
