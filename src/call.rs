//! A call of a client, and who can serve it.
//!
//! [`Call`] is what every service behind the edge takes; [`Parts`] is what clones of one share.

use crate::{Method, Session, json::Params, timeout::Lapse};
use std::{
    borrow::Borrow,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, atomic::AtomicUsize},
};

/// One MCP request, complete in itself: what every service behind the edge takes.
///
/// It has the shape of revision 2026-07-28, whatever era the client is of: version, client and capabilities stand in
/// `params._meta`. It carries no id, no session header and no hop's token; the edge and the transports mint those.
/// The progress token in `_meta` is the client's own, and progress notes of the [`Reply`](crate::Reply) carry it again.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params};
///
/// let params = Params::from_value(&serde_json::json!({"name": "search", "arguments": {"q": "tower"}}))?;
/// let call = Call::new(Method::TOOLS_CALL, params);
/// assert_eq!(call.params.name().as_deref(), Some("search"));
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
///
/// It is small, because each layer takes it by value: what was asked stands in one place, which clones share until one of
/// them is changed ([`Arc::make_mut`]).
///
/// ```
/// # use tower_mcp_gateway::{Call, Method, json::Params};
/// let call = Call::new(Method::PING, Params::empty());
/// let mut other = call.clone();
/// other.method = Method::DISCOVER;
/// assert_eq!(call.method, Method::PING);
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    asked: Arc<Parts>,
    /// Who can serve this call, set by [`Route`](crate::route::Route).
    pub providers: Option<Arc<Providers>>,
    /// What its deadlines and the layers behind them tell each other, set by [`Timeout`](crate::timeout::Timeout). A
    /// field, because every call has one and `extensions` allocate.
    pub lapse: Option<Lapse>,
}

/// What was asked by a [`Call`], which gives access to it as to fields of its own.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What is asked.
    pub method: Method,
    /// The parameters, as bytes.
    pub params: Params,
    /// The client's session; only clients that open with `initialize` have one.
    pub session: Option<Arc<Session>>,
    /// The one endpoint this call must reach, because state it depends on lives there.
    pub pin: Option<EndpointId>,
    /// Whether it came over HTTP from a client of 2026-07-28, which repeats annotated arguments in headers
    /// ([`ParamHeaders`](crate::ParamHeaders)): then [`Route`](crate::route::Route) refuses it where the two differ.
    pub mirrored: bool,
    /// Whether a large result may come in [parts](crate::reply::Event::Part), before its end is known. What it says cannot be
    /// looked at then, so only who passes it on as it is should ask for that; an edge does for clients that are answered
    /// with JSON, and a transport takes it up only where server and client speak one era.
    pub in_parts: bool,
    /// What a layer wants to tell a layer behind it: the principal, trace context, `Mcp-Param-*` headers.
    pub extensions: http::Extensions,
}

impl Call {
    /// A call with nothing but a method and parameters.
    pub fn new(method: Method, params: Params) -> Self {
        let (session, pin, extensions) = (None, None, http::Extensions::new());
        let asked = Parts { method, params, session, pin, mirrored: false, in_parts: false, extensions };
        Self { asked: Arc::new(asked), providers: None, lapse: None }
    }

    /// The call with a change of what is asked.
    ///
    /// ```
    /// # use tower_mcp_gateway::{Call, Method, json::Params};
    /// let call = Call::new(Method::PING, Params::empty()).with(|asked| asked.pin = Some("search-1".into()));
    /// assert_eq!(call.pin, Some("search-1".into()));
    /// ```
    #[must_use]
    pub fn with(mut self, edit: impl FnOnce(&mut Parts)) -> Self {
        edit(&mut self);
        self
    }
}

impl Deref for Call {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.asked
    }
}

impl DerefMut for Call {
    fn deref_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.asked)
    }
}

/// The endpoints of a pool that list what a call asks for, with the turn counter they share.
///
/// One exists per tool, prompt and resource of the routing table, so two tools called in turn still alternate each
/// over all of its providers.
#[derive(Debug, Default)]
pub struct Providers {
    endpoints: Box<[EndpointId]>,
    /// Calls routed so far; wraps around.
    pub turn: AtomicUsize,
}

impl Providers {
    /// Providers in the order given, with the turn at its start.
    pub fn new(endpoints: impl IntoIterator<Item = EndpointId>) -> Self {
        Self { endpoints: endpoints.into_iter().collect(), turn: AtomicUsize::new(0) }
    }

    /// Whether `endpoint` is one of them.
    pub fn contains(&self, endpoint: &EndpointId) -> bool {
        self.endpoints.contains(endpoint)
    }

    /// The endpoints, in order.
    pub fn endpoints(&self) -> &[EndpointId] {
        &self.endpoints
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name! {
    /// The `name` of a server entry: servers of one name are replicas and form one load-balanced pool.
    ServerName
}

name! {
    /// The `id` of a server entry: unique in a registry.
    EndpointId
}
