use super::{Principal, error::InvalidToken};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// A static bearer token and the principal it stands for. Only the token's SHA-256 digest is kept.
///
/// A plain digest is enough because a token is random: there is nothing a dictionary would find.
///
/// ```
/// use tower_mcp_gateway::auth::Token;
///
/// let secret = Token::generate()?;
/// let token = Token::new("ci", &secret)?;
/// let same = Token::from_sha256("ci", &token.sha256())?;
/// assert_eq!(same, token);
/// # Ok::<(), tower_mcp_gateway::BoxError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    principal: Principal,
    digest: [u8; 32],
}

impl Token {
    /// The fewest characters of a secret: 24 random bytes in base64.
    pub const MIN_SECRET: usize = 32;
    /// The longest token that is looked at: 16 KiB, which no issuer's comes near.
    pub const MAX_BYTES: usize = 16 << 10;

    /// The token `secret` of the principal `name`.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if the secret is too short to be random, or could not be sent in a header.
    pub fn new(name: impl Into<Box<str>>, secret: &str) -> Result<Self, InvalidToken> {
        let secret = secret.trim();
        if secret.len() < Self::MIN_SECRET {
            return Err(InvalidToken::Short);
        }
        // RFC 6750, "2.1. Authorization Request Header Field": b64token.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if secret.len() > Self::MAX_BYTES || !secret.bytes().all(plain) {
            return Err(InvalidToken::Characters);
        }
        Ok(Self { principal: Principal::new(name), digest: Sha256::digest(secret).into() })
    }

    /// The token with this SHA-256 digest, as 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`InvalidToken::Digest`] if it is none.
    pub fn from_sha256(name: impl Into<Box<str>>, digest: &str) -> Result<Self, InvalidToken> {
        let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
        let pairs = digest.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = pairs.map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?)).collect();
        let digest = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidToken::Digest)?;
        Ok(Self { principal: Principal::new(name), digest })
    }

    /// A new secret: 32 random bytes, as 43 characters.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`](crate::seal::error::NoRandomness) if the operating system has none.
    pub fn generate() -> Result<String, crate::seal::error::NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(crate::seal::error::NoRandomness)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What is kept of the secret, as 64 hexadecimal digits.
    pub fn sha256(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whose it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whose `secret` is among `tokens`. All of them are compared, and each to its end, so that the time tells nothing
    /// of how near a guess was.
    pub(super) fn find<'a>(tokens: &'a [Token], secret: &str) -> Option<&'a Principal> {
        let presented: [u8; 32] = Sha256::digest(secret).into();
        let same = |token: &Token| -> Choice { token.digest[..].ct_eq(&presented) };
        tokens.iter().fold(None, |found, token| if bool::from(same(token)) { Some(&token.principal) } else { found })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("principal", &self.principal).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_all_of_its_secret_only() {
        let secrets: Vec<_> = (0..3).map(|_| Token::generate().unwrap()).collect();
        let tokens: Vec<_> =
            secrets.iter().zip(["a", "b", "c"]).map(|(secret, name)| Token::new(name, secret).unwrap()).collect();
        for (secret, name) in secrets.iter().zip(["a", "b", "c"]) {
            assert_eq!(Token::find(&tokens, secret).map(Principal::name), Some(name));
            assert_eq!(Token::find(&tokens, &secret[1..]), None);
            assert_eq!(Token::find(&tokens, &secret.to_uppercase()), None);
        }
        assert_eq!(Token::find(&[], &secrets[0]), None);
        assert!(!format!("{tokens:?}").contains(&tokens[0].sha256()));
    }

    #[test]
    fn what_is_no_token_is_refused_with_the_reason() {
        assert_eq!(Token::new("a", "short"), Err(InvalidToken::Short));
        assert_eq!(Token::new("a", &"ä".repeat(40)), Err(InvalidToken::Characters));
        for digest in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            assert_eq!(Token::from_sha256("a", digest), Err(InvalidToken::Digest), "{digest}");
        }
        let known = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(Token::from_sha256("a", known).unwrap().sha256(), known);
    }
}
