use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

/// Lines that may wait to be printed. Further ones are dropped: they tell how servers are, and later ones tell it anew.
const WAITING: usize = 1024;

/// Prints lines without ever waiting for whoever reads them.
///
/// A parent that starts the gateway and never reads its output would otherwise stop it as soon as the pipe is full.
#[derive(Clone, Debug)]
pub(super) struct Console(SyncSender<String>);

impl Console {
    /// Prints to `out` from a thread of its own, which ends with the last clone.
    pub(super) fn open(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        thread::Builder::new().name("console".into()).spawn(move || print(&receiver, out))?;
        Ok(Self(sender))
    }

    pub(super) fn say(&self, line: impl Into<String>) {
        let _ = self.0.try_send(line.into());
    }
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
        let console = Console::open(Slow(allowed, written)).unwrap();
        for n in 0..3 * WAITING {
            console.say(n.to_string());
        }
        (0..2).for_each(|_| allow.send(()).unwrap());
        let first: Vec<_> = read.iter().take(2).flatten().collect();
        assert_eq!(first, b"0\n");
        drop(allow);
        console.say("after the reader has gone");
    }
}
