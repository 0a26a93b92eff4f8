//! How long a call takes where there is room: two thousand a second over 64 connections.

use crate::{
    Pace,
    calls::{Way, replicas},
    figures::{Figures, median},
    load::{Era, Op},
    processes::Process,
};

/// Calls a second.
const RATE: f64 = 2000.0;
/// How much later than the server's own the slowest in a hundred may be, in microseconds.
const LATER: f64 = 300.0;

pub(crate) async fn measure(pace: Pace, figures: &mut Figures) {
    let server = Process::this("server", &[]);
    let servers = replicas(server.address, "/early/16");
    let (nginx, gateway) = (Process::nginx(server.address).await, Process::gateway(&servers, &[]).await);
    let beside = Process::gateway_beside(&servers).await;
    let kind = (Era::Early, Op::Echo, 64);
    let mut ways = vec![
        ("the server alone", Way::new(&server, "/early/16", kind, pace)),
        ("through the gateway", Way::new(&gateway, "/mcp", kind, pace)),
    ];
    ways.extend(nginx.iter().map(|nginx| ("through nginx", Way::new(nginx, "/early/16", kind, pace))));
    ways.extend(beside.iter().map(|beside| ("through `BESIDE_BIN`", Way::new(beside, "/mcp", kind, pace))));
    let mut taken = vec![[const { Vec::new() }; 3]; ways.len()];
    // The slowest in a hundred are few, and one visit of a neighbour makes most of them: more rounds, and the median.
    for _ in 0..2 * pace.rounds {
        for ((_, way), taken) in ways.iter_mut().zip(&mut taken) {
            way.load.rate = Some(RATE);
            let measured = way.load.run(way.process).await;
            taken[0].push(measured.quantile(0.5));
            taken[1].push(measured.quantile(0.99));
            taken[2].push(measured.cpu);
        }
    }
    println!("| 2,000 calls a second, 64 connections | p50 µs | p99 µs | CPU µs a call |\n|---|---|---|---|");
    let taken: Vec<[f64; 3]> = taken.into_iter().map(|figures| figures.map(median)).collect();
    for ((what, _), [half, most, cpu]) in ways.iter().zip(&taken) {
        println!("| {what} | {half:.0} | {most:.0} | {cpu:.1} |");
    }
    println!();
    if nginx.is_some() {
        figures.bound("p50 of the gateway, of nginx's", taken[1][0] / taken[2][0], 1.0);
    }
    figures.bound("p99 of the gateway above the server's, in µs", taken[1][1] - taken[0][1], LATER);
}
