//! Servers that are played by hand, and clients that listen to their resources.

use crate::{
    BoxError, Call, Method, Reply,
    auth::Principal,
    catalog::{Kind, Listing, Merge, Part, Terms},
    error::explain,
    health::{Verdict, Verdicts},
    json::{Json, Params},
    reply::{Event, Events, Note, Outcome},
    route::{Pool, Table, Tables, View},
    subscribe::{Hub, SubscribeLayer},
    upstream::InSession,
};
use futures_util::{FutureExt, StreamExt, stream};
use http::Extensions;
use std::sync::Arc;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tower::{Layer, ServiceExt, service_fn};

pub(super) type Said = Result<Event, BoxError>;

/// One upstream stream that a feed has opened.
pub(super) struct Opened {
    pub(super) uris: Vec<String>,
    /// Whether it is in the session of a client.
    pub(super) own: bool,
    pub(super) tell: mpsc::UnboundedSender<Said>,
}

impl Opened {
    /// Acknowledges all that was asked for.
    pub(super) fn accept(&self) {
        self.acknowledge(&self.uris);
    }

    pub(super) fn acknowledge<T: AsRef<str>>(&self, uris: &[T]) {
        let uris: Vec<&str> = uris.iter().map(AsRef::as_ref).collect();
        let params = serde_json::json!({"notifications": {"resourceSubscriptions": uris}});
        self.note(Method::LISTEN_ACKNOWLEDGED, &params);
    }

    pub(super) fn update(&self, uri: &str) {
        self.note(Method::RESOURCES_UPDATED, &serde_json::json!({"uri": uri}));
    }

    pub(super) fn refuse(&self) {
        let error = Json::from_static(r#"{"code":-32601,"message":"no"}"#);
        self.tell.send(Ok(Event::Done(Outcome::Error(error)))).unwrap();
    }

    fn note(&self, method: Method, params: &serde_json::Value) {
        self.tell.send(Ok(Event::from(Note::new(method, Params::from_value(params).unwrap())))).unwrap();
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.tell.is_closed()
    }
}

/// A server that is played by hand.
pub(super) struct Played {
    pub(super) opened: mpsc::UnboundedReceiver<Opened>,
    pub(super) feed: JoinHandle<()>,
}

impl Played {
    /// The next stream that is opened.
    pub(super) async fn next(&mut self) -> Opened {
        self.opened.recv().await.unwrap()
    }

    /// The next stream, with all it asks for acknowledged.
    pub(super) async fn accepting(&mut self) -> Opened {
        let opened = self.next().await;
        opened.accept();
        opened
    }

    pub(super) fn is_idle(&mut self) -> bool {
        self.opened.recv().now_or_never().is_none()
    }
}

pub(super) struct Stage {
    pub(super) tables: Arc<Tables<Table>>,
    pub(super) hub: Hub,
    pub(super) layer: SubscribeLayer,
    verdicts: watch::Sender<Verdicts>,
}

/// A server name, its capabilities, and the array of resources or of templates that its replicas list.
pub(super) struct Cast(pub(super) &'static str, pub(super) &'static str, pub(super) Kind, pub(super) &'static str);

pub(super) const SUBSCRIBE: &str = r#"{"resources":{"subscribe":true}}"#;

/// Two resources of a server that tells of them.
pub(super) const FILES: Cast =
    Cast("files", SUBSCRIBE, Kind::Resources, r#"[{"uri":"r://1"},{"uri":"r://2"},{"uri":"r://3"}]"#);

/// The table of these servers with two replicas each, `files-1` and `files-2` for `files`.
pub(super) fn table(casts: &[Cast]) -> Table {
    let parts: Vec<Part<Pool>> = casts
        .iter()
        .map(|Cast(server, capabilities, kind, list)| {
            let listing = Listing::default().capable(Json::from_static(capabilities));
            let listing = Arc::new(listing.with(*kind, Json::from_static(list)));
            let nowhere = service_fn(|_: Call| async { Err::<Reply, BoxError>("nowhere".into()) });
            let part = Part::new(*server, Pool::new(nowhere)).listed(format!("{server}-1"), listing.clone());
            part.listed(format!("{server}-2"), listing)
        })
        .collect();
    Merge::new("gw", "1").table(&parts, None)
}

impl Stage {
    pub(super) fn new(casts: &[Cast]) -> Self {
        let stage = Self::starting(casts);
        stage.tables.settle();
        stage
    }

    /// Before every server had its chance to be listed.
    pub(super) fn starting(casts: &[Cast]) -> Self {
        let tables = Tables::new(table(casts));
        let verdicts = watch::Sender::new(Verdicts::default());
        let hub = Hub::new(tables.clone(), verdicts.subscribe());
        let layer = SubscribeLayer::new(tables.versions()).resources(hub.clone());
        Self { tables, hub, layer, verdicts }
    }

    /// Lets an endpoint listen, which has one session for all.
    pub(super) fn play(&self, endpoint: &str) -> Played {
        self.play_with(endpoint, false)
    }

    /// Lets an endpoint listen, which may have a session for each client.
    pub(super) fn play_with(&self, endpoint: &str, sessions: bool) -> Played {
        let (send, opened) = mpsc::unbounded_channel();
        let service = service_fn(move |call: Call| {
            assert_eq!(call.method, Method::LISTEN);
            let own = call.extensions.get::<InSession>().is_some();
            if own && !sessions {
                return std::future::ready(Ok(Reply::single(Outcome::Accepted)));
            }
            let wishes = call.params.member("notifications").unwrap();
            let uris = wishes.member("resourceSubscriptions").unwrap().read::<Vec<String>>().unwrap();
            let (tell, told) = mpsc::unbounded_channel();
            let _ = send.send(Opened { uris, own, tell });
            let events = stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) });
            std::future::ready(Ok::<_, BoxError>(Reply::stream(events)))
        });
        let feed = tokio::spawn(self.hub.feed(endpoint.into(), service, Terms::default()).run());
        Played { opened, feed }
    }

    /// Says of each endpoint whether it is ill.
    pub(super) fn health(&self, verdicts: &[(&str, bool)]) {
        let verdict = |ill| if ill { Verdict::Ill("down".into()) } else { Verdict::Well };
        self.verdicts.send_replace(verdicts.iter().map(|(id, ill)| ((*id).into(), verdict(*ill))).collect());
        self.hub.review();
    }

    /// A client that listens to these URIs; not acknowledged yet.
    pub(super) async fn listen(&self, uris: &[&str]) -> Events {
        self.try_listen(uris).await.unwrap()
    }

    pub(super) async fn try_listen(&self, uris: &[&str]) -> Result<Events, BoxError> {
        self.listen_with(uris, Extensions::new()).await
    }

    /// A client that sees these tables only.
    pub(super) async fn listen_in(&self, view: &Arc<Tables<Table>>, uris: &[&str]) -> Events {
        let mut extensions = Extensions::new();
        extensions.insert(View::new(view.clone()));
        self.listen_with(uris, extensions).await.unwrap()
    }

    /// A client of the principal of this name.
    pub(super) async fn listen_as(&self, name: &str, uris: &[&str]) -> Result<Events, BoxError> {
        let mut extensions = Extensions::new();
        extensions.insert(Principal::new(name));
        self.listen_with(uris, extensions).await
    }

    /// A client of which the layers before know this.
    async fn listen_with(&self, uris: &[&str], extensions: Extensions) -> Result<Events, BoxError> {
        let wishes = serde_json::json!({"notifications": {"resourceSubscriptions": uris, "toolsListChanged": true}});
        let inner = service_fn(|_: Call| async { Ok::<Reply, BoxError>(Outcome::Accepted.into()) });
        let call = Call::new(Method::LISTEN, Params::from_value(&wishes).unwrap());
        let call = call.with(|asked| asked.extensions = extensions);
        self.layer.layer(inner).oneshot(call).await.map(Reply::into_events)
    }

    /// A client whose wishes this server grants; with the stream it was granted on.
    pub(super) async fn granted(&self, uris: &[&str], server: &mut Played) -> (Events, Opened) {
        let mut events = self.listen(uris).await;
        let opened = server.accepting().await;
        assert_eq!(honoured(&mut events).await, uris);
        (events, opened)
    }
}

async fn note(events: &mut Events) -> Note {
    match events.next().await {
        Some(Ok(Event::Note(note))) => *note,
        other => panic!("{other:?}"),
    }
}

/// The URIs of the acknowledgement.
pub(super) async fn honoured(events: &mut Events) -> Vec<String> {
    let note = note(events).await;
    assert_eq!(note.method, Method::LISTEN_ACKNOWLEDGED);
    let notifications = note.params.member("notifications").unwrap();
    assert_eq!(notifications.member("toolsListChanged").unwrap().as_str(), "true");
    notifications.member("resourceSubscriptions").map(|uris| uris.read().unwrap()).unwrap_or_default()
}

/// The URI of the next update.
pub(super) async fn updated(events: &mut Events) -> String {
    let note = note(events).await;
    assert_eq!(note.method, Method::RESOURCES_UPDATED);
    note.params.uri().unwrap().into_owned()
}

/// Whether a client was told that there is no room at present.
pub(super) fn is_crowded(listened: Result<Events, BoxError>) -> bool {
    let problem = explain(&*listened.err().unwrap());
    problem.status == 503 && problem.retry_after.is_some()
}

/// Lets every task that can go on do so, without letting time pass.
pub(super) async fn rest() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(super) async fn quiet(events: &mut Events) -> bool {
    rest().await;
    events.next().now_or_never().is_none()
}
