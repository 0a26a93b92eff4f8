//! What a principal sees and may call, and how much.
//!
//! A [`Policy`] belongs to any number of principals, and there are few of them: each costs a routing table of its own, which
//! is what makes a hidden tool one that does not exist. It is not listed, and a call of it is told what a call of any
//! unknown name is told. [`AuthLayer::policies`](crate::auth::AuthLayer::policies) says whose policy is which;
//! [`Builder::policies`](crate::registry::Builder::policies) makes the registry keep their tables. What a principal may
//! do at once is kept to by [`QuotaLayer`].
//!
//! ```
//! use tower_mcp_gateway::{
//!     Glob, auth::{AuthLayer, Token}, policy::{Policies, Policy}, registry::Registry,
//! };
//!
//! let readers = Policy::new("readers").servers([Glob::new("files")]).tools([Glob::new("read_*")]).max_in_flight(4);
//! let policies = Policies::default().principal(Glob::new("ci-*"), &readers);
//! let auth = AuthLayer::required().token(Token::new("ci-1", &Token::generate()?)?).policies(policies.clone());
//! let (registry, driver) = Registry::builder().policies(&policies).build();
//! # drop((auth, registry, driver));
//! # Ok::<(), tower_mcp_gateway::BoxError>(())
//! ```

mod future;
mod layer;
mod quota;
mod rules;
mod service;

pub use self::{future::ResponseFuture, layer::QuotaLayer, rules::Policy, service::Quota};
pub(crate) use self::{quota::Account, rules::Rules};

use crate::{Glob, auth::Principal};
use http::Extensions;
use std::sync::Arc;

/// Which principals have which policy; whoever none of them names sees nothing.
///
/// Patterns are tried in the order in which they were added, so the narrow ones come first. The [module](self) shows where it
/// goes: to the authentication and to the registry, both of which need the same one.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    principals: Arc<Vec<(Glob, Policy)>>,
    all: Arc<Vec<Policy>>,
}

impl Policies {
    /// The most policies: each is a table of everything that its principals see.
    pub const MAX: usize = 64;

    /// Gives `policy` to the principals whose name `pattern` matches and no earlier one does.
    ///
    /// # Panics
    ///
    /// If there are [`MAX`](Self::MAX) other policies already.
    #[must_use]
    pub fn principal(mut self, pattern: Glob, policy: &Policy) -> Self {
        if !self.all.iter().any(|known| known.is(policy)) {
            assert!(self.all.len() < Self::MAX, "at most {} policies", Self::MAX);
            Arc::make_mut(&mut self.all).push(policy.clone());
        }
        Arc::make_mut(&mut self.principals).push((pattern, policy.clone()));
        self
    }

    /// Puts a principal into the extensions of its request, with what it sees and may do.
    ///
    /// [`AuthLayer::policies`](crate::auth::AuthLayer::policies) does so for whom the gateway knows by itself. A layer of your
    /// own that authenticates in another way, around the edge, calls it in place of inserting the principal alone, which
    /// would see everything:
    ///
    /// ```
    /// use http::Request;
    /// use tower_mcp_gateway::{Glob, auth::Principal, policy::{Policies, Policy}};
    ///
    /// let policies = Policies::default().principal(Glob::new("ci-*"), &Policy::new("readers"));
    /// let mut request = Request::post("/mcp").body(())?;
    /// // After `x-forwarded-user` of a proxy that is trusted, say.
    /// policies.admit(Principal::new("ci-1"), request.extensions_mut());
    /// # Ok::<(), http::Error>(())
    /// ```
    ///
    /// Where no registry was [built](crate::registry::Builder::policies) with the policy, its principals see nothing, and
    /// the log says so.
    pub fn admit(&self, principal: Principal, extensions: &mut Extensions) {
        let policy = self.of(&principal);
        extensions.insert(policy.shown().clone());
        if let Some(account) = policy.account(&principal) {
            extensions.insert(account);
        }
        extensions.insert(principal);
    }

    /// All policies, each once.
    pub(crate) fn all(&self) -> &[Policy] {
        &self.all
    }

    /// The policy of a principal; one that lets nothing through where nobody said which.
    fn of(&self, principal: &Principal) -> Policy {
        let named = self.principals.iter().find(|(pattern, _)| pattern.matches(principal.name()));
        named.map_or_else(Policy::nothing, |(_, policy)| policy.clone())
    }

    /// Whether both say the same of everybody.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.principals.len() == other.principals.len()
            && self
                .principals
                .iter()
                .zip(&*other.principals)
                .all(|(own, others)| own.0 == others.0 && own.1.is_same(&others.1))
    }
}
