use super::Event;
use bytes::Bytes;

/// A comment: keeps intermediaries from closing a silent stream, and means nothing to the reader.
pub const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// Writes one event, the blank line that ends it included.
///
/// A line break in the data, of any of the three kinds, starts a new `data` line and is read back as `\n`; in JSON
/// text it can only be white space. A line break in type or id would begin a field of the sender's choosing, so the
/// value ends before it.
///
/// ```
/// use tower_mcp_gateway::sse::{Event, encode};
///
/// let event = Event::new("{}").with_event("endpoint").with_id("7");
/// assert_eq!(encode(&event), "event: endpoint\nid: 7\ndata: {}\n\n");
/// ```
pub fn encode(event: &Event) -> Bytes {
    let mut out = Vec::with_capacity(event.data.len() + 64);
    if let Some(kind) = &event.event {
        field(&mut out, "event", first_line(kind));
    }
    if let Some(id) = &event.id {
        field(&mut out, "id", first_line(id));
    }
    if let Some(retry) = event.retry {
        field(&mut out, "retry", retry.as_millis().to_string().as_bytes());
    }
    append(&mut out, |out| out.extend_from_slice(&event.data));
    out.into()
}

/// Appends the rest of an event: the data that `write` appends, and the blank line.
pub(crate) fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    open(out);
    let start = out.len();
    write(out);
    if memchr::memchr2(b'\n', b'\r', &out[start..]).is_some() {
        let text = out.split_off(start);
        lines(out, &text);
    }
    close(out);
}

/// Appends what goes before the data of an event, which follows [in pieces](lines).
pub(crate) fn open(out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
}

/// Appends what goes behind the data of an event.
pub(crate) fn close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n\n");
}

/// Appends data that may have line breaks in it, all or a piece. A break that is cut in two is read back as two, which in JSON
/// text is as much white space.
pub(crate) fn lines(out: &mut Vec<u8>, mut rest: &[u8]) {
    while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
        out.extend_from_slice(&rest[..end]);
        out.extend_from_slice(b"\ndata: ");
        let width = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
    out.extend_from_slice(rest);
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn first_line(text: &str) -> &[u8] {
    let text = text.as_bytes();
    &text[..memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn fields_stand_in_lines_of_their_own() {
        let event = Event::new("a\r\nb\rc\n").with_event("endpoint").with_id("9");
        let text = encode(&event.with_retry(Duration::from_millis(1500)));
        assert_eq!(text, "event: endpoint\nid: 9\nretry: 1500\ndata: a\ndata: b\ndata: c\ndata: \n\n");
        assert_eq!(encode(&Event::default()), "data: \n\n");
    }

    #[test]
    fn a_line_break_in_type_or_id_starts_no_field() {
        let event = Event::new("x").with_event("a\ndata: forged").with_id("1\r\n\r\ndata: forged");
        assert_eq!(encode(&event), "event: a\nid: 1\ndata: x\n\n");
    }
}
