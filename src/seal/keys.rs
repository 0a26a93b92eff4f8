use super::error::{InvalidKeys, NoRandomness};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, AeadInOut, Payload},
};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

const NONCE: usize = 24;
const TAG: usize = 16;

/// The secrets of a gateway, or of a fleet of them: the first seals, all open. Clones share them.
///
/// To replace a key, put the new one first and keep the old one until the last token of it has expired (24 hours for
/// sessions).
///
/// ```
/// use tower_mcp_gateway::seal::{Keys, Purpose};
///
/// let old = Keys::from_secrets(&["the secret of last year, 32 characters or more"])?;
/// let token = old.seal(Purpose::Cursor, b"page 2");
/// let both = Keys::from_secrets(&["the secret of this year, 32 characters or more", "the secret of last year, 32 characters or more"])?;
/// assert_eq!(both.open(Purpose::Cursor, &token).unwrap(), b"page 2");
/// assert!(both.open(Purpose::Session, &token).is_none(), "it is good for its purpose alone");
/// # Ok::<(), tower_mcp_gateway::seal::error::InvalidKeys>(())
/// ```
#[derive(Clone)]
pub struct Keys(Arc<[XChaCha20Poly1305]>);

/// What seals one token and no other; whoever has the token can read it.
#[derive(Debug)]
pub(crate) struct Nonce([u8; NONCE]);

impl Nonce {
    /// Asked of the system each time: what was drawn ahead would be used twice where a process is forked or a machine cloned, and two
    /// tokens of one nonce show what is in them.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map(|()| Self(nonce))
    }

    #[cfg(feature = "legacy")]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a token is for; one purpose's tokens are nothing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// The id of an initialize-era client's session.
    Session,
    /// The `requestState` of a parked call.
    RequestState,
    /// The place in a list.
    Cursor,
}

impl Purpose {
    const fn tag(self) -> &'static [u8] {
        match self {
            Purpose::Session => b"tower-mcp-gateway session 2",
            Purpose::RequestState => b"tower-mcp-gateway request state 1",
            Purpose::Cursor => b"tower-mcp-gateway cursor 1",
        }
    }
}

impl Keys {
    /// The fewest characters of a secret: 24 random bytes in base64.
    pub const MIN_SECRET: usize = 32;
    /// The most keys at once: two replacements in a day, with room.
    pub const MAX_KEYS: usize = 8;

    /// One new key, known to nobody else: tokens do not survive this value.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`] if the operating system has none.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(NoRandomness)?;
        Ok(Self([XChaCha20Poly1305::new(&key.into())].into()))
    }

    /// Keys made from secret texts.
    ///
    /// # Errors
    ///
    /// [`InvalidKeys`] if there is none, one is too short, or there are too many.
    pub fn from_secrets<S: AsRef<str>>(secrets: &[S]) -> Result<Self, InvalidKeys> {
        match secrets.len() {
            0 => return Err(InvalidKeys::Empty),
            1..=Self::MAX_KEYS => {}
            _ => return Err(InvalidKeys::Many),
        }
        let key = |(place, secret): (usize, &S)| {
            let secret = secret.as_ref().trim();
            if secret.chars().count() < Self::MIN_SECRET {
                return Err(InvalidKeys::Short(place + 1));
            }
            // The secret is random already; the digest only gives it a key's length, and ties it to this use.
            let digest = Sha256::new().chain_update(b"tower-mcp-gateway key 1\0").chain_update(secret).finalize();
            Ok(XChaCha20Poly1305::new(&<[u8; 32]>::from(digest).into()))
        };
        secrets.iter().enumerate().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Seals `content` into a token of visible ASCII: 54 characters and four for every three bytes.
    ///
    /// # Panics
    ///
    /// If the operating system gives no random bytes any more, which would make tokens forgeable.
    pub fn seal(&self, purpose: Purpose, content: &[u8]) -> String {
        self.seal_with(Nonce::random().expect("the operating system gives random bytes"), purpose, content)
    }

    /// As [`seal`](Self::seal), with a nonce that was drawn before.
    pub(crate) fn seal_with(&self, nonce: Nonce, purpose: Purpose, content: &[u8]) -> String {
        let Nonce(nonce) = nonce;
        let mut out = Vec::with_capacity(NONCE + content.len() + TAG);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(content);
        let sealed = (&mut out[NONCE..]).into();
        let tag = self.0[0].encrypt_inout_detached(&XNonce::from(nonce), purpose.tag(), sealed);
        out.extend_from_slice(&tag.expect("a token is far below the cipher's limit"));
        URL_SAFE_NO_PAD.encode(out)
    }

    /// Whether both are the same secrets in the same order.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // Told by what each makes of nothing: the ciphers do not show their keys. The nonce seals nothing else.
        let mark = |key: &XChaCha20Poly1305| key.encrypt(&XNonce::from([0; NONCE]), &[][..]).ok();
        self.0.iter().map(mark).eq(other.0.iter().map(mark))
    }

    /// What was sealed; `None` for whatever these keys did not seal for this purpose.
    pub fn open(&self, purpose: Purpose, token: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let nonce = XNonce::from(<[u8; NONCE]>::try_from(nonce).ok()?);
        let payload = || Payload { msg: sealed, aad: purpose.tag() };
        self.0.iter().find_map(|key| key.decrypt(&nonce, payload()).ok())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret of at least thirty-two characters";
    const NEW: &str = "a new secret, also of thirty-two characters or more";

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, both) = (Keys::from_secrets(&[OLD]).unwrap(), Keys::from_secrets(&[NEW, OLD]).unwrap());
        let token = old.seal(Purpose::Session, b"x");
        assert_eq!(both.open(Purpose::Session, &token).unwrap(), b"x");
        assert_eq!(old.open(Purpose::Session, &both.seal(Purpose::Session, b"x")), None);
    }

    #[test]
    fn whatever_was_altered_does_not_open() {
        let keys = Keys::generate().unwrap();
        let token = keys.seal(Purpose::RequestState, b"content");
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.open(Purpose::RequestState, std::str::from_utf8(&altered).unwrap()), None, "at {at}");
            assert_eq!(keys.open(Purpose::RequestState, &token[..at]), None);
        }
        assert_eq!(keys.open(Purpose::Session, &token), None);
        assert_ne!(token, keys.seal(Purpose::RequestState, b"content"), "no two tokens are equal");
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused() {
        assert_eq!(Keys::from_secrets::<&str>(&[]).unwrap_err(), InvalidKeys::Empty);
        assert_eq!(Keys::from_secrets(&[NEW, "short"]).unwrap_err(), InvalidKeys::Short(2));
        assert_eq!(Keys::from_secrets(&[NEW; 9]).unwrap_err(), InvalidKeys::Many);
        assert!(!format!("{:?}", Keys::from_secrets(&[NEW]).unwrap()).contains("secret,"));
    }
}
