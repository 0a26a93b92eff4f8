//! The future of a balanced call.

use super::{
    Queued, Turn,
    error::{Failed, NoEndpoint},
    policy::Policy,
    service::{Pool, Shared},
};
use crate::{BoxError, Call, EndpointId, Reply, error::find, load::Metered};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{sync::watch, time::timeout};
use tower::{Service, load_shed::error::Overloaded, util::Oneshot};

type Picked<S> = Option<(EndpointId, Metered<S>, Call)>;

pin_project! {
    /// Resolves to the reply of the endpoint that was picked when this was first polled, so that two calls made at the
    /// same time see each other in flight.
    pub struct ResponseFuture<S, P: Policy>
    where
        S: Service<Call, Response = Reply>,
    {
        #[pin]
        state: State<S, P>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, P: Policy>
    where
        S: Service<Call, Response = Reply>,
    {
        // Some until the first poll.
        Pick { call: Option<(Arc<Pool<S, P>>, Call)> },
        // Others wait for room already.
        Queue { call: Option<(Arc<Pool<S, P>>, Call)>, queued: Box<Queued> },
        Wait { pool: Option<Arc<Pool<S, P>>>, picked: Pin<Box<dyn Future<Output = Picked<S>> + Send>> },
        // In this order: whoever waits for its place is told once that is free.
        Call {
            endpoint: EndpointId,
            #[pin]
            reply: Oneshot<Metered<S>, Call>,
            place: Option<Place<S, P>>,
            // Of one that waited, until it has found a place.
            turn: Option<Turn>,
        },
    }
}

impl<S: Service<Call, Response = Reply>, P: Policy> ResponseFuture<S, P> {
    pub(super) fn new(pool: Arc<Pool<S, P>>, call: Call) -> Self {
        Self { state: State::Pick { call: Some((pool, call)) } }
    }
}

impl<S, P> Future for ResponseFuture<S, P>
where
    S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    P: Policy,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Pick { call } => {
                    let (pool, call) = call.take().expect("polled after it was ready");
                    let vacancy = pool.shared.vacancy();
                    let turn = vacancy.is_before(&call).then(|| vacancy.queue());
                    match turn {
                        // Those that it saw may have gone, and nobody is left to tell it.
                        Some(turn) if !turn.is_opener() => {
                            State::Queue { call: Some((pool, call)), queued: Box::new(Queued::new(turn)) }
                        }
                        turn => State::look(pool, call, turn)?,
                    }
                }
                StateProj::Queue { call, queued } => {
                    ready!(Pin::new(&mut **queued).poll(cx));
                    let (pool, call) = call.take().expect("polled after it was ready");
                    State::look(pool, call, Some(queued.turn().clone()))?
                }
                StateProj::Wait { pool, picked } => {
                    let picked = ready!(picked.as_mut().poll(cx));
                    let pool = pool.take().expect("polled after it was ready");
                    match picked {
                        Some((endpoint, service, call)) => State::to(pool, endpoint, service, call, None),
                        None => return Poll::Ready(Err(NoEndpoint { server: pool.shared.server().clone() }.into())),
                    }
                }
                StateProj::Call { endpoint, reply, place, turn } => {
                    let polled = reply.poll(cx).map_err(Into::into);
                    if turn.is_some() && !is_full(&polled) {
                        turn.take().iter().for_each(Turn::end);
                    }
                    let (result, place) = (ready!(polled), place.take());
                    return Poll::Ready(match result {
                        Ok(reply) => Ok(reply.hold(place)),
                        Err(source) => Err(Failed::at(endpoint.clone(), source, place, turn.take()).into()),
                    });
                }
            };
            state.set(next);
        }
    }
}

impl<S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static, P: Policy> State<S, P> {
    /// Where the call goes now; `turn` if it has waited for that.
    fn look(pool: Arc<Pool<S, P>>, call: Call, turn: Option<Turn>) -> Result<Self, NoEndpoint> {
        let shared = &pool.shared;
        if let Some((endpoint, service)) = shared.pick(&call) {
            return Ok(State::to(pool, endpoint, service, call, turn));
        }
        if shared.patience().is_zero() {
            return Err(NoEndpoint { server: shared.server().clone() });
        }
        let picked = Box::pin(wait(shared.clone(), pool.published.clone(), call));
        Ok(State::Wait { pool: Some(pool), picked })
    }

    fn to(pool: Arc<Pool<S, P>>, endpoint: EndpointId, service: Metered<S>, call: Call, turn: Option<Turn>) -> Self {
        let turn = turn.or_else(|| Turn::of(&call).cloned());
        State::Call { endpoint, reply: Oneshot::new(service, call), place: Some(Place(Some(pool))), turn }
    }
}

/// Whether a call was refused for want of room.
fn is_full(polled: &Poll<Result<Reply, BoxError>>) -> bool {
    matches!(polled, Poll::Ready(Err(error)) if find::<Overloaded>(&**error).is_some())
}

/// Waits for a snapshot with an eligible endpoint; none if there is not to be one in time.
async fn wait<S, P>(shared: Arc<Shared<S, P>>, mut published: watch::Receiver<u64>, call: Call) -> Picked<S>
where
    S: Clone,
    P: Policy,
{
    let pick = async {
        loop {
            // A snapshot published after this look is seen by `changed`, which compares with what it saw itself.
            if let Some(picked) = shared.pick(&call) {
                return Some(picked);
            }
            published.changed().await.ok()?;
        }
    };
    let (endpoint, service) = timeout(shared.patience(), pick).await.ok()??;
    Some((endpoint, service, call))
}

impl<S: Service<Call, Response = Reply>, P: Policy> fmt::Debug for ResponseFuture<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// What a call takes up at its endpoint; its end is told to whoever waits for it.
struct Place<S, P: Policy>(Option<Arc<Pool<S, P>>>);

impl<S, P: Policy> Drop for Place<S, P> {
    fn drop(&mut self) {
        if let Some(pool) = &self.0 {
            pool.shared.vacancy().tell();
        }
    }
}

impl Failed {
    /// A call that found its endpoint full had no place there: nobody is told of its end, or those that wait would wake each
    /// other in turn.
    fn at<S, P: Policy>(
        endpoint: EndpointId,
        source: BoxError,
        place: Option<Place<S, P>>,
        turn: Option<Turn>,
    ) -> Self {
        let full = find::<Overloaded>(&*source).is_some();
        let pool = place.filter(|_| full).and_then(|mut place| place.0.take());
        let vacancy = pool.map(|pool| pool.shared.vacancy().clone());
        Self { endpoint, source, vacancy, turn }
    }
}
