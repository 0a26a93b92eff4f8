use super::{
    Terms,
    claims::Claims,
    verify::{Algorithm, Key},
};
use crate::auth::{Principal, error::Denied};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::decode_header;

/// A key that the token names has not signed it.
pub(super) const FORGED: Denied = Denied::Invalid("its signature is wrong");

/// Whose token it is; `None` if none of `keys` has signed it, and a newer one may have.
///
/// The signature is checked before anything the token says is believed, and its algorithm before that: what a token says of
/// itself decides nothing but which of the keys is tried.
pub(super) fn verify(token: &str, keys: &[Key], terms: &Terms) -> Result<Option<Principal>, Denied> {
    let head = Head::of(token).ok_or(Denied::Invalid("it is no signed JWT"))?;
    if !terms.algorithms.contains(&head.algorithm) {
        return Err(Denied::Invalid("its algorithm is not one of those that are allowed"));
    }
    if head.critical {
        return Err(Denied::Invalid("it demands an extension that is not known here"));
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Denied::Invalid("it is no signed JWT"))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Denied::Invalid("its signature is not readable"))?;
    let mut suitable = keys.iter().filter(|key| key.suits(head.key.as_deref(), head.algorithm)).peekable();
    if suitable.peek().is_none() {
        return Ok(None);
    }
    if !suitable.any(|key| key.has_signed(head.algorithm, message.as_bytes(), &signature)) {
        // A key that the token names is the one; of one that it does not name there may be a newer.
        return head.key.map_or(Ok(None), |_| Err(FORGED));
    }
    let (_, claims) = message.split_once('.').ok_or(Denied::Invalid("it is no signed JWT"))?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| Denied::Invalid("its claims are not readable"))?;
    let claims: Claims =
        serde_json::from_slice(&claims).map_err(|_| Denied::Invalid("a claim is missing, or of the wrong type"))?;
    claims.accept(terms).map(Some)
}

/// Whether one of `keys` is the one that a token names.
pub(super) fn knows(token: &str, keys: &[Key]) -> bool {
    Head::of(token).is_some_and(|head| keys.iter().any(|key| key.suits(head.key.as_deref(), head.algorithm)))
}

/// What a token's header says.
struct Head {
    algorithm: Algorithm,
    key: Option<String>,
    critical: bool,
}

impl Head {
    /// `None` for what is no JWT, is not signed, or is signed with a secret.
    fn of(token: &str) -> Option<Self> {
        let header = decode_header(token).ok()?;
        let critical = header.crit.is_some() || header.zip.is_some() || header.enc.is_some();
        Some(Self { algorithm: Algorithm::of(header.alg)?, key: header.kid, critical })
    }
}
