use super::{Id, Json, envelope::Parts, scan::Scanner};
use bytes::Bytes;

/// The beginning of an answer of which not all has arrived: what stands before its result.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Where the result begins, which is an object.
    pub(crate) result: usize,
    /// The request's id, if it stands before the result.
    pub(crate) id: Option<Id>,
}

impl Opening {
    /// Reads the beginning of a message; `None` if it is that of no answer with a result, as far as can be seen.
    pub(crate) fn read(text: &Bytes) -> Option<Self> {
        let (mut scanner, mut parts) = (Scanner::new(text), Parts::default());
        if !scanner.enter(b'{') {
            return None;
        }
        loop {
            let key = scanner.key().ok()?;
            if *key.name == *b"result" && scanner.peek() == Some(b'{') {
                break;
            }
            parts.take(&mut scanner, text, &key.name).ok()?;
            if !scanner.take(b',') {
                return None;
            }
        }
        let other = parts.method.is_some() || parts.error.is_some() || parts.result.is_some();
        let version = parts.version.is_none_or(|version| version.as_bytes() == b"\"2.0\"");
        let id = parts.id.map(|id| Id::from_json(Json::trusted(text.slice_ref(id.as_bytes()))));
        (!other && version).then_some(Self { result: scanner.at(), id: id.transpose().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_result_is_known_before_the_result() {
        let read = |text: &'static str| Opening::read(&Bytes::from_static(text.as_bytes()));
        let opening = read(r#"{"jsonrpc":"2.0","id":7,"x":[1], "result": {"a"#).unwrap();
        assert_eq!((opening.result, opening.id.and_then(|id| id.as_u64())), (43, Some(7)));
        assert!(read(r#"{"result":{"content":["#).unwrap().id.is_none());
        for other in [
            r#"{"jsonrpc":"2.0","id":7,"result":[{"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{},"result":{"#,
            r#"{"jsonrpc":"2.0","method":"a","result":{"#,
            r#"{"jsonrpc":"1.0","id":7,"result":{"#,
            r#"{"id":{},"result":{"#,
            r#"{"id":7,"id":7,"result":{"#,
            r#"[{"jsonrpc":"2.0","id":7,"result":{"#,
            r#"{"jsonrpc":"2.0","id":7,"params":{"a":"#,
            "",
        ] {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
