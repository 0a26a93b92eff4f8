//! Runs one operation as often as told, for a profiler: `instructions NAME TIMES`.
//!
//! `.ci/full.d/instructions` counts what each costs and compares it with `figures.json`.

#[path = "../operations/mod.rs"]
mod operations;

use std::{env, process::ExitCode};

/// Runs that are not counted.
const WARM: u32 = 100;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (name, times) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let Ok(times) = times.parse::<u32>() else {
        println!("{}", operations::ALL.join("\n"));
        return ExitCode::SUCCESS;
    };
    let mut run = operations::of(&name);
    // What is done at first only is not what it costs.
    (0..WARM).for_each(|_| run());
    counted_operation(&mut run, times);
    ExitCode::SUCCESS
}

/// The profiler counts while this runs, by its name.
#[inline(never)]
fn counted_operation(run: &mut dyn FnMut(), times: u32) {
    (0..times).for_each(|_| run());
}
