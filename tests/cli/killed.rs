//! What is left of child processes when the gateway is not asked.

use crate::{
    folder,
    running::{Gateway, is_watchdog, lives, started},
    support::soon,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{fs, os::unix::process::CommandExt, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// What the gateway promises, and the time of a busy machine.
const SOON: Duration = Duration::from_secs(2);

/// A child that does not care whether its stdin is closed or who sends SIGTERM, with a child like it.
fn stubborn() -> Value {
    json!({ "command": "sh", "args": ["-c", "trap '' TERM HUP; sleep 600 & sleep 600"] })
}

/// Waits until the gateway has a stubborn child with its two, and a watchdog: all their ids.
async fn processes(gateway: &Gateway) -> (Vec<u32>, u32) {
    let found = async {
        loop {
            let (dogs, children): (Vec<_>, Vec<_>) =
                started(gateway.pid()).into_iter().partition(|pid| is_watchdog(*pid));
            let all: Vec<_> = children.iter().copied().chain(children.iter().flat_map(|pid| started(*pid))).collect();
            if let ([dog], 3) = (&dogs[..], all.len()) {
                return (all, *dog);
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a child with children, and a watchdog", found).await
}

async fn are_gone(pids: &[u32]) -> Duration {
    let begun = Instant::now();
    let gone = async {
        while pids.iter().any(|pid| lives(*pid)) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the end of all", gone).await;
    begun.elapsed()
}

#[tokio::test]
async fn no_process_is_left_two_seconds_after_the_gateway_was_killed() {
    let gateway = Gateway::start("killed", &json!({ "mcpServers": { "stubborn": stubborn() } })).await;
    let (mut pids, dog) = processes(&gateway).await;
    pids.push(dog);
    gateway.signal(Signal::SIGKILL);
    let took = are_gone(&pids).await;
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_watchdog_that_was_killed_is_started_again() {
    let gateway = Gateway::start("dogless", &json!({ "mcpServers": { "stubborn": stubborn() } })).await;
    let (_, dog) = processes(&gateway).await;
    kill(Pid::from_raw(dog.try_into().unwrap()), Signal::SIGKILL).unwrap();
    are_gone(&[dog]).await;
    let (mut pids, dog) = processes(&gateway).await;
    pids.push(dog);
    gateway.signal(Signal::SIGKILL);
    let took = are_gone(&pids).await;
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn an_orderly_stop_leaves_no_watchdog() {
    let config = json!({ "limits": { "drainTimeout": 200 }, "mcpServers": { "stubborn": stubborn() } });
    let mut gateway = Gateway::start("leaving", &config).await;
    let (mut pids, dog) = processes(&gateway).await;
    pids.push(dog);
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.code().await, Some(0));
    assert!(!pids.iter().any(|pid| lives(*pid)));
}

/// A child that writes down its descriptors and its environment, and goes on as `cat`.
fn scribe(folder: &Path) -> Value {
    let (fds, env) = (folder.join("fds").display().to_string(), folder.join("env").display().to_string());
    // A second shell lists what the first has, so that no descriptor of the listing is among them.
    let script = "env > \"$2\"; (cd /proc/$$/fd && echo *) > \"$1.new\"; mv \"$1.new\" \"$1\"; exec cat";
    json!({ "command": "sh", "args": ["-c", script, "scribe", fds, env, "$(id); *"], "env": { "OWN": "a b" } })
}

#[tokio::test]
async fn a_child_gets_its_pipes_the_listed_variables_and_nothing_else() {
    let folder = folder("scribe-output");
    // A descriptor that whoever starts the gateway forgot to close.
    let leak = fs::File::open("/dev/zero").unwrap();
    let leaked = std::os::fd::AsRawFd::as_raw_fd(&leak);
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let config = json!({ "mcpServers": { "scribe": scribe(&folder) } });
    let gateway = Gateway::start_with("scribe", &config, |command| {
        command.env("SECRET_TOKEN", "hunter2").env("LD_LIBRARY_PATH", "/nowhere").env("TERM", "dumb");
        command.arg0("gateway");
        // Told already, so that the program does not begin anew, which would close what it was given.
        command.env("MALLOC_MMAP_THRESHOLD_", "1048576");
    })
    .await;
    let own = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count();
    assert!(own > 3 && Path::new(&format!("/proc/{}/fd/{leaked}", gateway.pid())).exists(), "it has more itself");
    let written = async {
        while !folder.join("fds").exists() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("what the child wrote", written).await;
    assert_eq!(fs::read_to_string(folder.join("fds")).unwrap().trim(), "0 1 2");
    let env = fs::read_to_string(folder.join("env")).unwrap();
    let mut names: Vec<_> = env.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    let listed = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "OWN"];
    assert!(names.iter().all(|name| listed.contains(name)) && names.contains(&"OWN"), "{names:?}");
    assert!(env.contains("TERM=dumb") && env.contains("OWN=a b") && !env.contains("hunter2"), "{env}");
}
