#[cfg(feature = "oauth")]
use super::oauth::{Metadata, OAuth};
use super::{Auth, Principal, Token, challenge::Challenge, error::Denied};
use crate::{metrics::Metrics, policy::Policies};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, header};
use std::sync::Arc;
use tower::Layer;

/// Lets requests in by their bearer token and says whose they are; answers the others 401 or 403.
///
/// ```
/// use tower_mcp_gateway::auth::{AuthLayer, Token};
///
/// let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// let layer = AuthLayer::required().token(Token::from_sha256("ci", digest)?);
/// # drop(layer);
/// # Ok::<(), tower_mcp_gateway::auth::error::InvalidToken>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuthLayer {
    rules: Option<Arc<Rules>>,
}

/// Who is let in.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    tokens: Vec<Token>,
    #[cfg(feature = "oauth")]
    oauth: Option<(OAuth, Metadata)>,
    pub(super) challenge: Challenge,
    pub(super) policies: Option<Policies>,
    pub(super) metrics: Metrics,
}

/// What is known of a request at once.
pub(super) enum Check {
    Known(Principal),
    Denied(Denied),
    /// Keys must be fetched first.
    #[cfg(feature = "oauth")]
    Later(super::oauth::Verification),
}

impl AuthLayer {
    /// The most static tokens: each request's is compared with all of them, which takes 10 µs then.
    pub const MAX_TOKENS: usize = 1024;

    /// Nobody is asked who it is. For a gateway that only programs of its own machine can reach, or behind something that
    /// authenticates for it.
    pub const fn none() -> Self {
        Self { rules: None }
    }

    /// Nobody is let in but by what is added to this.
    pub fn required() -> Self {
        Self { rules: Some(Arc::default()) }
    }

    /// Lets in who has this token.
    ///
    /// # Panics
    ///
    /// If there are [`MAX_TOKENS`](Self::MAX_TOKENS) already.
    #[must_use]
    pub fn token(self, token: Token) -> Self {
        self.with(|rules| {
            assert!(rules.tokens.len() < Self::MAX_TOKENS, "at most {} static tokens", Self::MAX_TOKENS);
            rules.tokens.push(token);
        })
    }

    /// Counts who is not let in, as [`Count::Unauthorized`](crate::metrics::Count::Unauthorized) and
    /// [`Count::Forbidden`](crate::metrics::Count::Forbidden). Without effect on [`none`](Self::none).
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        if let Some(rules) = &mut self.rules {
            Arc::make_mut(rules).metrics = metrics;
        }
        self
    }

    /// Lets in who has an access token of this authorization server, beside those with a static one.
    #[cfg(feature = "oauth")]
    #[must_use]
    pub fn oauth(self, oauth: OAuth) -> Self {
        self.with(|rules| {
            let metadata = oauth.metadata();
            let resource_metadata = Some(metadata.url.clone());
            rules.challenge = Challenge { resource_metadata, scope: oauth.scopes() };
            rules.oauth = Some((oauth, metadata));
        })
    }

    /// Binds each principal by its policy, and whoever has none to see nothing. The registry must
    /// [keep their tables](crate::registry::Builder::policies).
    #[must_use]
    pub fn policies(self, policies: Policies) -> Self {
        self.with(|rules| rules.policies = Some(policies))
    }

    pub(crate) fn policies_of(&self) -> Option<Policies> {
        self.rules.as_ref()?.policies.clone()
    }

    /// Whether clients must say who they are.
    pub fn is_required(&self) -> bool {
        self.rules.is_some()
    }

    /// Changes the rules; [`none`](Self::none) becomes [`required`](Self::required) by the first.
    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(self.rules.get_or_insert_default()));
        self
    }

    pub(super) fn rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref()
    }

    /// Whether both let in the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.rules, &other.rules) {
            (Some(own), Some(others)) => own.is_same(others),
            (own, others) => own.is_none() && others.is_none(),
        }
    }
}

impl Rules {
    pub(super) fn check(&self, headers: &HeaderMap) -> Check {
        let secret = match bearer(headers) {
            Ok(secret) => secret,
            Err(denied) => return Check::Denied(denied),
        };
        if let Some(principal) = Token::find(&self.tokens, secret) {
            return Check::Known(principal.clone());
        }
        #[cfg(feature = "oauth")]
        if let Some((oauth, _)) = &self.oauth {
            return match oauth.check(secret) {
                Ok(Ok(principal)) => Check::Known(principal),
                Ok(Err(denied)) => Check::Denied(denied),
                Err(later) => Check::Later(later),
            };
        }
        Check::Denied(Denied::Invalid("it is unknown"))
    }

    /// The answer to a request for metadata of this gateway.
    #[cfg(feature = "oauth")]
    pub(super) fn metadata<B: From<Bytes>>(&self, method: &Method, path: &str) -> Option<Response<B>> {
        self.oauth.as_ref()?.1.answer(method, path)
    }

    #[cfg(not(feature = "oauth"))]
    pub(super) fn metadata<B: From<Bytes>>(&self, _: &Method, _: &str) -> Option<Response<B>> {
        None
    }

    fn is_same(&self, other: &Self) -> bool {
        #[cfg(feature = "oauth")]
        let same = match (&self.oauth, &other.oauth) {
            (Some((own, _)), Some((others, _))) => own.is_same(others),
            (own, others) => own.is_none() && others.is_none(),
        };
        #[cfg(not(feature = "oauth"))]
        let same = true;
        let bound = match (&self.policies, &other.policies) {
            (Some(own), Some(others)) => own.is_same(others),
            (own, others) => own.is_none() && others.is_none(),
        };
        same && bound && self.tokens == other.tokens
    }
}

/// The one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(one) = all.next() else { return Err(Denied::Missing) };
    if all.next().is_some() {
        return Err(Denied::Malformed);
    }
    let text = one.to_str().map_err(|_| Denied::Malformed)?;
    let (scheme, secret) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::Missing);
    }
    match secret.trim() {
        "" => Err(Denied::Malformed),
        secret if secret.len() > Token::MAX_BYTES => Err(Denied::Invalid("it is too long")),
        secret => Ok(secret),
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth::new(inner, self.clone())
    }
}
