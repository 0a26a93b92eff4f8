//! What the program holds of memory.

use crate::{
    Pace,
    calls::{Way, replicas},
    figures::Figures,
    load::{Client, Era, Op},
    processes::Process,
    request,
};
use std::{fs, time::Duration};

const MIB: f64 = (1 << 20) as f64;
/// Sessions with an open stream each.
const LISTENERS: usize = 10_000;
/// Descriptors that this program and the gateway need beside one for each listener.
const SPARE: usize = 500;

pub(crate) async fn measure(pace: Pace, figures: &mut Figures) {
    let server = Process::this("server", &[]);
    let servers = replicas(server.address, "/early/16");
    println!("| memory | MiB | at most |\n|---|---|---|");
    let gateway = Process::gateway(&servers, &[]).await;
    row(figures, "idle", &gateway, 12.0);
    let busy = Way::new(&gateway, "/mcp", (Era::Early, Op::Echo, 256), pace);
    busy.load.run(&gateway).await;
    row(figures, "after 256 busy connections", &gateway, 40.0);
    let gateway = Process::gateway(&servers, &[]).await;
    let load = Way::new(&gateway, "/mcp", (Era::Early, Op::Session, 1), pace).load;
    let many = LISTENERS.min(descriptors().saturating_sub(SPARE));
    let mut listeners = Vec::with_capacity(many);
    for _ in 0..many {
        let mut client = Client::open(&load).await;
        let session = client.introduce().await;
        client.listen(&request::listen("/mcp", &session)).await;
        listeners.push(client);
    }
    let bound = 200.0 * many as f64 / LISTENERS as f64;
    row(figures, &format!("{many} idle sessions with an open stream each"), &gateway, bound.max(12.0));
    println!();
}

/// Calls in such numbers that what is lost at each would show.
pub(crate) async fn long(calls: u64, figures: &mut Figures) {
    let server = Process::this("server", &[]);
    let gateway = Process::gateway(&replicas(server.address, "/early/16"), &[]).await;
    let pace = Pace { rounds: 1, time: Duration::from_secs(10) };
    let load = Way::new(&gateway, "/mcp", (Era::Early, Op::Echo, 64), pace).load;
    // The same all the time: sessions that clients leave behind are kept for a while.
    let mut clients = load.open().await;
    let (mut made, mut early) = (0, None);
    while made < calls {
        made += load.send(&mut clients, &gateway).await.took.len() as u64;
        // Buffers and pools have found their size by then.
        if made >= calls / 10 {
            early.get_or_insert((made, gateway.memory()));
        }
    }
    let (first, before) = early.expect("a tenth of the calls was made");
    let grown = (gateway.memory() as f64 - before as f64) / MIB;
    println!("{made} calls: {:.1} MiB after {first}, {grown:+.1} MiB until the end\n", before as f64 / MIB);
    figures.bound("growth of memory over many calls, in MiB", grown, 2.0);
}

fn row(figures: &mut Figures, what: &str, gateway: &Process, most: f64) {
    let held = gateway.memory() as f64 / MIB;
    println!("| {what} | {held:.1} | {most:.0} |");
    figures.bound(format!("memory, {what}, in MiB"), held, most);
}

/// How many this program may open.
fn descriptors() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(1024)
}
