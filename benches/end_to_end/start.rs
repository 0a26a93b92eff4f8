//! How long it takes from the start of the program to the first answer of a tool.

use crate::{
    Pace,
    calls::{Way, entry},
    figures::{Figures, median},
    load::{Client, Era, Op},
    processes::Process,
};
use serde_json::json;
use tokio::time::Instant;

/// Milliseconds that it may take.
const MOST: f64 = 30.0;

pub(crate) async fn measure(pace: Pace, figures: &mut Figures) {
    let servers = [(); 3].map(|()| Process::this("server", &[]));
    let entries: Vec<_> = servers
        .iter()
        .zip(["one", "two", "three"])
        .map(|(server, name)| entry(name, name, server.address, "/early/16"))
        .collect();
    let mut taken = Vec::new();
    for _ in 0..5 * pace.rounds {
        let begun = Instant::now();
        let gateway = Process::starting(&json!(entries), &[]);
        gateway.listening().await;
        let mut load = Way::new(&gateway, "/mcp", (Era::Early, Op::Echo, 1), pace).load;
        load.tool = "two__echo";
        Client::open(&load).await.once().await;
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let taken = median(taken);
    println!("From start to the first answer, with three servers: {taken:.1} ms, at most {MOST}\n");
    figures.bound("start to the first answer, in ms", taken, MOST);
}
