//! What the figures were measured on.

use std::{fs, process::Command, thread};

pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |line| line.trim_start_matches([' ', '\t', ':']));
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("?");
    let nginx = Command::new("nginx").arg("-v").output().ok();
    let nginx = nginx.map(|said| String::from_utf8_lossy(&said.stderr).trim().replace("nginx version: ", ""));
    let nginx = nginx.unwrap_or_else(|| "no nginx".into());
    format!("{cores} cores of {cpu}, Linux {}, {nginx}; load before: {load}", kernel.trim())
}
