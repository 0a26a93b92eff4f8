use super::{id::number, scan::Scanner};

/// What can be said of a message of which only the first and the last bytes are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The answer to the request with this id, or to one that they do not name. An id that is no number is none of the
    /// gateway's.
    Answer(Option<u64>),
    /// It asks or tells something, or is no message as far as they show: its ids, if any, are its sender's.
    Other,
}

impl Ends {
    /// What is to be kept of the beginning of a message, in bytes.
    pub(crate) const HEAD: usize = 16 << 10;
    /// What is to be kept of its end, in bytes: enough for an id that stands behind the result.
    pub(crate) const TAIL: usize = 256;

    /// Believes nothing but members of the message itself: those in front of the first that is cut, and the last of all.
    pub(crate) fn read(head: &[u8], tail: &[u8]) -> Self {
        match front(head) {
            Some(Some(id)) => Ends::Answer(number(id)),
            Some(None) => Ends::Answer(back(tail).and_then(number)),
            None => Ends::Other,
        }
    }
}

/// The id that stands before the outcome of an answer, if one does; `None` if it is that of no answer.
fn front(head: &[u8]) -> Option<Option<&[u8]>> {
    let (mut scanner, mut id) = (Scanner::new(head), None);
    if !scanner.enter(b'{') {
        return None;
    }
    loop {
        let key = scanner.key().ok()?;
        match &*key.name {
            b"result" | b"error" => return Some(id),
            b"method" | b"params" => return None,
            b"id" => id = Some(scanner.value().ok()?),
            _ => drop(scanner.value().ok()?),
        }
        if !scanner.take(b',') {
            return None;
        }
    }
}

/// The id that is the last member of a message, or the last but its version. A quote inside of a string has a backslash, so
/// that what looks like a key behind a comma is one; and what is the last before one bracket is in no deeper object.
fn back(tail: &[u8]) -> Option<&[u8]> {
    let members = tail.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let members = without_version(members).unwrap_or(members);
    let at = memchr::memmem::rfind(members, b"\"id\"")?;
    let value = members[at + 4..].trim_ascii_start().strip_prefix(b":")?;
    members[..at].trim_ascii_end().ends_with(b",").then(|| value.trim_ascii())
}

fn without_version(members: &[u8]) -> Option<&[u8]> {
    let members = members.strip_suffix(b"\"2.0\"")?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    Some(members.strip_suffix(b"\"jsonrpc\"")?.trim_ascii_end().strip_suffix(b",")?.trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str, tail: &str) -> Ends {
        Ends::read(head.as_bytes(), tail.as_bytes())
    }

    #[test]
    fn the_id_of_an_answer_is_found_only_where_it_is_certain() {
        for (head, tail) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"#, "}}"),
            (r#"{"id":"7","result":{"#, "}}"),
            (r#"{"id":7,"jsonrpc":"2.0","error":{"#, "}}"),
            (r#"{"result":{"#, r#"},"jsonrpc":"2.0","id":7}"#),
            (r#"{"result":{"#, r#"},"id":7,"jsonrpc":"2.0"}"#),
            (r#"{"jsonrpc": "2.0", "id": 7, "result": {"a": "#, "}}"),
            (" {\r\n\t\"jsonrpc\" : \"2.0\",\n \"id\"\t: 7 , \"error\" : {", "}}"),
            (r#"{"jsonrpc": "2.0", "result": {"a": "#, r#"}, "id": 7}"#),
            (r#"{"result": {"a": "#, "} ,\n \"id\" : \"7\" ,\n \"jsonrpc\" : \"2.0\"\n} "),
            (r#"{"x":[{"id":8}],"id":7,"result":{"#, "}}"),
        ] {
            assert_eq!(read(head, tail), Ends::Answer(Some(7)), "{head} {tail}");
        }
        for (head, tail) in [
            (r#"{"result":{"id":7,"#, r#""id":7}}"#),
            (r#"{"result":{"id":7,"#, r#","id":7}}"#),
            (r#"{"result":"#, r#"\"id\":7"}"#),
            (r#"{"result":"#, r#","a,\"id":7}"#),
            (r#"{"result":{"#, "}}"),
            (r#"{"id":null,"error":{"#, "}}"),
            (r#"{"id":"a","result":{"#, r#"},"id":7}"#),
            (r#"{"result":"#, ""),
        ] {
            assert_eq!(read(head, tail), Ends::Answer(None), "{head} {tail}");
        }
    }

    #[test]
    fn what_asks_or_tells_answers_nothing_whatever_its_id() {
        for (head, tail) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{"#, "}}"),
            (r#"{"jsonrpc": "2.0", "method": "sampling/createMessage", "params": {"#, r#"}, "id": 7}"#),
            (r#"{"jsonrpc":"2.0","params":{"#, r#"},"method":"roots/list","id":7}"#),
            (r#"{"id":7,"params":{"#, r#"},"method":"roots/list"}"#),
            (r#"{"method":"notifications/message","params":{"#, r#"},"id":7}"#),
            (r#"{"id":7,"x":{"#, r#"}}"#),
            (r#"{"level":"info","msg":""#, r#"","id":7}"#),
            ("xxxx", r#","id":7}"#),
            ("", ""),
        ] {
            assert_eq!(read(head, tail), Ends::Other, "{head} {tail}");
        }
    }
}
