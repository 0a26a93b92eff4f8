use crate::{
    BoxError, Revision,
    error::find,
    json::Json,
    reply::Outcome,
    upstream::error::{Protocol, Status},
};
use http::StatusCode;
use std::error::Error;

/// What the answer to `server/discover` says about a server.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Speaks self-contained requests; with its answer, if it was one.
    Modern(Option<Json>),
    /// Wants `initialize`.
    Legacy,
}

/// Errors only a server of 2026-07-28 gives (2026-07-28, "basic/index: Error Codes").
const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
pub(super) const UNSUPPORTED_VERSION: i64 = -32022;

/// Judges the answer.
///
/// # Errors
///
/// The failure itself, where it says nothing about the era: the server is down.
pub(super) fn judge(answer: Result<Outcome, BoxError>) -> Result<Verdict, BoxError> {
    match answer {
        Ok(Outcome::Result(result)) if lists_modern(&result, "supportedVersions") == Some(true) => {
            Ok(Verdict::Modern(Some(result)))
        }
        Ok(Outcome::Error(error)) => Ok(judge_error(&error)),
        // A result with older revisions only, or none at all: whatever answered, it did not understand the question.
        Ok(Outcome::Result(_) | Outcome::Passed(_) | Outcome::Accepted) => Ok(Verdict::Legacy),
        Err(error) if find::<Protocol>(&*error).is_some() => Ok(Verdict::Legacy),
        Err(error) => match find::<Status>(&*error) {
            Some(Status(status)) if is_verdict(*status) => Ok(Verdict::Legacy),
            _ => Err(error),
        },
    }
}

/// Whether a server that failed `initialize` so may be none that knows it; what it asks for credentials says nothing of that.
pub(super) fn understood_nothing(error: &(dyn Error + 'static)) -> bool {
    let asks_who = |status: &StatusCode| [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(status);
    find::<Protocol>(error).is_some()
        || find::<Status>(error).is_some_and(|Status(status)| is_verdict(*status) && !asks_who(status))
}

fn judge_error(error: &Json) -> Verdict {
    let code = error.member("code").and_then(|code| code.read::<i64>().ok());
    match code {
        Some(HEADER_MISMATCH | MISSING_CAPABILITY) => Verdict::Modern(None),
        Some(UNSUPPORTED_VERSION) => {
            let supported = error.member("data").and_then(|data| lists_modern(&data, "supported"));
            if supported == Some(false) { Verdict::Legacy } else { Verdict::Modern(None) }
        }
        _ => Verdict::Legacy,
    }
}

/// Whether a list of revisions holds the modern one; `None` if there is no such list.
fn lists_modern(object: &Json, key: &str) -> Option<bool> {
    let list = object.member(key)?;
    let versions: Vec<String> = list.read().ok()?;
    Some(versions.iter().any(|version| version == Revision::LATEST_MODERN.as_str()))
}

/// A refusal of the request, rather than a server that is busy or slow.
fn is_verdict(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT && status != StatusCode::TOO_MANY_REQUESTS
}
