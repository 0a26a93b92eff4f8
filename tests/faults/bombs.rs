//! What is made to fill a memory.

use crate::{
    children::Book,
    client::Session,
    program::{Program, child, remote},
    support::faults::{Fault, Faulty, Wire},
};
use futures_util::future::join_all;
use serde_json::Value;
use tower_mcp_gateway::config::Limits;

/// What a program of two threads needs beside the messages themselves, sockets and their buffers included.
const SLACK_MIB: u64 = 4;

/// Each bomb at a program of its own, whose memory grows by at most twice the largest message.
async fn each_is_bounded(name: &str, entry: Value, bombs: &[Fault]) {
    let limit = (Limits::default().max_message_bytes >> 20) as u64;
    for &bomb in bombs {
        let program = Program::start(&format!("{name}-{}", bomb.name()), vec![entry.clone()]).await;
        let session = Session::at(program.address).await;
        session.recovered("act").await;
        let before = program.peak_mib();
        let ended = session.act("act", bomb).await;
        assert!(ended.is_error(), "{bomb:?} {ended:?}");
        let grown = program.peak_mib() - before;
        assert!(grown <= 2 * limit + SLACK_MIB, "{name} {bomb:?}: {grown} MiB");
        session.recovered("act").await;
    }
}

#[tokio::test]
async fn a_bomb_costs_twice_the_largest_message_at_most() {
    use Fault::{Endless1xx, GzipBomb, HeaderBomb, HugeBody, HugeEvent};
    for wire in [Wire::Modern, Wire::Legacy] {
        let bad = Faulty::start(wire).await;
        let bombs = [HugeBody, HugeEvent, GzipBomb, HeaderBomb, Endless1xx];
        each_is_bounded(&format!("bomb-{wire:?}"), remote("bad-1", "bad", &bad), &bombs).await;
    }
    let bad = Faulty::start(Wire::Sse).await;
    each_is_bounded("bomb-sse", remote("bad-1", "bad", &bad), &[HugeEvent]).await;
    let book = Book::new("bombs");
    each_is_bounded("bomb-child", child("bad-1", "bad", book.path()), &[HugeBody]).await;
}

/// What the allocator may keep after many large messages: two of them.
const KEPT_MIB: u64 = 16;

#[tokio::test]
async fn what_large_messages_took_is_given_back() {
    let (servers, book) =
        ([Faulty::start(Wire::Modern).await, Faulty::start(Wire::Sse).await], Book::new("given-back"));
    let mut entries = vec![remote("bad-1", "bad", &servers[0]), remote("worse-1", "worse", &servers[1])];
    entries.push(child("child-1", "child", book.path()));
    let program = Program::start("given-back", entries).await;
    let session = Session::at(program.address).await;
    let tools = ["bad__act", "worse__act", "child__act"];
    for tool in tools {
        session.recovered(tool).await;
    }
    let before = program.memory_mib();
    for _ in 0..5 {
        // Among others, whose memory lies between.
        join_all((0..60).map(|n| {
            let fault = if n % 12 == 0 { Fault::HugeEvent } else { Fault::None };
            session.act(tools[n % 3], fault)
        }))
        .await;
        join_all(tools.map(|tool| session.act(tool, Fault::HugeEvent))).await;
        for tool in tools {
            session.recovered(tool).await;
        }
    }
    let kept = program.memory_mib() - before;
    assert!(kept <= KEPT_MIB, "{kept} MiB");
}
