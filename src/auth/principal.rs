use http::Extensions;
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

/// Who makes a request; clones share it.
///
/// [`Auth`](super::Auth) puts one into the extensions of every request it lets in. What a client is given to bring back
/// (a session id, the state of a call that waits for answers) is bound to it: another principal's is to the gateway
/// as if it had never been.
///
/// A layer of your own that authenticates in another way inserts one itself, or has
/// [`Policies::admit`](crate::policy::Policies::admit) do it where principals have policies:
///
/// ```
/// use http::Request;
/// use tower_mcp_gateway::auth::Principal;
///
/// let mut request = Request::post("/mcp").body(())?;
/// request.extensions_mut().insert(Principal::new("alice"));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
pub struct Principal(Arc<Inner>);

struct Inner {
    name: Box<str>,
    issuer: Option<Box<str>>,
    scopes: Box<[Box<str>]>,
    mark: Mark,
}

/// Stands for a principal in what is sealed; all zeros where there is none.
pub(crate) type Mark = [u8; 16];

impl Principal {
    /// Who is known by this name here: the name of a static token.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self::made(name.into(), None, Box::default())
    }

    /// Who an authorization server knows by this name (`sub`), with the scopes it granted. The same name from another
    /// issuer is somebody else.
    pub fn issued(
        name: impl Into<Box<str>>,
        issuer: impl Into<Box<str>>,
        scopes: impl IntoIterator<Item = impl Into<Box<str>>>,
    ) -> Self {
        Self::made(name.into(), Some(issuer.into()), scopes.into_iter().map(Into::into).collect())
    }

    fn made(name: Box<str>, issuer: Option<Box<str>>, scopes: Box<[Box<str>]>) -> Self {
        // The length keeps apart what would be one text if it were merely joined.
        let whose = issuer.as_deref().unwrap_or_default();
        let digest = Sha256::new().chain_update((whose.len() as u64).to_be_bytes()).chain_update(whose);
        let digest = digest.chain_update(&*name).finalize();
        let mark = digest[..16].try_into().expect("16 bytes of 32");
        Self(Arc::new(Inner { name, issuer, scopes, mark }))
    }

    /// Its name, for people and for policies.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The authorization server that vouches for it; `None` for a name of the gateway's own.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// The scopes of its token.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scopes.iter().map(|scope| &**scope)
    }

    pub(crate) fn mark(&self) -> Mark {
        self.0.mark
    }

    /// The mark of whoever is in `extensions`.
    pub(crate) fn mark_in(extensions: &Extensions) -> Mark {
        extensions.get::<Self>().map_or(Mark::default(), |principal| principal.0.mark)
    }
}

/// The same name of the same issuer, whatever its scopes.
impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.0.mark == other.0.mark
    }
}

impl Eq for Principal {}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("name", &self.0.name).field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_of_another_issuer_is_somebody_else() {
        let scopes = || ["mcp"];
        let alice = Principal::issued("alice", "https://a", scopes());
        assert_eq!(alice, Principal::issued("alice", "https://a", ["other"]));
        for other in [
            Principal::new("alice"),
            Principal::issued("alice", "https://b", scopes()),
            Principal::new("https://aalice"),
        ] {
            assert_ne!(alice, other);
        }
        assert_ne!(Principal::issued("bc", "a", scopes()), Principal::issued("c", "ab", scopes()));
    }
}
