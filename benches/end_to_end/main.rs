//! What a call costs through the gateway, beside what it costs through nginx and without either.
//!
//! `cargo bench --bench end_to_end` starts a server of each era, the gateway in front of both, and nginx where it is
//! installed, sends calls over keep-alive connections, checks every answer, and prints a table. CPU is that of the
//! process in the middle alone, from the system's accounts, whose grain is 10 ms.

mod load;
mod processes;
mod upstream;

use load::{Era, Load, Measured};
use processes::Middle;
use std::time::Duration;

/// What is sent: its name, the client's era, the tool, and how many connections send.
const RUNS: [(&str, Era, &str, usize); 8] = [
    ("echo, 16 connections", Era::Early, "echo", 16),
    ("echo, 64 connections", Era::Early, "echo", 64),
    ("echo, 256 connections", Era::Early, "echo", 256),
    ("echo, 2026-07-28, 16", Era::Modern, "echo", 16),
    ("256 KiB result, 8", Era::Early, "blob", 8),
    ("10 progress notes + result, 8", Era::Early, "stream", 8),
    ("tools/list of 500 tools, 4", Era::Early, load::LIST, 4),
    ("tools/list, 2026-07-28, 4", Era::Modern, load::LIST, 4),
];

/// Names under which the gateway of this crate lists what its two servers have.
const SERVERS: [(Era, &str); 2] = [(Era::Early, "early"), (Era::Modern, "modern")];

fn main() {
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3.0);
    let time = Duration::from_secs_f64(seconds);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let servers = [upstream::start(Era::Early).await, upstream::start(Era::Modern).await];
        let gateway = Middle::gateway(&servers).await;
        let nginx = Middle::nginx(&servers).await;
        println!("{:<32} {:>10} {:>12} {:>12} {:>12}", "", "direct", "nginx", "gateway", "ratio");
        println!("{:<32} {:>10} {:>12} {:>12} {:>12}", "CPU µs a call (calls a second)", "", "", "", "to nginx");
        for (what, era, tool, connections) in RUNS {
            let place = SERVERS.iter().position(|(of, _)| *of == era).expect("one of each era");
            let load = |address| Load { address, era, tool, connections, time };
            let direct = load(servers[place]).run(None).await;
            let behind_nginx = match &nginx {
                Some(nginx) => Some(load(nginx.addresses[place]).run(Some(nginx)).await),
                None => None,
            };
            let through = load(gateway.addresses[place]).run(Some(&gateway)).await;
            println!("{}", row(what, &direct, behind_nginx.as_ref(), &through));
        }
    });
}

fn row(what: &str, direct: &Measured, nginx: Option<&Measured>, gateway: &Measured) -> String {
    let cell = |measured: &Measured| format!("{:.1} ({:.0})", measured.cpu_micros, measured.per_second);
    let ratio = nginx.map_or("-".into(), |nginx| format!("{:.2}", gateway.cpu_micros / nginx.cpu_micros));
    let nginx = nginx.map_or("-".into(), cell);
    format!("{what:<32} {:>10.0} {nginx:>12} {:>12} {ratio:>12}", direct.per_second, cell(gateway))
}
