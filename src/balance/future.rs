//! The future of a balanced call.

use super::{
    error::{Failed, NoEndpoint},
    policy::Policy,
    service::Shared,
};
use crate::{BoxError, Call, EndpointId, Reply, load::Metered};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{sync::watch, time::timeout};
use tower::{Service, util::Oneshot};

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
        // `call` is Some until the first poll.
        Pick { shared: Arc<Shared<S, P>>, published: watch::Receiver<u64>, call: Option<Call> },
        Wait { shared: Arc<Shared<S, P>>, picked: Pin<Box<dyn Future<Output = Picked<S>> + Send>> },
        Call { endpoint: EndpointId, #[pin] reply: Oneshot<Metered<S>, Call> },
    }
}

impl<S: Service<Call, Response = Reply>, P: Policy> ResponseFuture<S, P> {
    pub(super) fn new(shared: Arc<Shared<S, P>>, published: watch::Receiver<u64>, call: Call) -> Self {
        Self { state: State::Pick { shared, published, call: Some(call) } }
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
                StateProj::Pick { shared, published, call } => {
                    let call = call.take().expect("polled after it was ready");
                    if let Some((endpoint, service)) = shared.pick(&call) {
                        State::to(endpoint, service, call)
                    } else if shared.patience().is_zero() {
                        return Poll::Ready(Err(NoEndpoint { server: shared.server().clone() }.into()));
                    } else {
                        let (shared, published) = (shared.clone(), published.clone());
                        State::Wait { shared: shared.clone(), picked: Box::pin(wait(shared, published, call)) }
                    }
                }
                StateProj::Wait { shared, picked } => match ready!(picked.as_mut().poll(cx)) {
                    Some((endpoint, service, call)) => State::to(endpoint, service, call),
                    None => return Poll::Ready(Err(NoEndpoint { server: shared.server().clone() }.into())),
                },
                StateProj::Call { endpoint, reply } => {
                    let result = ready!(reply.poll(cx));
                    let failed = |source: S::Error| Failed { endpoint: endpoint.clone(), source: source.into() };
                    return Poll::Ready(result.map_err(|error| failed(error).into()));
                }
            };
            state.set(next);
        }
    }
}

impl<S: Service<Call, Response = Reply>, P: Policy> State<S, P> {
    fn to(endpoint: EndpointId, service: Metered<S>, call: Call) -> Self {
        State::Call { endpoint, reply: Oneshot::new(service, call) }
    }
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
