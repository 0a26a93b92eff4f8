//! Whether a request says of itself what an edge can take, and can be answered.

use super::{
    error::Refusal,
    headers::{Field, Media},
};
use crate::error::Problem;
use http::{HeaderMap, HeaderValue, header};
use memchr::memchr;

const JSON: &[u8] = b"application/json";

impl Media<'_> {
    /// Refuses what is not JSON, and whom neither JSON nor an event stream would do.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let is_json = |sent: &HeaderValue| {
            // Usually there is nothing beside the type.
            sent == JSON || sent.to_str().is_ok_and(|sent| media_type(sent.as_bytes()).eq_ignore_ascii_case(JSON))
        };
        if !self.content_type.once().is_some_and(is_json) {
            return Err(Problem::new(415, "content_type", "the body must be application/json").into());
        }
        // A body is never decompressed: what a few bytes may become has no bound.
        let plain = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
        if !self.content_encoding.is_absent() && !self.content_encoding.once().is_some_and(plain) {
            return Err(Problem::new(415, "content_type", "the body must have no Content-Encoding").into());
        }
        match self.accepts(headers, &["application/json", "text/event-stream", "application/*", "text/*"]) {
            true => Ok(()),
            false => Err(not_acceptable()),
        }
    }

    /// Whether `Accept` names one of `types` or everything. Absent means everything; weights are not looked at.
    pub(super) fn accepts(&self, headers: &HeaderMap, types: &[&str]) -> bool {
        match self.accept {
            Field::Absent => true,
            Field::Once(value) => names(value, types),
            Field::Twice => headers.get_all(header::ACCEPT).iter().any(|value| names(value, types)),
        }
    }

    /// How long the body is, as its sender says.
    pub(super) fn declared(&self) -> u64 {
        let length = self.content_length.once().and_then(|length| length.to_str().ok());
        length.and_then(|length| length.parse().ok()).unwrap_or(0)
    }
}

fn names(accept: &HeaderValue, types: &[&str]) -> bool {
    let mut rest = accept.as_bytes();
    loop {
        let end = memchr(b',', rest);
        let range = media_type(&rest[..end.unwrap_or(rest.len())]);
        if range == b"*/*" || types.iter().any(|known| range.eq_ignore_ascii_case(known.as_bytes())) {
            return true;
        }
        let Some(end) = end else { return false };
        rest = &rest[end + 1..];
    }
}

fn media_type(value: &[u8]) -> &[u8] {
    value[..memchr(b';', value).unwrap_or(value.len())].trim_ascii()
}

pub(super) fn not_acceptable() -> Refusal {
    Problem::new(406, "accept", "answers are application/json or text/event-stream").into()
}
