use serde_json::{Value, json};
use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// Lines that may wait to be printed. Further ones are dropped: they tell how servers are, and later ones tell it anew.
const WAITING: usize = 1024;

/// How long the last lines may take when the program ends.
const LAST_LINES: Duration = Duration::from_millis(250);

/// Prints lines without ever waiting for whoever reads them.
///
/// A parent that starts the gateway and never reads its output would otherwise stop it as soon as the pipe is full.
#[derive(Debug)]
pub(super) struct Console {
    lines: SyncSender<String>,
    /// Whether lines are objects for programs.
    json: bool,
    /// Closed when all is printed.
    ended: Receiver<()>,
}

impl Console {
    /// Prints to `out` from a thread of its own, which ends after the last line.
    pub(super) fn open(out: impl Write + Send + 'static, json: bool) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let (ending, ended) = sync_channel(0);
        let printing = move || {
            let _ending = ending;
            print(&receiver, out);
        };
        thread::Builder::new().name("console".into()).spawn(printing)?;
        Ok(Self { lines: sender, json, ended })
    }

    /// Prints `line` for people, or for programs an object: `event` with what `fields` hold.
    pub(super) fn say(&self, event: &str, line: impl Into<String>, fields: Value) {
        let _ = self.lines.try_send(if self.json { object(event, fields) } else { line.into() });
    }

    /// Prints an event that has nothing to tell but its line.
    pub(super) fn note(&self, event: &str, line: impl Into<String>) {
        let line = line.into();
        let fields = json!({ "message": line });
        self.say(event, line, fields);
    }

    /// Waits for the last line, but not for a reader that does not read.
    pub(super) fn close(self) {
        let Self { lines, ended, .. } = self;
        drop(lines);
        let _ = ended.recv_timeout(LAST_LINES);
    }
}

fn object(event: &str, mut fields: Value) -> String {
    fields["event"] = event.into();
    fields.to_string()
}

fn print(lines: &Receiver<String>, mut out: impl Write) {
    for line in lines {
        // A reader that has gone is no reason to stop serving.
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// Writes only when it is let, and hands over what was written.
    struct Slow(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.1.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nobody() {
        let ((allow, allowed), (written, read)) = (channel(), channel());
        let console = Console::open(Slow(allowed, written), false).unwrap();
        for n in 0..3 * WAITING {
            console.note("n", n.to_string());
        }
        (0..2).for_each(|_| allow.send(()).unwrap());
        let first: Vec<_> = read.iter().take(2).flatten().collect();
        assert_eq!(first, b"0\n");
        drop(allow);
        console.note("n", "after the reader has gone");
        console.close();
    }

    #[test]
    fn the_last_lines_are_printed_before_it_is_closed() {
        let ((allow, allowed), (written, read)) = (channel(), channel());
        let console = Console::open(Slow(allowed, written), false).unwrap();
        (0..20).for_each(|_| allow.send(()).unwrap());
        (0..10).for_each(|n| console.note("n", n.to_string()));
        console.close();
        let printed: Vec<_> = read.try_iter().flatten().filter(|byte| *byte != b'\n').collect();
        assert_eq!(printed, b"0123456789");
    }

    #[test]
    fn programs_read_objects() {
        let ((allow, allowed), (written, read)) = (channel(), channel());
        let console = Console::open(Slow(allowed, written), true).unwrap();
        (0..4).for_each(|_| allow.send(()).unwrap());
        console.say("listening", "for people", json!({ "url": "u" }));
        console.note("note", "a \"note\"");
        console.close();
        let printed = String::from_utf8(read.try_iter().flatten().collect()).unwrap();
        assert_eq!(
            printed,
            "{\"event\":\"listening\",\"url\":\"u\"}\n{\"event\":\"note\",\"message\":\"a \\\"note\\\"\"}\n"
        );
    }
}
