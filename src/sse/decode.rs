use super::Event;
use crate::upstream::error::TooLarge;
use bytes::{Buf, Bytes, BytesMut};
use std::{borrow::Cow, mem, time::Duration};

/// Reads a stream of events from chunks of any size.
///
/// It reports whole events only: comments and half-received events are not progress, so a peer that drips bytes to
/// keep a stream alive does not keep a timeout from firing. Data of one line that lies in one chunk shares the chunk's
/// memory.
///
/// ```
/// use bytes::Bytes;
/// use tower_mcp_gateway::sse::Decoder;
///
/// let mut decoder = Decoder::new(1 << 20);
/// let mut first = Bytes::from_static(b": nothing yet\n\ndata: {\"a\"");
/// assert!(decoder.decode(&mut first)?.is_none(), "an event is whole or none");
/// let mut second = Bytes::from_static(b":1}\n\n");
/// assert_eq!(decoder.decode(&mut second)?.unwrap().data, "{\"a\":1}");
/// # Ok::<(), tower_mcp_gateway::upstream::error::TooLarge>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// The beginning of a line whose end has not arrived.
    pub(super) line: BytesMut,
    /// The last line ended with `\r`, so a `\n` that comes next belongs to it.
    pub(super) after_cr: bool,
    /// No line was read yet, so a byte order mark may stand first.
    pub(super) at_start: bool,
    pub(super) event: Pending,
    /// Whether the event's data is taken as it arrives, and that of its line goes on.
    #[cfg(feature = "_client")]
    pub(super) within: bool,
}

/// Field names and their colon, which do not count towards the limit of an event but lie in the line buffer.
const LINE_SLACK: usize = 64;

/// A longer line leaves no room for the next one behind, on a stream that may stay open for days.
const KEPT: usize = 64 << 10;

/// A line of nearly every event, which is compared and not read.
const MESSAGE: &[u8] = b"event: message\n";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Decoder {
    /// A decoder at the start of a stream, for events whose fields together have at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let event = Pending::default();
        Self {
            limit,
            line: BytesMut::new(),
            after_cr: false,
            at_start: true,
            event,
            #[cfg(feature = "_client")]
            within: false,
        }
    }

    /// Takes bytes off the front of `chunk` until an event is complete, and returns that; `None` once the chunk is
    /// used up.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] for an event or a comment above the limit; the stream cannot be read any further.
    pub fn decode(&mut self, chunk: &mut Bytes) -> Result<Option<Event>, TooLarge> {
        loop {
            self.skip_break(chunk);
            if self.line.is_empty() && chunk.starts_with(MESSAGE) {
                chunk.advance(MESSAGE.len());
                self.at_start = false;
                self.event.take(Field::Event, b"message");
                self.check(self.event.size)?;
            }
            let end = match chunk.first() {
                // As most events end, of which each has one.
                Some(b'\n') => Some(0),
                Some(_) => memchr::memchr2(b'\n', b'\r', chunk),
                None => return Ok(None),
            };
            let Some(end) = end else {
                self.keep_rest(chunk)?;
                return Ok(None);
            };
            self.after_cr = chunk[end] == b'\r';
            let first = mem::take(&mut self.at_start);
            if !self.line.is_empty() {
                let mut line = self.joined(&chunk[..end]);
                chunk.advance(end + 1);
                match Field::of(&line, first) {
                    (Field::Data, value) => {
                        line.advance(value);
                        self.event.add_data(line);
                    }
                    (field, value) => self.event.take(field, &line[value..]),
                }
            } else if end > 0 {
                match Field::of(&chunk[..end], first) {
                    (Field::Data, value) => {
                        let mut line = chunk.split_to(end);
                        line.advance(value);
                        self.event.add_data(line);
                    }
                    (field, value) => {
                        self.event.take(field, &chunk[value..end]);
                        chunk.advance(end);
                    }
                }
                chunk.advance(1);
            } else {
                chunk.advance(1);
                match self.event.finish() {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            self.check(self.event.size)?;
        }
    }

    /// Skips what is left of the break behind the last line.
    pub(super) fn skip_break(&mut self, chunk: &mut Bytes) {
        if mem::take(&mut self.after_cr) {
            match chunk.first() {
                Some(b'\n') => chunk.advance(1),
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
    }

    /// Keeps a line that has not ended.
    pub(super) fn keep_rest(&mut self, chunk: &mut Bytes) -> Result<(), TooLarge> {
        let line = self.line.len().saturating_add(chunk.len());
        self.check((self.event.size + line).saturating_sub(LINE_SLACK))?;
        self.keep(chunk);
        chunk.clear();
        Ok(())
    }

    /// The line whose beginning was kept. A long one takes its memory along.
    pub(super) fn joined(&mut self, end: &[u8]) -> Bytes {
        self.keep(end);
        let whole = if self.line.len() > KEPT { mem::take(&mut self.line) } else { self.line.split() };
        whole.freeze()
    }

    /// Appends to the line that has not ended. Its buffer doubles, but never beyond the largest event: of a line that is
    /// refused in the end, nothing above the limit was ever held.
    fn keep(&mut self, piece: &[u8]) {
        let needed = self.line.len() + piece.len();
        if needed > self.line.capacity() {
            let room = (2 * needed).min(self.limit.saturating_add(LINE_SLACK)).max(needed);
            let mut grown = BytesMut::with_capacity(room);
            grown.extend_from_slice(&self.line);
            self.line = grown;
        }
        self.line.extend_from_slice(piece);
    }

    pub(super) fn check(&self, size: usize) -> Result<(), TooLarge> {
        if size > self.limit { Err(TooLarge { limit: self.limit }) } else { Ok(()) }
    }
}

/// An event whose blank line has not come.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) kind: Option<Cow<'static, str>>,
    pub(super) data: Option<Data>,
    id: Option<Box<str>>,
    retry: Option<Duration>,
    /// What the fields hold, in bytes.
    pub(super) size: usize,
}

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Data,
    Event,
    Id,
    Retry,
    /// An empty name is a comment, any other one is unknown.
    None,
}

impl Field {
    /// What a line says, and where its value begins; the `first` line of all may begin with a mark.
    pub(super) fn of(line: &[u8], first: bool) -> (Self, usize) {
        // The two of nearly every event, told apart without a look for the colon.
        for (name, field) in [(&b"data:"[..], Field::Data), (b"event:", Field::Event)] {
            if line.starts_with(name) {
                return (field, name.len() + usize::from(line.get(name.len()) == Some(&b' ')));
            }
        }
        let mark = if first && line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let name = &line[mark..];
        let name = name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[..colon]);
        let field = match name {
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"id" => Field::Id,
            b"retry" => Field::Retry,
            _ => Field::None,
        };
        // The colon, and one space after it, belong to neither name nor value.
        let colon = mark + name.len();
        let space = usize::from(line.get(colon + 1) == Some(&b' '));
        (field, (colon + 1 + space).min(line.len()))
    }
}

/// One line shares the memory of its chunk; only several are copied together.
#[derive(Debug)]
pub(super) enum Data {
    Line(Bytes),
    Lines(Vec<u8>),
}

impl Data {
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Data::Line(line) => line,
            Data::Lines(lines) => lines.into(),
        }
    }
}

impl Pending {
    pub(super) fn take(&mut self, field: Field, value: &[u8]) {
        match field {
            Field::Event => {
                self.size += value.len();
                self.kind = Some(kind(value));
            }
            Field::Id if memchr::memchr(0, value).is_none() => {
                self.size += value.len();
                self.id = Some(String::from_utf8_lossy(value).into());
            }
            Field::Retry if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value).ok().and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
            }
            _ => {}
        }
    }

    fn add_data(&mut self, line: Bytes) {
        self.size += line.len() + usize::from(self.data.is_some());
        self.data = Some(match self.data.take() {
            None => Data::Line(line),
            Some(Data::Line(first)) => Data::Lines([&first[..], b"\n", &line[..]].concat()),
            Some(Data::Lines(mut lines)) => {
                lines.push(b'\n');
                lines.extend_from_slice(&line);
                Data::Lines(lines)
            }
        });
    }

    /// The event without the data, which has been taken.
    #[cfg(feature = "_client")]
    pub(super) fn beside_data(self) -> Event {
        Event { event: self.kind, data: Bytes::new(), id: self.id, retry: self.retry }
    }

    /// The event, unless it says nothing: a type alone is not an event.
    fn finish(&mut self) -> Option<Event> {
        let pending = mem::take(self);
        let data = match pending.data {
            None if pending.id.is_none() && pending.retry.is_none() => return None,
            None => Bytes::new(),
            Some(data) => data.into_bytes(),
        };
        Some(Event { event: pending.kind, data, id: pending.id, retry: pending.retry })
    }
}

fn kind(text: &[u8]) -> Cow<'static, str> {
    match text {
        b"message" => Cow::Borrowed("message"),
        b"endpoint" => Cow::Borrowed("endpoint"),
        other => Cow::Owned(String::from_utf8_lossy(other).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::encode;
    use proptest::prelude::*;

    /// The events of a stream that arrives in chunks of `step` bytes.
    fn read(text: &[u8], step: usize) -> Result<Vec<Event>, TooLarge> {
        let (mut decoder, mut events) = (Decoder::new(1 << 10), Vec::new());
        for chunk in text.chunks(step) {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some(event) = decoder.decode(&mut chunk)? {
                events.push(event);
            }
            assert!(chunk.is_empty());
        }
        Ok(events)
    }

    #[test]
    fn a_stream_reads_the_same_however_it_is_cut() {
        let text = b"\xef\xbb\xbfdata: one\r\n\r\n: a comment\r\rdata:two\rdata\rdata:  three\r\revent: endpoint\n\
            data: /post\nid: 7\nretry: 250\nunknown: x\n\nevent: message\ndata: three\n\nevent: other\nevent: message\n\
            data: four\n\nid\n\nevent: alone\n\nretry: soon\nid: a\0b\n\ndata: cut";
        let mut expected = vec![Event::new("one"), Event::new("two\n\n three")];
        let endpoint = Event::new("/post").with_event("endpoint").with_id("7");
        let message = |text: &'static str| Event::new(text).with_event("message");
        expected.extend([endpoint.with_retry(Duration::from_millis(250)), message("three"), message("four")]);
        expected.push(Event::default().with_id(""));
        for step in 1..text.len() {
            assert_eq!(read(text, step).unwrap(), expected, "in steps of {step}");
        }
    }

    #[test]
    fn only_the_first_byte_order_mark_is_skipped() {
        let events = read(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n", 99).unwrap();
        assert_eq!(events, [Event::new("a"), Event::new("c")]);
    }

    #[test]
    fn an_event_may_fill_the_limit_but_not_pass_it() {
        let frame = |size: usize| encode(&Event::new("x".repeat(size)));
        let lines = |count: usize| "data:\n".repeat(count) + "\n";
        for step in [1, 7, 5000] {
            assert_eq!(read(&frame(1 << 10), step).unwrap().len(), 1);
            assert!(read(&frame((1 << 10) + 1), step).is_err());
            assert_eq!(read(lines((1 << 10) + 1).as_bytes(), step).unwrap().len(), 1);
            assert!(read(lines((1 << 10) + 2).as_bytes(), step).is_err());
            assert!(read(&b"x".repeat(2 << 10), step).is_err(), "a line without an end");
            assert!(read(&frame(1 << 9).repeat(8), step).is_ok(), "the limit is per event");
        }
    }

    #[test]
    fn data_of_one_line_is_not_copied() {
        let mut chunk = Bytes::from_static(b"data: here\n\n");
        let place = chunk.as_ptr() as usize + 6;
        let event = Decoder::new(99).decode(&mut chunk).unwrap().unwrap();
        assert_eq!(event.data.as_ptr() as usize, place);
    }

    fn event() -> impl Strategy<Value = Event> {
        let text = || prop::option::of("[a-z:é ]{0,5}");
        let parts = (text(), prop::collection::vec("[a-z:é \"]{0,4}", 1..4), text(), prop::option::of(0..9999u64));
        parts.prop_map(|(event, data, id, retry)| Event {
            event: event.map(Cow::Owned),
            data: data.join("\n").into(),
            id: id.map(Into::into),
            retry: retry.map(Duration::from_millis),
        })
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(events in prop::collection::vec(event(), 0..5), step in 1usize..40) {
            let text: Vec<u8> = events.iter().flat_map(encode).collect();
            prop_assert_eq!(read(&text, step).unwrap(), events);
        }

        #[test]
        fn no_bytes_break_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..40) {
            prop_assert!(read(&bytes, step).is_ok());
        }
    }
}
