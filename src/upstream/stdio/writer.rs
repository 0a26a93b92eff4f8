use super::service::Frame;
use crate::upstream::mux::Mux;
use bytes::{Buf, Bytes};
use std::{io, time::Duration};
use tokio::{io::AsyncWriteExt, process::ChildStdin, sync::mpsc, time};

/// Frames are written together up to this size. A pipe commonly holds four times as much, so that they leave as one; more
/// would count calls as sent whose bytes a child that does not read was never given.
const TOGETHER: usize = 16 << 10;

/// How long a message may take to be written whole before it is asked whether the child is still there.
const STUCK: Duration = Duration::from_secs(5);

/// Writes frames to a child in the order in which they were made: a call after every cancellation that went before it, so
/// that a child which has answered the call has read those.
pub(super) struct Writer<'a> {
    mux: &'a Mux,
    epoch: u64,
    queue: &'a mut mpsc::Receiver<Frame>,
    /// Taken off the queue, and not written yet.
    next: Option<Frame>,
}

impl<'a> Writer<'a> {
    /// For the connection with this number.
    pub(super) fn new(mux: &'a Mux, epoch: u64, queue: &'a mut mpsc::Receiver<Frame>) -> Self {
        Self { mux, epoch, queue, next: None }
    }

    /// Writes until the pipe breaks.
    pub(super) async fn run(mut self, mut stdin: ChildStdin) -> io::Result<()> {
        let mut lines = Vec::new();
        loop {
            let frame = self.first().await;
            let large = match frame.len() > TOGETHER && line_end(&frame).is_none() {
                // Not copied.
                true => frame,
                false => {
                    lines.extend_from_slice(&frame);
                    Bytes::new()
                }
            };
            end(&mut lines, 0);
            self.more(&mut lines);
            let (mut unwritten, mut heard) = (large.chain(&lines[..]), self.mux.heard());
            // A check that cannot be written is as good as one that is not answered.
            loop {
                match time::timeout(STUCK, stdin.write_all_buf(&mut unwritten)).await {
                    Ok(written) => break written?,
                    Err(_) => heard = self.mux.stuck(heard),
                }
            }
            lines.clear();
            lines.shrink_to(2 * TOGETHER);
        }
    }

    /// Waits for a frame.
    async fn first(&mut self) -> Bytes {
        loop {
            if let Some(bytes) = self.waiting() {
                return bytes;
            }
            tokio::select! {
                biased;
                frame = self.mux.outgoing() => return frame,
                frame = self.queue.recv() => match frame {
                    // Every handle is gone; that is seen elsewhere, and stdin is closed there.
                    None => return std::future::pending().await,
                    frame => self.next = frame,
                },
            }
        }
    }

    /// The lines of further frames that wait already: one write for all of them wakes the child once.
    fn more(&mut self, lines: &mut Vec<u8>) {
        while lines.len() < TOGETHER
            && let Some(bytes) = self.waiting()
        {
            let begin = lines.len();
            lines.extend_from_slice(&bytes);
            end(lines, begin);
        }
    }

    /// The frame that is to be written next, if one waits; nothing of a call that is over, or for an earlier connection.
    fn waiting(&mut self) -> Option<Bytes> {
        loop {
            // Taken off first: what the gateway said before the call was made is among its own frames by then.
            self.next = self.next.take().or_else(|| self.queue.try_recv().ok());
            if let Some(own) = self.mux.try_outgoing() {
                return Some(own);
            }
            let frame = self.next.take()?;
            if frame.epoch == self.epoch && frame.slot.is_none_or(|slot| self.mux.begin(slot)) {
                return Some(frame.bytes);
            }
        }
    }
}

/// Makes what stands behind `begin` a line. Parameters keep the white space of their sender; a line end among it would end
/// the message. In JSON such a byte is never part of a string.
fn end(lines: &mut Vec<u8>, begin: usize) {
    let mut rest = &mut lines[begin..];
    while let Some(at) = line_end(rest) {
        rest[at] = b' ';
        rest = &mut rest[at + 1..];
    }
    lines.push(b'\n');
}

fn line_end(text: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\r', text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Call, Method, Revision,
        json::Params,
        upstream::{Hop, OfClient, Outbound},
    };
    use futures_util::FutureExt;

    fn text(lines: Vec<u8>) -> String {
        String::from_utf8(lines).unwrap()
    }

    #[tokio::test]
    async fn frames_that_wait_are_written_together_up_to_a_size_and_none_of_an_earlier_connection() {
        let (mux, (sender, mut queue)) = (Mux::new(), mpsc::channel(32));
        let epoch = mux.connect();
        let large = "x".repeat(TOGETHER);
        for (epoch, slot, text) in [
            (epoch, None, "{\n}"),
            (epoch - 1, None, "earlier"),
            (epoch, Some(7), "of a call that is over"),
            (epoch, None, large.as_str()),
            (epoch, None, "later"),
        ] {
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            assert!(sender.try_send(Frame { epoch, slot, bytes }).is_ok());
        }
        let mut writer = Writer::new(&mux, epoch, &mut queue);
        let mut more = || {
            let mut lines = Vec::new();
            writer.more(&mut lines);
            text(lines)
        };
        assert_eq!([more(), more(), more()], [format!("{{ }}\n{large}\n"), "later\n".into(), String::new()]);
    }

    #[tokio::test]
    async fn a_call_is_written_behind_every_cancellation_that_went_before_it() {
        let (mux, (sender, mut queue)) = (Mux::new(), mpsc::channel(32));
        let epoch = mux.connect();
        let open = || {
            let mut call = Call::new(Method::TOOLS_CALL, Params::empty());
            call.extensions.insert(OfClient::default());
            let hop = Hop::new(Some(Revision::V2025_11_25), epoch).into();
            mux.open(&Outbound { call, hop }).unwrap()
        };
        let given_up: Vec<_> = (0..2).map(|_| open().1).collect();
        assert!(given_up.iter().all(|ticket| mux.begin(ticket.id())));
        drop(given_up);
        let (bytes, ticket) = open();
        assert!(sender.try_send(Frame { epoch, slot: Some(ticket.id()), bytes }).is_ok());
        let mut writer = Writer::new(&mux, epoch, &mut queue);
        let mut lines = writer.first().now_or_never().expect("the first cancellation").to_vec();
        end(&mut lines, 0);
        writer.more(&mut lines);
        let said = text(lines);
        let kinds = ["cancelled", "ping", "cancelled", "ping", "tools/call"];
        assert_eq!(said.lines().count(), kinds.len());
        assert!(said.lines().zip(kinds).all(|(line, kind)| line.contains(kind)), "{said}");
    }

    #[test]
    fn a_frame_is_one_line_whatever_its_sender_wrote() {
        let mut lines = b"before\n{\r\n \"a\": \"\\n\"\n}".to_vec();
        end(&mut lines, 7);
        assert_eq!(lines, b"before\n{   \"a\": \"\\n\" }\n");
    }
}
