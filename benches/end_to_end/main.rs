//! What a call costs through the gateway, beside what it costs without it, through nginx where that is installed, and
//! through the least that could do the same.
//!
//! `cargo bench --bench end_to_end` starts what it needs, sends calls over keep-alive connections, checks every answer, and
//! prints tables. What is compared is measured in turns, and the median of the rounds is shown. CPU is that of the process
//! in the middle alone. Words choose parts: `-- calls pairs latency start memory`; `long` looks whether memory stays flat, and
//! runs only when it is asked for. `BENCH_SECONDS` is the length of one measurement, `BENCH_ROUNDS` how often each is
//! taken, `GATEWAY_BIN` another program than the one that was just built, `BESIDE_BIN` a further one, which `latency` measures in
//! the same turns. With `BENCH_CHECK` set, it ends with 1 where something is above its bound.

mod calls;
mod child;
mod figures;
mod latency;
mod load;
mod machine;
mod memory;
mod pipe;
mod processes;
mod request;
mod server;
mod start;

use figures::Figures;
use std::{process::ExitCode, time::Duration};

/// What is measured unless words choose.
const PARTS: [&str; 5] = ["calls", "pairs", "latency", "start", "memory"];

/// How often, and for how long each time.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
}

fn main() -> ExitCode {
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    if words.is_empty() && !flags.iter().any(|flag| flag == "--bench") {
        // As a test, of a program that nobody optimized, it would say nothing.
        println!("`cargo bench --bench end_to_end` measures");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // The program is also what it measures against, each in a process of its own.
    match words.first().map(String::as_str) {
        Some("server") => runtime.block_on(server::run()),
        Some("pipe") => runtime.block_on(pipe::run()),
        Some("child") => child::run(),
        _ => return runtime.block_on(measure(&words)),
    }
    ExitCode::SUCCESS
}

async fn measure(words: &[String]) -> ExitCode {
    let number =
        |name: &str, default: f64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let time = Duration::from_secs_f64(number("BENCH_SECONDS", 1.0));
    let pace = Pace { rounds: number("BENCH_ROUNDS", 3.0).max(1.0) as usize, time };
    let asked =
        |part: &str| if words.is_empty() { PARTS.contains(&part) } else { words.iter().any(|word| word == part) };
    let mut figures = Figures::default();
    println!("{}\n", machine::describe());
    if asked("calls") {
        calls::measure(pace, &mut figures).await;
    }
    if asked("pairs") {
        calls::pairs(pace, &mut figures).await;
    }
    if asked("latency") {
        latency::measure(pace, &mut figures).await;
    }
    if asked("start") {
        start::measure(pace, &mut figures).await;
    }
    if asked("memory") {
        memory::measure(pace, &mut figures).await;
    }
    if asked("long") {
        memory::long(number("BENCH_CALLS", 1e7) as u64, &mut figures).await;
    }
    figures.verdict()
}
