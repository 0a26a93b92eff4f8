use super::{
    OAuth,
    browser::Loopback,
    discovery::{Found, Issuer, discover},
    endpoint::ask,
    error::Failed,
    pkce,
    registration::Client,
    store::{Grant, Store},
    web,
};
use std::{collections::HashMap, fmt, time::Duration};

/// A sign-in that waits for its person: the page to show, and the port its answer comes to.
///
/// ```no_run
/// # async fn sign_in() -> Result<(), tower_mcp_gateway::oauth::error::Failed> {
/// use tower_mcp_gateway::oauth::{OAuth, SignIn};
///
/// let settings = OAuth::new("/var/lib/gateway/tokens");
/// let waiting = SignIn::begin("issues", "https://mcp.example.com/mcp", &settings, 0).await?;
/// println!("open {}", waiting.page());
/// waiting.finish().await?;
/// # Ok(()) }
/// ```
pub struct SignIn {
    page: String,
    state: String,
    verifier: String,
    redirect: String,
    loopback: Loopback,
    client: Client,
    found: Found,
    store: Store,
}

impl SignIn {
    /// How long a person may take.
    pub const PATIENCE: Duration = Duration::from_secs(300);

    /// Finds out where to sign in for the server at `url`, and prepares it. `port` is where the browser comes back to on
    /// this machine, 0 for a free one; a client that is registered beforehand may be bound to one.
    ///
    /// # Errors
    ///
    /// [`Failed`] says who could not be asked, or what in the answers cannot be trusted.
    pub async fn begin(id: &str, url: &str, settings: &OAuth, port: u16) -> Result<Self, Failed> {
        let found = discover(url).await?;
        let loopback = Loopback::open(port).await?;
        let redirect = loopback.redirect()?;
        let client = Client::of(settings, &found.issuer, &redirect).await?;
        let (state, verifier) = (pkce::random()?, pkce::random()?);
        let scope = scope(settings, &found);
        let challenge = pkce::challenge(&verifier);
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &redirect),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", &state),
            ("resource", &found.resource),
        ];
        if !scope.is_empty() {
            query.push(("scope", &scope));
        }
        let endpoint = &found.issuer.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        let page = format!("{endpoint}{joint}{}", web::form(&query));
        let store = Store::new(settings, id, url);
        Ok(Self { page, state, verifier, redirect, loopback, client, found, store })
    }

    /// The page at which a person signs in.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// Waits for the person, at most [`PATIENCE`](Self::PATIENCE), and keeps the tokens.
    ///
    /// # Errors
    ///
    /// [`Failed`] if that takes too long, if the person or the authorization server refuses, or if the answer cannot be
    /// trusted.
    pub async fn finish(self) -> Result<(), Failed> {
        let answer = tokio::time::timeout(Self::PATIENCE, self.loopback.answer(&self.state)).await;
        let answer = answer.map_err(|_| Failed::TooLate(Self::PATIENCE))??;
        check_issuer(&self.found.issuer, &answer)?;
        if let Some(error) = answer.get("error") {
            return Err(Failed::Denied(answer.get("error_description").unwrap_or(error).clone()));
        }
        let code = answer.get("code").ok_or_else(|| Failed::refused("the answer carries no code"))?;
        let form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", &self.redirect),
            ("code_verifier", &self.verifier),
            ("resource", &self.found.resource),
        ];
        let told = ask(&self.found.issuer.token_endpoint, &self.client, form).await?;
        // A renewal that is under way would overwrite them. One that hangs does not send a person away.
        let _held =
            self.store.hold().await.inspect_err(|error| tracing::warn!(%error, "the tokens are kept all the same"));
        self.store.save(&Grant {
            url: Some(self.store.url().to_owned()),
            token_endpoint: self.found.issuer.token_endpoint,
            revocation_endpoint: self.found.issuer.revocation_endpoint,
            resource: self.found.resource,
            client: self.client,
            expires: told.expires(),
            lifetime: told.lifetime,
            access_token: told.access_token,
            refresh_token: told.refresh_token,
        })?;
        Ok(())
    }
}

/// The configured scopes, else those the server asks for; with the one that gives refresh tokens where it is known.
fn scope(settings: &OAuth, found: &Found) -> String {
    const OFFLINE: &str = "offline_access";
    let wanted = if settings.scopes.is_empty() { &found.scopes } else { &settings.scopes };
    let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let known = found.issuer.scopes_supported.iter().any(|scope| scope == OFFLINE);
    if known && !wanted.contains(&OFFLINE) {
        wanted.push(OFFLINE);
    }
    wanted.join(" ")
}

/// RFC 9207: an answer of another authorization server is not used, and its code goes nowhere.
fn check_issuer(issuer: &Issuer, answer: &HashMap<String, String>) -> Result<(), Failed> {
    match answer.get("iss") {
        Some(said) if *said == issuer.issuer => Ok(()),
        None if !issuer.authorization_response_iss_parameter_supported => Ok(()),
        Some(_) => Err(Failed::refused("the answer comes from another authorization server: it is not used")),
        None => {
            Err(Failed::refused("the answer lacks the `iss` that the authorization server promises: it is not used"))
        }
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("issuer", &self.found.issuer.issuer).finish_non_exhaustive()
    }
}
