use super::Terms;
use crate::auth::{Principal, error::Denied};
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the clocks of issuer and gateway may differ, in seconds.
const LEEWAY: f64 = 60.0;

/// The longest name of a principal, in bytes: RFC 7519 sets no limit, OpenID Connect one of 255.
const MAX_NAME: usize = 255;

/// What an access token says (RFC 9068, "2.2. Data Structure"). A claim of another type than it must have makes the token
/// none.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: f64,
    nbf: Option<f64>,
    /// Words with spaces between them.
    scope: Option<String>,
    /// The same as some issuers have it.
    scp: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let all = match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        };
        all.iter().map(String::as_str)
    }
}

impl Claims {
    /// Whose token it is, if it is good here and now.
    pub(super) fn accept(&self, terms: &Terms) -> Result<Principal, Denied> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        if self.iss != *terms.issuer {
            return Err(Denied::Invalid("another issuer made it"));
        }
        if !self.aud.iter().any(|audience| terms.audiences().contains(&audience)) {
            return Err(Denied::Invalid("it is for another audience"));
        }
        // JSON has no number that is none, so that one of the two is true.
        if self.exp + LEEWAY <= now {
            return Err(Denied::Invalid("it has expired"));
        }
        if self.nbf.is_some_and(|nbf| nbf - LEEWAY > now) {
            return Err(Denied::Invalid("its time has not come"));
        }
        if self.sub.is_empty() || self.sub.len() > MAX_NAME {
            return Err(Denied::Invalid("its subject has no name, or a very long one"));
        }
        let granted: Vec<&str> = self.scopes().collect();
        if terms.scopes.iter().any(|scope| !granted.contains(&&**scope)) {
            return Err(Denied::Scope);
        }
        Ok(Principal::issued(&*self.sub, &*terms.issuer, granted))
    }

    fn scopes(&self) -> impl Iterator<Item = &str> {
        let listed = self.scp.iter().flat_map(OneOrMany::iter);
        self.scope.as_deref().into_iter().chain(listed).flat_map(str::split_ascii_whitespace)
    }
}
