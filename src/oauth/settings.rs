use std::{fmt, path::PathBuf};

/// How the gateway signs in at a server.
///
/// ```
/// use tower_mcp_gateway::{oauth::OAuth, registry::Server};
///
/// let oauth = OAuth::new("/var/lib/gateway/tokens").client_id("gateway").scopes(["issues:read"]);
/// let server = Server::http("issues-1", "issues", "https://mcp.example.com/mcp")?.oauth(oauth);
/// # Ok::<(), tower_mcp_gateway::registry::RegisterError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth {
    pub(super) folder: PathBuf,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) scopes: Vec<String>,
}

impl OAuth {
    /// Tokens are kept in `folder`, one file of mode 0600 for each server's id and address; the gateway registers itself as a
    /// client.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), client_id: None, client_secret: None, scopes: Vec::new() }
    }

    /// As this client, which the authorization server knows.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// With the secret of a confidential client.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = Some(secret.into());
        self
    }

    /// For these scopes; unless set, for those that the server asks for.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}
