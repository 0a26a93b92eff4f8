use crate::json::Ends;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room offered to each read: what a pipe commonly gives at once is 4 to 64 KiB.
const READ: usize = 16 << 10;
/// A longer line takes its memory along: nobody knows when the next one of that length comes.
const KEPT: usize = 64 << 10;

/// Lines of a pipe, without their ends; memory is bounded by the limit however long a line is.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    io: R,
    limit: usize,
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no line end.
    scanned: usize,
    /// The beginning of the line that is being skipped.
    head: Option<Bytes>,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole(Bytes),
    /// Longer than the limit: its first and its last bytes.
    Cut {
        head: Bytes,
        tail: Bytes,
    },
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(io: R, limit: usize) -> Self {
        Self { io, limit, buffer: BytesMut::new(), scanned: 0, head: None }
    }

    /// The length above which a line is cut.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The next line, or `None` at the end. A dropped future loses nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
                let line = self.buffer.split_to(self.scanned + at + 1);
                if line.len() > KEPT {
                    self.buffer = BytesMut::from(&self.buffer[..]);
                }
                return Ok(Some(self.line(line)));
            }
            self.scanned = self.buffer.len();
            self.shorten();
            self.buffer.reserve(READ);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                let rest = self.buffer.split();
                return Ok((!rest.is_empty() || self.head.is_some()).then(|| self.line(rest)));
            }
        }
    }

    fn line(&mut self, line: BytesMut) -> Line {
        self.scanned = 0;
        let line = line.freeze();
        let line = line.slice(..line.len() - usize::from(line.ends_with(b"\n")));
        let line = line.slice(..line.len() - usize::from(line.ends_with(b"\r")));
        let (head, line) = match self.head.take() {
            Some(head) => (head, line),
            None if line.len() <= self.limit => return Line::Whole(line),
            None => (Bytes::copy_from_slice(&line[..Ends::HEAD.min(self.limit)]), line),
        };
        Line::Cut { head, tail: Bytes::copy_from_slice(&line[line.len().saturating_sub(Ends::TAIL)..]) }
    }

    /// Keeps only the ends of a line above the limit.
    fn shorten(&mut self) {
        // One more than the limit, for the carriage return.
        if self.head.is_none() && self.buffer.len() <= self.limit + 1 {
            return;
        }
        let tail = self.buffer.len().saturating_sub(Ends::TAIL);
        if self.head.is_none() {
            self.head = Some(Bytes::copy_from_slice(&self.buffer[..Ends::HEAD.min(self.limit)]));
            self.buffer = BytesMut::from(&self.buffer[tail..]);
        } else {
            self.buffer.advance(tail);
        }
        self.scanned = self.buffer.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio_test::{block_on, io::Builder};

    async fn collect(chunks: &[&[u8]], limit: usize) -> Vec<Line> {
        let mut io = Builder::new();
        for chunk in chunks {
            io.read(chunk);
        }
        let mut lines = Lines::new(io.build(), limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn ends_blank_lines_and_an_unended_last_line() {
        let lines = block_on(collect(&[b"a\r\n\nb", b"c\n", b"\r\nlast"], 10));
        assert_eq!(lines, [whole("a"), whole(""), whole("bc"), whole(""), whole("last")]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'x'; 40_000];
        let lines = block_on(collect(&[b"{\"id\":1,", &long, b"end}\nnext\n"], 100));
        let Line::Cut { head, tail } = &lines[0] else { panic!("{lines:?}") };
        assert!(head.starts_with(b"{\"id\":1,xx") && head.len() == 100);
        assert!(tail.ends_with(b"xxend}") && tail.len() <= Ends::TAIL);
        assert_eq!(lines[1..], [whole("next")]);
    }

    #[test]
    fn the_limit_itself_is_whole_in_one_read_or_many() {
        for chunks in [&[b"12345\r\n".as_slice()][..], &[b"123", b"45", b"\r", b"\n"], &[b"12345", b"\n"], &[b"12345"]]
        {
            assert_eq!(block_on(collect(chunks, 5)), [whole("12345")], "{chunks:?}");
        }
        for chunks in [&[b"123456\n".as_slice()][..], &[b"12345", b"6", b"\n"], &[b"123456"]] {
            assert!(matches!(block_on(collect(chunks, 5))[..], [Line::Cut { .. }]), "{chunks:?}");
        }
    }

    proptest! {
        #[test]
        fn however_it_is_chunked_the_lines_are_the_same(
            text in prop::collection::vec(prop::sample::select(b"ab\n\r".to_vec()), 1..200),
            sizes in prop::collection::vec(1usize..20, 200),
        ) {
            let mut chunks = Vec::new();
            let mut rest = &text[..];
            for size in sizes {
                let (chunk, left) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = left;
                if rest.is_empty() { break; }
            }
            let once = block_on(collect(&[&text], 8));
            prop_assert_eq!(block_on(collect(&chunks, 8)), once);
        }
    }
}
