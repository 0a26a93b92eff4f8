//! Bodies in chunks (RFC 9112, section 7.1): what servers answer with, and what clients send.

use bytes::{Buf, Bytes, BytesMut};

/// The longest line that says a chunk's size, extensions included, in bytes.
const MAX_LINE: usize = 1 << 10;
/// The most bytes of trailers; nobody reads them.
const MAX_TRAILERS: usize = 16 << 10;

const HALF: &str = "a line break of one byte in a chunked body";

/// A text that is no chunked body, and why.
#[derive(Debug)]
pub(crate) struct NotChunked(pub(crate) &'static str);

/// Where in a chunked body the reader is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Before the size of a chunk.
    #[default]
    Size,
    /// So many bytes of a chunk are left.
    Data(u64),
    /// After the data of a chunk, before its line break.
    Break,
    /// After the last chunk; so many bytes of trailers were read.
    Trailers(usize),
    End,
}

impl State {
    /// How much of `buffer` is more than the break behind data that was taken.
    #[cfg(feature = "http")]
    pub(crate) fn unread(self, buffer: &[u8]) -> usize {
        match self {
            State::Break => buffer.len().saturating_sub(2),
            _ => buffer.len(),
        }
    }
}

/// The next piece of data; `None` at the end of the body if `state` is [`State::End`], and else for want of bytes.
pub(crate) fn next(state: &mut State, buffer: &mut BytesMut) -> Result<Option<Bytes>, NotChunked> {
    loop {
        match *state {
            State::Size => {
                let size = match plain_size(buffer) {
                    Some((size, length)) => {
                        buffer.advance(length);
                        size
                    }
                    None => match line(buffer, MAX_LINE, size)? {
                        Some(size) => size?,
                        None => return Ok(None),
                    },
                };
                *state = match size {
                    0 => State::Trailers(0),
                    size => State::Data(size),
                };
            }
            State::Data(left) => {
                if buffer.is_empty() {
                    return Ok(None);
                }
                let data = buffer.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len())).freeze();
                *state = match left - data.len() as u64 {
                    0 => State::Break,
                    left => State::Data(left),
                };
                return Ok(Some(data));
            }
            State::Break if buffer.starts_with(b"\r\n") => {
                buffer.advance(2);
                *state = State::Size;
            }
            State::Break => match line(buffer, 0, |_| ())? {
                Some(_) => *state = State::Size,
                None => return Ok(None),
            },
            State::Trailers(read) => {
                let Some(length) = line(buffer, MAX_TRAILERS - read, <[u8]>::len)? else { return Ok(None) };
                *state = if length == 0 { State::End } else { State::Trailers(read + length) };
            }
            State::End => return Ok(None),
        }
    }
}

/// What `read` makes of a line of at most `limit` bytes, without its end; it is taken off.
fn line<T>(buffer: &mut BytesMut, limit: usize, read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, NotChunked> {
    let looked = buffer.len().min(limit + 2);
    let Some(end) = memchr::memchr(b'\n', &buffer[..looked]) else {
        return if looked == limit + 2 { Err(NotChunked("a chunk without an end")) } else { Ok(None) };
    };
    let Some(line) = buffer[..end].strip_suffix(b"\r") else {
        return Err(NotChunked(HALF));
    };
    // A reader that takes the CR alone for the end of a line sees other chunks.
    if line.contains(&b'\r') {
        return Err(NotChunked(HALF));
    }
    let read = read(line);
    buffer.advance(end + 1);
    Ok(Some(read))
}

/// A size as most are written, of a few digits and nothing else, and the length of its line with the break.
#[inline]
fn plain_size(buffer: &[u8]) -> Option<(u64, usize)> {
    const MOST_DIGITS: usize = 8;
    let mut size = 0;
    for (at, byte) in buffer.iter().take(MOST_DIGITS + 1).enumerate() {
        match char::from(*byte).to_digit(16) {
            Some(digit) => size = size << 4 | u64::from(digit),
            None => return (at > 0 && buffer[at..].starts_with(b"\r\n")).then_some((size, at + 2)),
        }
    }
    None
}

fn size(line: &[u8]) -> Result<u64, NotChunked> {
    let digits = line.iter().position(|byte| *byte == b';').map_or(line, |end| &line[..end]).trim_ascii_end();
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(u64::from);
    let size = digits.iter().try_fold(0, |size: u64, byte| Some(size << 4 | digit(byte)?));
    size.filter(|_| (1..=16).contains(&digits.len())).ok_or(NotChunked("a chunk without a size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], step: usize) -> Result<(Vec<u8>, State, usize), NotChunked> {
        let (mut state, mut buffer, mut data) = (State::default(), BytesMut::new(), Vec::new());
        for piece in text.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(piece) = next(&mut state, &mut buffer)? {
                data.extend_from_slice(&piece);
            }
        }
        Ok((data, state, buffer.len()))
    }

    #[test]
    fn a_body_reads_the_same_however_it_is_cut() {
        let text = b"3\r\nabc\r\nA;ext=\"x\"\r\n0123456789\r\n0b\r\n0123456789a\r\n000000003\r\ndef\r\n00\r\ntrailer: x\r\n\r\nbeyond";
        for step in 1..text.len() {
            let (data, state, left) = read(text, step).unwrap();
            assert_eq!((&data[..], state), (&b"abc01234567890123456789adef"[..], State::End), "in steps of {step}");
            assert_eq!(left, 6);
        }
        assert_eq!(read(b"5\r\nab", 9).unwrap().1, State::Data(3));
    }

    #[cfg(feature = "http")]
    #[test]
    fn the_break_behind_data_is_nothing_that_one_could_wait_for() {
        for (text, unread) in
            [("3\r\nabc", 0), ("3\r\nabc\r\n", 0), ("3\r\nabc\r\n2", 1), ("3\r\nabc\r\n2\r\nde\r\n", 7)]
        {
            let (mut state, mut buffer) = (State::default(), BytesMut::from(text));
            assert_eq!(next(&mut state, &mut buffer).unwrap().unwrap(), "abc");
            assert_eq!(state.unread(&buffer), unread, "{text}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let long = [&b"1;"[..], &[b'x'; 2 * MAX_LINE]].concat();
        let trailers = [&b"0\r\n"[..], &b"a: b\r\n".repeat(MAX_TRAILERS)].concat();
        for text in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"11111111111111111\r\n",
            b"1\r\nab\r\n",
            b"1\n",
            b"1\r\na\n",
            b"1;a\rb\r\na\r\n",
            b"0\r\na: b\rc: d\r\n\r\n",
            &long,
            &trailers,
        ] {
            for step in [1, 7, 5000] {
                assert!(read(text, step).is_err(), "{text:?}");
            }
        }
    }
}
