//! Faults of every kind before the program, at a steady rate, for as long as one likes:
//!
//! ```sh
//! cargo build --example peer
//! SOAK_SECONDS=600 cargo test --test faults -- --ignored --nocapture soak
//! ```

use crate::{
    children::Book,
    client::{Ended, Session},
    program::{Program, child, remote},
    support::{
        faults::{Fault, Faulty, Wire},
        servers::{Kind, Running},
    },
};
use serde_json::json;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep},
};

/// Calls that begin in each second.
const RATE: u32 = 50;
/// Longer than any idle connection is kept: what is open after it is open for good.
const QUIET: Duration = Duration::from_secs(8);
/// What the allocator may keep beyond the first quarter: two messages above the limit.
const SLACK_MIB: u64 = 16;
/// Connections of servers in different states; a leak of one in a thousand calls would be more than this.
const SLACK_OPEN: usize = 8;

/// What ends at once: one call in seven gets one of these.
const QUICK: [Fault; 15] = [
    Fault::Cut,
    Fault::CutEvent,
    Fault::Reset,
    Fault::Close,
    Fault::Status500,
    Fault::Status503,
    Fault::Garbage,
    Fault::GarbageHead,
    Fault::WrongId,
    Fault::MissingId,
    Fault::Both,
    Fault::Empty,
    Fault::WrongType,
    Fault::Beyond,
    Fault::Crash,
];
/// One in a hundred gets one of these, which hold a call until its deadline or are large.
const HEAVY: [Fault; 8] = [
    Fault::Hang,
    Fault::StallHead,
    Fault::StallBody,
    Fault::Comments,
    Fault::Drip,
    Fault::HugeBody,
    Fault::HugeEvent,
    Fault::HeaderBomb,
];

#[derive(Default)]
struct Sum {
    calls: u64,
    answered: u64,
    failed: HashMap<String, u64>,
}

fn fault() -> Fault {
    match fastrand::u32(..100) {
        0 => HEAVY[fastrand::usize(..HEAVY.len())],
        1..=15 => QUICK[fastrand::usize(..QUICK.len())],
        _ => Fault::None,
    }
}

impl Sum {
    fn take(&mut self, ended: &Ended) {
        self.calls += 1;
        if ended.is_error() {
            *self.failed.entry(ended.reason().to_owned()).or_default() += 1;
        } else {
            assert_eq!(ended.text(), Some(ended.key.as_str()), "another call's answer");
            self.answered += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes SOAK_SECONDS, ten minutes unless set"]
async fn soak() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(600);
    let (book, good) = (Book::new("soak"), Running::named(Kind::Modern, "good").await);
    let mut faulty = Vec::new();
    for wire in Wire::ALL {
        for _ in 0..2 {
            faulty.push(Arc::new(Faulty::start(wire).await));
        }
    }
    // Replicas of three pools, beside a child and one that is always well.
    let replicas = faulty.iter().enumerate();
    let mut servers: Vec<_> = replicas.map(|(n, one)| remote(&format!("f-{n}"), &format!("f{}", n / 2), one)).collect();
    servers.push(child("child-1", "child", book.path()));
    servers.push(json!({
        "id": "good-1", "name": "good", "transport": "http", "connection": { "type": "http", "url": good.url() },
    }));
    let program = Program::start(&format!("soak-{}", std::process::id()), servers).await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(Arc::new(Session::at(program.address).await));
    }
    let tools = ["f0__act", "f1__act", "f2__act", "child__act"];
    for tool in tools {
        sessions[0].recovered(tool).await;
    }

    // One server after the other dies and comes back.
    let dying = faulty.clone();
    let outages = tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(5)).await;
            let one = &dying[fastrand::usize(..dying.len())];
            one.down().await;
            sleep(Duration::from_secs(1)).await;
            one.up();
        }
    });
    let open = program.descriptors();
    let (mut sum, mut running, mut memory) = (Sum::default(), JoinSet::new(), Vec::new());
    let (begun, total) = (Instant::now(), Duration::from_secs(seconds));
    let mut beat = interval(Duration::from_secs(1) / RATE);
    while begun.elapsed() < total {
        beat.tick().await;
        let (session, tool) = (sessions[fastrand::usize(..8)].clone(), tools[fastrand::usize(..tools.len())]);
        running.spawn(async move { session.act(tool, fault()).await });
        while let Some(ended) = running.try_join_next() {
            sum.take(&ended.expect("no task of a client fails"));
        }
        if fastrand::u32(..RATE) == 0 {
            sessions[0].untouched("echo").await;
        }
        if begun.elapsed() > total / 8 * (memory.len() as u32 + 1) {
            memory.push(program.memory_mib());
        }
    }
    outages.abort();
    // If it was cut off in the middle of one.
    let _ = outages.await;
    faulty.iter().filter(|one| one.is_down()).for_each(|one| one.up());
    while let Some(ended) = running.join_next().await {
        sum.take(&ended.expect("no task of a client fails"));
    }
    for tool in tools {
        sessions[0].recovered(tool).await;
    }
    sleep(QUIET).await;

    let mut arrived: HashMap<String, usize> = HashMap::new();
    let books = faulty.iter().map(|one| one.ledger().all_calls()).chain([book.calls()]);
    books.flatten().for_each(|(key, times)| *arrived.entry(key).or_default() += times);
    let twice: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    memory.push(program.memory_mib());
    let open_now = program.descriptors();
    let failed: u64 = sum.failed.values().sum();
    println!(
        "soak: {seconds} s, {} calls, each answered once: {} results, {failed} errors {:?}; {} arrived twice; \
         the program has {memory:?} MiB after each eighth, {open} descriptors before and {open_now} after",
        sum.calls,
        sum.answered,
        sum.failed,
        twice.len(),
    );
    assert!(twice.is_empty(), "{twice:?}");
    assert!(sum.answered > sum.calls / 2, "most calls had no fault");
    let (early, late) = (memory[1], memory[memory.len() - 1]);
    assert!(late <= early + SLACK_MIB, "memory grew from {early} to {late} MiB");
    assert!(open_now <= open + SLACK_OPEN, "descriptors grew from {open} to {open_now}");
}
