use super::error::Denied;
use crate::{error::Problem, json::write};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use std::{fmt::Write, time::Duration};

/// When a client may ask again whose token could not be checked.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

/// What a client that is not let in is told to do about it (RFC 6750, "3. The WWW-Authenticate Response Header Field";
/// RFC 9728, "5. Use of WWW-Authenticate").
#[derive(Clone, Debug, Default)]
pub(super) struct Challenge {
    /// Where it is written which authorization server to go to.
    pub(super) resource_metadata: Option<Box<str>>,
    /// What to ask for there.
    pub(super) scope: Option<Box<str>>,
}

impl Challenge {
    /// The answer to a request that is not let in.
    pub(super) fn refusal<ResBody: From<Bytes>>(&self, denied: Denied) -> Response<ResBody> {
        let (status, reason, error) = match denied {
            Denied::Missing => (401, "unauthorized", None),
            Denied::Malformed => (400, "unauthorized", Some("invalid_request")),
            Denied::Invalid(_) => (401, "unauthorized", Some("invalid_token")),
            Denied::Scope => (403, "insufficient_scope", Some("insufficient_scope")),
            Denied::Unavailable => (503, "auth_unavailable", None),
        };
        let problem = Problem::new(status, reason, denied.to_string());
        let mut response = Response::new(write::error(None, &problem.to_json()).into());
        *response.status_mut() = problem.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match denied {
            Denied::Unavailable => {
                headers.insert(header::RETRY_AFTER, UNAVAILABLE_RETRY.as_secs().into());
            }
            _ => {
                headers.insert(header::WWW_AUTHENTICATE, self.header(error));
            }
        }
        response
    }

    fn header(&self, error: Option<&str>) -> HeaderValue {
        let parameters = [
            ("error", error),
            ("resource_metadata", self.resource_metadata.as_deref()),
            ("scope", self.scope.as_deref()),
        ];
        let mut text = String::from("Bearer");
        for (name, value) in parameters {
            let Some(value) = value else { continue };
            let separator = if text.len() == "Bearer".len() { " " } else { ", " };
            write!(text, "{separator}{name}=\"{value}\"").expect("a String takes every text");
        }
        // What the operator wrote was checked when it was read; without it the challenge is still one.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}
