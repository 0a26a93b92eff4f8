//! Runs one operation as often as told, for a profiler: `instructions NAME TIMES`.
//!
//! `.ci/full.d/instructions` counts what each costs and compares it with `figures.json`.

#[path = "../operations/mod.rs"]
mod operations;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (name, times) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let Ok(times) = times.parse::<u32>() else {
        println!("{}", operations::ALL.join("\n"));
        return ExitCode::SUCCESS;
    };
    let mut run = operations::of(&name);
    repeat(times, &mut run);
    ExitCode::SUCCESS
}

/// What is counted. The profiler is told its name, so that what is made before, such as ten thousand tools, which is not the same
/// work each time, does not count.
#[inline(never)]
fn repeat(times: u32, run: &mut dyn FnMut()) {
    (0..times).for_each(|_| run());
}
