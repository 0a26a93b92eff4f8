mod feed;
mod inbox;
mod own;
mod room;
mod sight;
mod subscription;
mod topic;
mod topics;

pub use self::feed::Feed;
pub(super) use self::subscription::Subscription;

use self::{
    inbox::Inbox,
    own::Arrival,
    sight::Sight,
    topic::Holder,
    topics::{Topics, Uris},
};
use crate::{
    Call, EndpointId, Reply,
    auth::Principal,
    catalog::Terms,
    health::Verdicts,
    route::{Table, Tables, View},
};
use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;
use tower::Service;

/// Subscriptions to single resources: any number of clients on one side, one upstream stream per endpoint on the other.
///
/// Clients come through [`SubscribeLayer::resources`](super::SubscribeLayer::resources), endpoints through
/// [`feed`](Self::feed). A URI is asked for at one endpoint, the first that is not ill among those that the routing
/// table says can tell of it, and is asked for as long as one client listens to it. When that endpoint goes, the URI
/// moves to the next; what may have changed in between is told as one update.
///
/// Where a client has a [view](crate::route::View), its table is the one that counts: clients who see different servers
/// may hear of one URI from different ones, and never of one that they do not see.
///
/// Everything is bounded: URIs [per client](Self::MAX_URIS), [listeners of URIs](Self::MAX_SUBSCRIPTIONS), and the
/// [length of all URIs](Self::MAX_BYTES). What a client wishes beyond the first is not honoured, and so is absent from the
/// acknowledgement; where there is no room for all the rest, it is refused with 503 and may come again. Of that room a
/// [principal](crate::auth::Principal) may have three times what is left to others and no more, so one that listens to
/// ever more shuts nobody out. A client that reads slowly costs a mark per URI.
///
/// A registry has one: [`Registry::hub`](crate::registry::Registry::hub). Made by hand it looks like this:
///
/// ```
/// use std::{future, sync::Arc};
/// use futures_util::{StreamExt, stream};
/// use tokio::sync::watch;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mcp_gateway::{
///     BoxError, Call, Method, Reply, catalog::{Kind, Listing, Merge, Part, Terms}, health::Verdicts,
///     json::{Json, Params}, reply::{Event, Note}, route::{Pool, Route, Tables}, subscribe::{Hub, SubscribeLayer},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// // A server that tells of a change at once.
/// let note = |method, text| Ok(Event::from(Note::new(method, Params::parse(Json::from_static(text)).unwrap())));
/// let server = service_fn(move |_: Call| {
///     let acknowledged = r#"{"notifications":{"resourceSubscriptions":["r://1"]}}"#;
///     let said = [
///         note(Method::LISTEN_ACKNOWLEDGED, acknowledged),
///         note(Method::RESOURCES_UPDATED, r#"{"uri":"r://1"}"#),
///     ];
///     future::ready(Ok::<_, BoxError>(Reply::stream(stream::iter(said).chain(stream::pending()))))
/// });
/// let listing = Listing::default()
///     .capable(Json::from_static(r#"{"resources":{"subscribe":true}}"#))
///     .with(Kind::Resources, Json::from_static(r#"[{"uri":"r://1"}]"#));
/// let part = Part::new("files", Pool::new(server.clone())).listed("files-1", Arc::new(listing));
/// let tables = Tables::new(Merge::new("gw", "1").table(&[part], None));
///
/// let (_verdicts, health) = watch::channel(Verdicts::default());
/// let hub = Hub::new(tables.clone(), health);
/// tokio::spawn(hub.feed("files-1".into(), server, Terms::default()).run());
///
/// let layer = SubscribeLayer::new(tables.versions()).resources(hub);
/// let wishes = serde_json::json!({"notifications": {"resourceSubscriptions": ["r://1", "r://2"]}});
/// let listen = Call::new(Method::LISTEN, Params::from_value(&wishes)?);
/// # tables.settle();
/// let mut events = layer.layer(Route::new(tables)).oneshot(listen).await?.into_events();
/// let Some(Ok(Event::Note(note))) = events.next().await else { panic!("acknowledged first") };
/// assert_eq!(note.params.as_str(), r#"{"notifications":{"resourceSubscriptions":["r://1"]}}"#);
/// let Some(Ok(Event::Note(note))) = events.next().await else { panic!("then told") };
/// assert_eq!(note.params.as_str(), r#"{"uri":"r://1"}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    tables: Arc<Tables<Table>>,
    verdicts: watch::Receiver<Verdicts>,
    topics: Mutex<Topics>,
}

impl Hub {
    /// The most URIs one client can listen to with one stream: 512, more than a client shows at once.
    pub const MAX_URIS: usize = 512;
    /// The most URIs of all clients together: 32 768, three for each of ten thousand clients.
    pub const MAX_SUBSCRIPTIONS: usize = 32_768;
    /// The most bytes of all different URIs: 1 MiB, because an endpoint is asked for all of its own in one message, and
    /// a message larger than a server takes would end the subscriptions of everybody.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Finds the endpoints of a URI in `tables`, and prefers those that are not ill.
    ///
    /// Whoever changes either calls [`review`](Self::review) afterwards.
    pub fn new(tables: Arc<Tables<Table>>, verdicts: watch::Receiver<Verdicts>) -> Self {
        Self { shared: Arc::new(Shared { tables, verdicts, topics: Mutex::default() }) }
    }

    /// The upstream stream of one endpoint, to be [run](Feed::run); dropping it takes the endpoint out.
    ///
    /// `service` must lead to this endpoint only, below the limits of calls: a listening gateway is no call in flight.
    pub fn feed<S>(&self, endpoint: EndpointId, service: S, terms: Terms) -> Feed<S>
    where
        S: Service<Call, Response = Reply> + Clone,
    {
        let (number, changed) = self.with(|topics, verdicts| topics.attach(endpoint.clone(), verdicts));
        Feed::new(self.clone(), endpoint, (number, changed), service, terms)
    }

    /// Looks again where each URI is to be asked for, after tables or verdicts have changed.
    pub fn review(&self) {
        self.with(|topics, verdicts| topics.review(verdicts));
    }

    /// Begins to listen to these URIs, apart from those beyond the bound of a client; `None` if there is no room for all.
    ///
    /// `client` is a call of whoever listens.
    pub(super) fn subscribe(&self, uris: impl IntoIterator<Item = String>, client: &Call) -> Option<Subscription> {
        let mut seen = HashSet::new();
        let uris = uris.into_iter().map(Arc::from).filter(|uri: &Arc<str>| seen.insert(uri.clone()));
        let uris: Vec<Arc<str>> = uris.take(Self::MAX_URIS).collect();
        let sight = Sight::new(View::of(&client.extensions, &self.shared.tables).clone());
        let owner = Principal::mark_in(&client.extensions);
        let inbox = Arc::new(Inbox::new(uris.len(), own::kept(client)));
        self.with(|topics, verdicts| {
            if !topics.has_room(owner, &uris) {
                return None;
            }
            let holder = Holder { number: topics.number(), sight, owner };
            for (place, uri) in uris.iter().enumerate() {
                topics.subscribe(uri, &holder, (inbox.clone(), place), verdicts);
            }
            Some(Subscription::new(self.clone(), holder, uris, inbox))
        })
    }

    fn release<'a>(&self, holder: &Holder, uris: impl Iterator<Item = &'a Arc<str>>) {
        let mut topics = self.lock();
        uris.for_each(|uri| topics.release(uri, holder));
    }

    fn detach(&self, endpoint: &EndpointId, number: u64) {
        self.with(|topics, verdicts| topics.detach(endpoint, number, verdicts));
    }

    fn wanted(&self, endpoint: &EndpointId) -> Uris {
        self.lock().wanted(endpoint)
    }

    fn arrivals(&self, endpoint: &EndpointId) -> Vec<Arrival> {
        self.lock().arrivals(endpoint)
    }

    fn acknowledged(&self, endpoint: &EndpointId, asked: &Uris, honoured: &Uris) {
        self.with(|topics, verdicts| topics.acknowledged(endpoint, asked, honoured, verdicts));
    }

    fn told(&self, endpoint: &EndpointId, honoured: &Uris) {
        self.lock().told(endpoint, honoured);
    }

    fn lost(&self, endpoint: &EndpointId) {
        self.lock().lost(endpoint);
    }

    fn updated(&self, endpoint: &EndpointId, uri: &str) {
        self.lock().updated(endpoint, uri);
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the topics with the verdicts as they are.
    fn with<T>(&self, work: impl FnOnce(&mut Topics, &Verdicts) -> T) -> T {
        // The topics first: who waits for them must not hold up those who write verdicts.
        let mut topics = self.lock();
        work(&mut topics, &self.shared.verdicts.borrow())
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("subscriptions", &self.lock().subscriptions()).finish_non_exhaustive()
    }
}
