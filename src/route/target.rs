use super::{Allowance, Backend, allowance::Entry, mirror::Mirror};
use crate::{BoxError, Call, Providers, ServerName, error::Problem};
use std::{fmt, sync::Arc};

/// Where a listed name leads: a server, the name the server has for it, and the endpoints that list it.
///
/// ```
/// use std::sync::Arc;
/// use tower_mcp_gateway::{Providers, route::{Backend, Target}};
///
/// let backend = Backend::new("docs", ());
/// let providers = Providers::new(["docs-1".into(), "docs-2".into()]);
/// let target = Target::new(Arc::new(backend)).upstream("search").providers(Arc::new(providers));
/// assert_eq!(target.backend().qualified("search"), "docs__search");
/// assert_eq!(target.upstream_name(), Some("search"));
/// ```
pub struct Target<S>(Arc<Inner<S>>);

/// Shared, so that a call that takes its target along counts one reference, and not one of each part.
struct Inner<S> {
    backend: Arc<Backend<S>>,
    upstream: Option<Arc<str>>,
    providers: Option<Arc<Providers>>,
    /// Arguments that are repeated in headers; `None` for nearly every tool.
    mirrors: Option<Arc<[Mirror]>>,
    /// `None` for what has no terms of its own.
    allowance: Option<Arc<Allowance>>,
}

impl<S> Target<S> {
    /// Leads to whatever endpoint of `backend`, under the name the client used.
    pub fn new(backend: Arc<Backend<S>>) -> Self {
        let allowance = backend.allowance().cloned();
        Self(Arc::new(Inner { backend, upstream: None, providers: None, mirrors: None, allowance }))
    }

    /// Leads only to these endpoints.
    #[must_use]
    pub fn providers(self, providers: Arc<Providers>) -> Self {
        self.with(|target| target.providers = Some(providers))
    }

    /// Leads there under the name the server itself uses.
    #[must_use]
    pub fn upstream(self, name: impl Into<Arc<str>>) -> Self {
        self.with(|target| target.upstream = Some(name.into()))
    }

    /// Leads to a tool of which these arguments are repeated in headers.
    #[must_use]
    pub(crate) fn mirrors(self, mirrors: Vec<Mirror>) -> Self {
        self.with(|target| target.mirrors = (!mirrors.is_empty()).then(|| mirrors.into()))
    }

    /// Leads to what has these terms.
    #[must_use]
    pub(crate) fn allowance(self, allowance: Option<Arc<Allowance>>) -> Self {
        self.with(|target| target.allowance = allowance)
    }

    fn with(self, change: impl FnOnce(&mut Inner<S>)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    pub(crate) fn allowance_of(&self) -> Option<&Arc<Allowance>> {
        self.0.allowance.as_ref()
    }

    /// Lets a call in; costs one comparison where the target has no terms of its own.
    pub(super) fn admit(&self, call: &Call) -> Result<Entry, BoxError> {
        self.0.allowance.as_ref().map_or(Ok(Entry::Now(None)), |allowance| allowance.admit(call))
    }

    /// The server name.
    pub fn server(&self) -> &ServerName {
        self.0.backend.server()
    }

    /// The server.
    pub fn backend(&self) -> &Arc<Backend<S>> {
        &self.0.backend
    }

    /// The name at the server, if it is not the one clients see.
    pub fn upstream_name(&self) -> Option<&str> {
        self.0.upstream.as_deref()
    }

    /// The endpoints that list it; `None` for what nobody lists.
    pub fn providers_of(&self) -> Option<&Arc<Providers>> {
        self.0.providers.as_ref()
    }

    /// Refuses a call whose headers say something else than its arguments; costs one comparison where the tool has no
    /// annotated arguments.
    pub(super) fn check(&self, call: &Call) -> Result<(), Problem> {
        match &self.0.mirrors {
            Some(mirrors) if call.mirrored => mirrors.iter().try_for_each(|mirror| mirror.check(call)),
            _ => Ok(()),
        }
    }

    /// Makes `call` one of this target: with its providers, and under the server's own name.
    pub(super) fn address(&self, mut call: Call) -> Call {
        call.providers = self.0.providers.clone();
        if let Some(name) = self.upstream_name() {
            call.params = call.params.with_name(name);
        }
        call
    }
}

impl<S> Clone for Target<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Clone for Inner<S> {
    fn clone(&self) -> Self {
        let Self { backend, upstream, providers, mirrors, allowance } = self;
        Self {
            backend: backend.clone(),
            upstream: upstream.clone(),
            providers: providers.clone(),
            mirrors: mirrors.clone(),
            allowance: allowance.clone(),
        }
    }
}

impl<S> fmt::Debug for Target<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut target = f.debug_struct("Target");
        target.field("server", self.server()).field("upstream", &self.0.upstream).field("providers", &self.0.providers);
        target.finish()
    }
}
