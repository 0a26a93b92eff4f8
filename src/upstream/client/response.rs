use super::{body::Body, connection::Connection, head::Head, pool::Pool};
use bytes::Bytes;
use http::StatusCode;
use std::{ops::Range, sync::Arc};

/// A response whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Response {
    status: StatusCode,
    head: Bytes,
    /// Where the content type stands in it.
    kind: Option<Range<usize>>,
    body: Body,
}

impl Response {
    pub(super) fn new(head: Head, connection: Box<Connection>, pool: &Arc<Pool>) -> Self {
        let pool = head.keeps_alive.then(|| pool.clone());
        Self { status: head.status, head: head.text, kind: head.kind, body: Body::new(head.framing, connection, pool) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The first header of this name.
    #[cfg(feature = "http")]
    pub(crate) fn header(&self, name: &http::HeaderName) -> Option<&[u8]> {
        super::head::header(&self.head, name.as_str())
    }

    /// The content type, without its parameters.
    pub(crate) fn media_type(&self) -> Option<&[u8]> {
        let value = &self.head[self.kind.clone()?];
        Some(value.split(|byte| *byte == b';').next().unwrap_or(value).trim_ascii())
    }

    pub(crate) fn into_body(self) -> Body {
        self.body
    }
}
