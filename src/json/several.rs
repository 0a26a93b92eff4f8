use super::{Json, Malformed, scan::Scanner};
use bytes::Bytes;
use std::iter::FusedIterator;

/// The JSON documents of a text that holds several, separated by white space; some servers answer so in place of an
/// event stream.
///
/// ```
/// use tower_mcp_gateway::json::documents;
///
/// let all: Result<Vec<_>, _> = documents(&"{\"a\":1}\n{\"b\":2}\n".into()).collect();
/// assert_eq!(all?, ["{\"a\":1}", "{\"b\":2}"]);
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
pub fn documents(bytes: &Bytes) -> Documents {
    let mut documents = Documents { text: bytes.clone(), at: 0 };
    documents.go_on_at(0);
    documents
}

/// The documents of a text, sharing its bytes; [`Malformed`] for the first that is not JSON, which is the last.
///
/// Each is looked for when it is asked for: a document costs many times the one byte that it may have.
///
/// ```
/// use tower_mcp_gateway::json::documents;
///
/// let mut documents = documents(&"{} oops {}".into());
/// assert_eq!(documents.next().transpose()?.as_deref(), Some(&b"{}"[..]));
/// assert!(documents.next().is_some_and(|document| document.is_err()));
/// assert!(documents.next().is_none());
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Empty where no more is to come.
    text: Bytes,
    at: usize,
}

impl Documents {
    /// Whether there are no more.
    #[cfg(any(feature = "http", test))]
    pub(crate) fn is_over(&self) -> bool {
        self.text.is_empty()
    }

    fn go_on_at(&mut self, at: usize) {
        self.at = at;
        if Scanner::at_byte(&self.text, at).peek().is_none() {
            *self = Self::default();
        }
    }
}

impl Iterator for Documents {
    type Item = Result<Bytes, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut scanner = Scanner::at_byte(&self.text, self.at);
        scanner.peek()?;
        let document = scanner.value().map(|document| self.text.slice_ref(document));
        let at = if document.is_ok() { scanner.at() } else { self.text.len() };
        self.go_on_at(at);
        Some(document)
    }
}

impl FusedIterator for Documents {}

impl Json {
    /// The elements of an array, each looked for when it is asked for: they may be far more than are wanted, and one costs many
    /// times the two bytes that it may have. `None` if this is no array.
    pub(crate) fn elements(&self) -> Option<Elements> {
        (self.as_bytes().first() == Some(&b'[')).then(|| Elements { array: self.as_bytes().clone(), at: 0 })
    }
}

/// The elements of an array.
#[derive(Debug)]
pub(crate) struct Elements {
    array: Bytes,
    /// Where the bracket or the comma stands before the next one.
    at: usize,
}

impl Iterator for Elements {
    type Item = Json;

    fn next(&mut self) -> Option<Json> {
        let mut scanner = Scanner::at_byte(&self.array, self.at);
        if !scanner.take(if self.at == 0 { b'[' } else { b',' }) {
            return None;
        }
        let element = Json::trusted(self.array.slice_ref(scanner.value().ok()?));
        self.at = scanner.at();
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &'static str) -> Result<Vec<Bytes>, Malformed> {
        documents(&Bytes::from_static(text.as_bytes())).collect()
    }

    #[test]
    fn documents_are_split_without_copying_up_to_what_is_none() {
        assert_eq!(all("{\"a\":1}\n{\"b\":2}\n").unwrap(), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(all(" \n").unwrap(), [""; 0]);
        assert!(all("{} oops").is_err());
        let text = Bytes::from_static(b" 1 \"2\" ] 4");
        let mut some = documents(&text);
        assert_eq!(some.next().unwrap().unwrap().as_ptr(), text[1..].as_ptr());
        assert!(!some.is_over());
        assert_eq!(some.next().unwrap().unwrap(), "\"2\"");
        assert!(some.next().unwrap().unwrap_err().to_string().contains('7'), "the byte of the whole text");
        assert!(some.is_over() && some.next().is_none());
    }

    #[test]
    fn elements_are_walked_no_further_than_they_are_asked_for() {
        let elements = |text: &'static str| Json::trusted(text.into()).elements();
        let texts = |text| elements(text).unwrap().map(|json| json.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts("[ 1 ,[2, 3] , {\"a\":[]}]"), ["1", "[2, 3]", "{\"a\":[]}"]);
        assert!(texts("[]").is_empty() && texts("[ ]").is_empty() && elements("{}").is_none());
        let mut first = elements("[1,2,what nobody looks at").unwrap().take(2);
        assert_eq!(first.by_ref().map(|json| json.as_str().to_owned()).collect::<Vec<_>>(), ["1", "2"]);
        assert!(first.next().is_none());
    }
}
