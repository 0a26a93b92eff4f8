use nix::{
    errno::Errno,
    sys::signal::{SigSet, Signal, killpg},
    unistd::Pid,
};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    thread,
    time::{Duration, Instant},
};

/// How long what is left may take to leave after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is looked whether anything is left.
const LOOK: Duration = Duration::from_millis(20);
/// The longest line there is: a sign, an id and the line's end.
const LINE: u64 = 32;

/// What the process of a [`Watchdog`](super::Watchdog) does: it reads which groups there are from `input`, and kills those
/// that are left when it ends.
///
/// SIGTERM, SIGINT and SIGHUP do not end it: it ends with the program it belongs to.
pub fn run(input: impl Read) {
    let mut deaf = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| deaf.add(signal));
    // A watchdog that can be told to go is still one.
    let _ = deaf.thread_block();
    end(groups(input));
}

/// The groups that have begun and not ended when `input` does.
fn groups(input: impl Read) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    let mut input = BufReader::new(input);
    loop {
        let mut line = String::new();
        match input.by_ref().take(LINE).read_line(&mut line) {
            Ok(0) | Err(_) => return groups,
            Ok(_) => {}
        }
        let told = line.trim_end().split_at_checked(1);
        // 0 would be the own group, 1 everything there is.
        match told.and_then(|(sign, id)| Some((sign, id.parse().ok().filter(|id| *id > 1)?))) {
            Some(("+", group)) => drop(groups.insert(group)),
            Some(("-", group)) => drop(groups.remove(&group)),
            _ => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a process of its own, without a runtime")]
fn end(mut groups: BTreeSet<i32>) {
    let signal = |group: &i32, signal| killpg(Pid::from_raw(*group), signal);
    let until = Instant::now() + GRACE;
    groups.retain(|group| signal(group, Signal::SIGTERM.into()) != Err(Errno::ESRCH));
    while !groups.is_empty() && Instant::now() < until {
        thread::sleep(LOOK);
        groups.retain(|group| signal(group, None) != Err(Errno::ESRCH));
    }
    for group in groups {
        let _ = signal(&group, Signal::SIGKILL.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::process::CommandExt, process::Command};

    #[test]
    fn what_ended_is_forgotten_and_what_is_no_group_is_not_believed() {
        let text = "+12\n+13\n-12\n+0\n+1\n+-7\n\nx\n+14";
        assert_eq!(groups(text.as_bytes()), BTreeSet::from([13, 14]));
    }

    #[test]
    fn a_group_that_ignores_everything_is_killed_with_its_grandchildren() {
        let script = "trap '' TERM HUP; sleep 600 & echo; wait";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It has said that it ignores SIGTERM, which its children inherit.
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        run(format!("+{}\n", child.id()).as_bytes());
        // It ends when the last of them is gone.
        stdout.read_to_end(&mut Vec::new()).unwrap();
        child.wait().unwrap();
    }
}
