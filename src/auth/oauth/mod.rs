//! Access tokens of an OAuth 2.1 authorization server: the gateway as a resource server.

mod claims;
mod fetch;
mod jwks;
mod jwt;
mod metadata;
mod verify;

pub(super) use self::metadata::Metadata;
pub use self::verify::Algorithm;

use self::{fetch::Fetch, jwks::Jwks};
use super::{Principal, error::Denied, error::InvalidOAuth};
use http::Uri;
use std::{fmt, future::Future, sync::Arc};

/// An authorization server whose access tokens let in, and what a token must say; clones share the keys.
///
/// A token is a JWT that one of the server's keys has signed, for this gateway (`aud`), by this issuer (`iss`), within its
/// time (`exp`, `nbf`, with a minute for clocks that differ), with all of the [scopes](Self::scope). Its `sub` becomes the
/// name of the [`Principal`]. Tokens of the `none` algorithm and those signed with a shared secret are refused whatever
/// is configured.
///
/// Keys are fetched when the first token comes and again every ten minutes; a token with a key that is not known makes it look at
/// once, but not for every such token: three times, and then once in ten seconds. Old keys are good while newer ones are fetched,
/// and while they cannot be for a day: only a token that none of them has signed waits for the issuer.
///
/// ```
/// use tower_mcp_gateway::auth::{AuthLayer, OAuth};
///
/// let oauth = OAuth::new("https://login.example.com", "https://mcp.example.com/mcp")?.scope("mcp")?;
/// let layer = AuthLayer::required().oauth(oauth);
/// # drop(layer);
/// # Ok::<(), tower_mcp_gateway::auth::error::InvalidOAuth>(())
/// ```
#[derive(Clone)]
pub struct OAuth {
    terms: Arc<Terms>,
    jwks: Arc<Jwks>,
}

/// What a token must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    issuer: Box<str>,
    resource: Uri,
    /// A token is for one of them.
    audiences: Vec<Box<str>>,
    scopes: Vec<Box<str>>,
    algorithms: Vec<Algorithm>,
    jwks_uri: Option<Uri>,
}

impl Terms {
    fn audiences(&self) -> Vec<&str> {
        self.audiences.iter().map(|audience| &**audience).collect()
    }
}

impl OAuth {
    /// Takes the tokens that `issuer` gives out for `resource`, the URL under which clients know this gateway. Where its
    /// keys are is read in the issuer's metadata, unless [said](Self::jwks_uri). Of a resource that is a whole host both
    /// spellings are taken, with the slash at the end and without: issuers and clients write either.
    ///
    /// # Errors
    ///
    /// [`InvalidOAuth`] if one of the two is no `http` or `https` URL, or has a fragment.
    pub fn new(issuer: &str, resource: &str) -> Result<Self, InvalidOAuth> {
        url(issuer).ok_or(InvalidOAuth::Issuer)?;
        let url = url(resource).ok_or(InvalidOAuth::Resource)?;
        let terms = Terms {
            issuer: issuer.into(),
            audiences: metadata::spellings(resource, &url),
            resource: url,
            scopes: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            jwks_uri: None,
        };
        Ok(Self::of(terms))
    }

    fn of(terms: Terms) -> Self {
        let fetch = Fetch::new(&terms.issuer, terms.jwks_uri.clone());
        Self { terms: Arc::new(terms), jwks: Arc::new(Jwks::new(fetch)) }
    }

    fn with(self, change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = Terms::clone(&self.terms);
        change(&mut terms);
        Self::of(terms)
    }

    /// Fetches the keys from here, and does not ask the issuer where they are.
    ///
    /// # Errors
    ///
    /// [`InvalidOAuth::Jwks`] if it is no URL.
    pub fn jwks_uri(self, uri: &str) -> Result<Self, InvalidOAuth> {
        let uri = url(uri).ok_or(InvalidOAuth::Jwks)?;
        Ok(self.with(|terms| terms.jwks_uri = Some(uri)))
    }

    /// Takes tokens for this audience in place of those for the resource's URL: for issuers that name resources in their own
    /// way.
    #[must_use]
    pub fn audience(self, audience: impl Into<Box<str>>) -> Self {
        self.with(|terms| terms.audiences = vec![audience.into()])
    }

    /// Demands one more scope.
    ///
    /// # Errors
    ///
    /// [`InvalidOAuth::Scope`] if it holds what a scope may not: spaces, quotes, backslashes.
    pub fn scope(self, scope: &str) -> Result<Self, InvalidOAuth> {
        // RFC 6749, "3.3. Access Token Scope".
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if scope.is_empty() || !scope.bytes().all(plain) {
            return Err(InvalidOAuth::Scope);
        }
        Ok(self.with(|terms| terms.scopes.push(scope.into())))
    }

    /// Takes tokens signed with these algorithms only.
    #[must_use]
    pub fn algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.with(|terms| terms.algorithms = algorithms.into_iter().collect())
    }

    pub(super) fn metadata(&self) -> Metadata {
        Metadata::of(&self.terms)
    }

    /// All scopes that are demanded, as a challenge names them.
    pub(super) fn scopes(&self) -> Option<Box<str>> {
        (!self.terms.scopes.is_empty()).then(|| self.terms.scopes.join(" ").into())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.terms == other.terms
    }

    /// Whose token it is, at once where the key is at hand. Old keys are renewed meanwhile, and what one of them has not signed
    /// waits for that: an issuer may have given its id to another.
    pub(super) fn check(&self, token: &str) -> Result<Result<Principal, Denied>, Verification> {
        if let Some(keys) = self.jwks.held() {
            let is_fresh = keys.are_fresh();
            if !is_fresh {
                self.jwks.renew_behind();
            }
            let verdict = jwt::verify(token, &keys, &self.terms).transpose();
            if let Some(verdict) = verdict.filter(|verdict| is_fresh || !matches!(verdict, Err(jwt::FORGED))) {
                return Ok(verdict);
            }
        }
        let (oauth, token) = (self.clone(), token.to_owned());
        Err(Verification(Box::pin(async move { oauth.verify(&token).await })))
    }

    /// Looks for newer keys, and says whose token it is by what there is then.
    async fn verify(&self, token: &str) -> Result<Principal, Denied> {
        let keys = self.jwks.renewed(|keys| jwt::knows(token, keys)).await.ok_or(Denied::Unavailable)?;
        jwt::verify(token, &keys, &self.terms)?.ok_or(Denied::Invalid("no key of the issuer has signed it"))
    }
}

/// A check that has to wait for keys.
pub(super) struct Verification(pub(super) std::pin::Pin<Box<dyn Future<Output = Result<Principal, Denied>> + Send>>);

/// An absolute URL of HTTP without credentials.
fn url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let of_http = matches!(uri.scheme_str()?, "http" | "https");
    let authority = uri.authority()?.as_str();
    (of_http && !authority.contains('@') && !text.contains(['#', '"', '\\', ' '])).then_some(uri)
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.terms.fmt(f)
    }
}
