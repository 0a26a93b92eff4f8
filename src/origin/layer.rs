use super::{
    Origin,
    authority::{HostPort, Page},
    error::Forbidden,
};
use crate::{
    field::Field,
    metrics::{Count, Metrics},
};
use http::{HeaderMap, HeaderValue, Uri};
use std::sync::Arc;
use tower::Layer;

/// Lets requests in by their `Origin` and `Host`; answers the others 403 without calling the service behind.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mcp_gateway::origin::OriginLayer;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = service_fn(async |_: Request<()>| Ok::<_, std::io::Error>(Response::new(Full::<bytes::Bytes>::default())));
/// let gateway = OriginLayer::allow(["https://app.example.com"]).layer(gateway);
/// let from = |page: &str| Request::post("/mcp").header("host", "app.example.com").header("origin", page).body(());
/// assert_eq!(gateway.clone().oneshot(from("https://app.example.com")?).await?.status(), 200);
/// assert_eq!(gateway.oneshot(from("https://evil.example")?).await?.status(), 403);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct OriginLayer {
    rules: Option<Arc<Rules>>,
    metrics: Metrics,
}

/// What is let in.
#[derive(Clone, Debug, Default)]
struct Rules {
    loopback: bool,
    any_host: bool,
    origins: Vec<Page>,
    hosts: Vec<HostPort>,
}

impl OriginLayer {
    /// Only this machine: `Origin` absent or a loopback page, `Host` one of `localhost`, `127.0.0.1`, `[::1]`, with any
    /// port. What a gateway that listens on 127.0.0.1 wants.
    pub fn localhost() -> Self {
        Self::ruled(Some(Rules { loopback: true, ..Rules::default() }))
    }

    /// Only pages of these origins (`https://app.example.com`), and requests without `Origin`, sent to the hosts of
    /// these origins; add the gateway's own name with [`allow_host`](OriginLayer::allow_host) where it differs.
    ///
    /// ```
    /// use tower_mcp_gateway::origin::OriginLayer;
    ///
    /// let layer = OriginLayer::allow(["https://app.example.com"]).allow_host("mcp.example.com");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    ///
    /// If one is not `scheme://host[:port]`.
    pub fn allow<'a>(origins: impl IntoIterator<Item = &'a str>) -> Self {
        let layer = Self::ruled(Some(Rules::default()));
        origins.into_iter().fold(layer, OriginLayer::allow_origin)
    }

    /// No web page, under whatever name: requests with an `Origin` are refused unless it is
    /// [allowed](OriginLayer::allow_origin), the `Host` is not looked at. What a gateway wants that listens on an address
    /// whose names it cannot know.
    pub fn no_pages() -> Self {
        Self::ruled(Some(Rules { any_host: true, ..Rules::default() }))
    }

    /// No check at all. A gateway behind a proxy that makes these checks itself has no use for them; any other that
    /// takes them off can be read by every web page its user visits.
    pub fn any() -> Self {
        Self::ruled(None)
    }

    fn ruled(rules: Option<Rules>) -> Self {
        Self { rules: rules.map(Arc::new), metrics: Metrics::default() }
    }

    /// Counts the requests that are refused, as [`Count::Origin`] and [`Count::Host`].
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Lets pages of one more origin in, and requests to that origin's host.
    ///
    /// # Panics
    ///
    /// If it is not `scheme://host[:port]`.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        let page = Page::parse(origin).unwrap_or_else(|| panic!("{origin:?} is no origin: scheme://host[:port]"));
        if let Some(rules) = &mut self.rules {
            let rules = Arc::make_mut(rules);
            rules.hosts.push(page.host());
            rules.origins.push(page);
        }
        self
    }

    /// Serves one more host name: on every port, or on the one that is written (`mcp.example.com:8443`).
    ///
    /// # Panics
    ///
    /// If it is not `host[:port]`.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Self {
        let host = HostPort::parse(host).unwrap_or_else(|| panic!("{host:?} is no host[:port]"));
        if let Some(rules) = &mut self.rules {
            Arc::make_mut(rules).hosts.push(host.to_owned());
        }
        self
    }

    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Forbidden> {
        let Some(rules) = &self.rules else { return Ok(()) };
        rules.check(uri, headers).inspect_err(|forbidden| {
            self.metrics.count(match forbidden {
                Forbidden::Origin => Count::Origin,
                Forbidden::Host | Forbidden::HostCount => Count::Host,
            });
        })
    }
}

impl Rules {
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Forbidden> {
        // One pass: a look-up of each would hash its name, and a page is seldom named at all.
        let (mut origin, mut host) = (Field::Absent, Field::Absent);
        for (name, value) in headers {
            match name.as_str() {
                "origin" => origin.note(value),
                "host" => host.note(value),
                _ => {}
            }
        }
        let is_known =
            |origin: &HeaderValue| origin.to_str().ok().and_then(Page::parse).is_some_and(|it| self.knows(&it));
        if !origin.is_absent() && !origin.once().is_some_and(is_known) {
            return Err(Forbidden::Origin);
        }
        if self.any_host {
            return Ok(());
        }
        // HTTP/2 and absolute-form requests name the host in the URI; where both stand, both must be served, because
        // what is behind may look at either.
        let host = match host {
            Field::Once(host) => Some(host),
            Field::Absent if uri.authority().is_some() => None,
            Field::Absent | Field::Twice => return Err(Forbidden::HostCount),
        };
        let named = host.map(|host| host.to_str().ok()).into_iter();
        let mut named = named.chain(uri.authority().map(|authority| Some(authority.as_str())));
        match named.all(|name| name.and_then(HostPort::parse).is_some_and(|host| self.serves(&host))) {
            true => Ok(()),
            false => Err(Forbidden::Host),
        }
    }

    fn knows(&self, page: &Page) -> bool {
        (self.loopback && page.is_loopback()) || self.origins.contains(page)
    }

    fn serves(&self, host: &HostPort<&str>) -> bool {
        (self.loopback && host.is_loopback()) || self.hosts.iter().any(|known| known.covers(host))
    }
}

impl<S> Layer<S> for OriginLayer {
    type Service = Origin<S>;

    fn layer(&self, inner: S) -> Origin<S> {
        Origin::new(inner, self.clone())
    }
}
