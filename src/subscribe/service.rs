use super::{SubscribeLayer, future::ResponseFuture, stream::changes, wishes::Wishes};
use crate::{BoxError, Call, Method, Reply, auth::Principal, error::Problem, metrics::Gauge, route::View};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;

/// When a client that found no place may try again.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Answers `subscriptions/listen` with a stream of what changes; everything else goes on.
///
/// Honoured are `toolsListChanged`, `promptsListChanged` and `resourcesListChanged` where they are `true`. Of each kind
/// a change is told at most once a second per stream, and the latest change always is. A stream ends with a result
/// when the gateway shuts down, or when the tables it tells of are gone.
///
/// Of `resourceSubscriptions` those URIs are honoured of which a server has said that it tells, for which the
/// acknowledgement waits a few seconds at most; the layer needs a [`Hub`](super::Hub) for that. An update is told as
/// often as the client reads, and not once more: what happens to a resource before its note is read is one note.
///
/// Notes carry no subscription id: that belongs to the hop to the client, where the edge adds it.
///
/// It forwards readiness and stands outside the layers that shed and limit calls: a listening client is no call in
/// flight.
///
/// # Errors
///
/// −32602 if the parameters have no object `notifications`, 503 if there are
/// [too many streams](SubscribeLayer::max_streams), of this principal or in all, or no room in the [`Hub`](super::Hub) for
/// all the resources. Otherwise what the inner service fails with.
#[derive(Clone, Debug)]
pub struct Subscribe<S> {
    inner: S,
    layer: Arc<SubscribeLayer>,
}

impl<S> Subscribe<S> {
    pub(super) fn new(inner: S, layer: SubscribeLayer) -> Self {
        Self { inner, layer: Arc::new(layer) }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }

    #[cold]
    fn listen(&self, call: &Call) -> Result<Reply, Problem> {
        let params = &call.params;
        let wishes = params.member("notifications").as_ref().and_then(Wishes::parse);
        let wishes = wishes.ok_or_else(|| {
            Problem::rpc(200, -32602, "invalid params: \"notifications\" must be an object of wishes")
        })?;
        let SubscribeLayer { mut versions, places, shutdown, hub, metrics } = SubscribeLayer::clone(&self.layer);
        if let Some(view) = call.extensions.get::<View>() {
            versions = view.tables().versions();
        }
        let place = places.take(Principal::mark_in(&call.extensions)).ok_or_else(|| {
            Problem::new(503, "too_many_streams", "too many clients are listening").with_retry_after(FULL_RETRY)
        })?;
        let wished = hub.filter(|_| !wishes.uris.is_empty());
        let resources = wished.map(|hub| hub.subscribe(wishes.uris, call).ok_or_else(crowded)).transpose()?;
        Ok(Reply::stream(changes(wishes.lists, versions, resources, shutdown))
            .hold((place, metrics.hold(Gauge::Streams))))
    }
}

impl<S> Service<Call> for Subscribe<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> ResponseFuture<S::Future> {
        if call.method == Method::LISTEN {
            ResponseFuture::ready(self.listen(&call))
        } else {
            ResponseFuture::inner(self.inner.call(call))
        }
    }
}

/// Said in place of an acknowledgement without the URIs, which would mean that no server tells of them.
fn crowded() -> Problem {
    Problem::new(503, "subscriptions", "too many resources are listened to").with_retry_after(FULL_RETRY)
}
