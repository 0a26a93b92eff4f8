use super::{error::Failed, registration::Client, store::now, web};
use http::StatusCode;
use serde_json::Value;

/// Who is asked for tokens.
const WHAT: &str = "the authorization server";

/// Codes of errors that say nothing about what was sent: it may be sent again.
const PASSING: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// What the token endpoint gave.
pub(super) struct Told {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) lifetime: Option<u64>,
}

impl Told {
    /// When it ends.
    pub(super) fn expires(&self) -> Option<u64> {
        self.lifetime.map(|left| now().saturating_add(left))
    }
}

/// Asks a token endpoint.
///
/// # Errors
///
/// [`Failed::Denied`] where it refuses what was sent, and would refuse it again. Other statuses are those of something that
/// is out of order: [`Failed::Unreachable`].
pub(super) async fn ask<'a>(
    endpoint: &str,
    client: &'a Client,
    mut form: Vec<(&'a str, &'a str)>,
) -> Result<Told, Failed> {
    let headers = client.sign(&mut form);
    let answer = web::post(WHAT, endpoint, &headers, web::form(&form)).await?;
    let text = |member: &str| answer.body.get(member).and_then(Value::as_str).map(str::to_owned);
    if let Some(code) = text("error").filter(|code| is_refusal(answer.status, code)) {
        return Err(Failed::Denied(text("error_description").unwrap_or(code)));
    }
    if !answer.status.is_success() {
        let why = format!("it answers with HTTP status {}", answer.status);
        return Err(Failed::Unreachable { what: WHAT, why });
    }
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Failed::refused("the authorization server gave a token that is no bearer token"));
    }
    let access_token = text("access_token");
    let access_token = access_token.ok_or_else(|| Failed::refused("the authorization server gave no token"))?;
    let lifetime = answer.body.get("expires_in").and_then(Value::as_u64);
    Ok(Told { access_token, refresh_token: text("refresh_token"), lifetime })
}

/// Whether it is the authorization server that says no (RFC 6749, "5.2. Error Response"), not a proxy before it: with the
/// statuses of the standard, with that of success as some have it, or with a code that nothing else has.
fn is_refusal(status: StatusCode, code: &str) -> bool {
    let of_oauth = status.is_success() || [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&status);
    code == "invalid_grant" || (of_oauth && !PASSING.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_authorization_server_refuses_for_good() {
        for (status, code, refuses) in [
            (400, "invalid_grant", true),
            (401, "invalid_client", true),
            (403, "invalid_grant", true),
            (200, "bad_refresh_token", true),
            (400, "temporarily_unavailable", false),
            (403, "forbidden", false),
            (429, "rate_limited", false),
            (503, "server_error", false),
        ] {
            assert_eq!(is_refusal(StatusCode::from_u16(status).unwrap(), code), refuses, "{status} {code}");
        }
    }
}
