use super::{Cost, Meter, future::ResponseFuture};
use crate::{Call, Reply};
use std::task::{Context, Poll};
use tower::{Service, load::Load};

/// A service with the meter that counts its calls.
///
/// A call is in flight from `call` until its [`Reply`] is complete or abandoned. As a [`Load`] its metric is the peak-EWMA
/// [`Cost`], so it also works in tower's own balancers.
///
/// ```
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, load::{Meter, Metered}};
/// use futures_util::stream;
/// use tower::{ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let endless = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::stream(stream::pending())));
/// let meter = Meter::new(1);
/// let call = Call::new(Method::PING, Params::empty());
/// let reply = Metered::new(endless, meter.clone()).oneshot(call).await.unwrap();
/// assert_eq!(meter.in_flight(), 1);
/// drop(reply);
/// assert_eq!(meter.in_flight(), 0);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Metered<S> {
    service: S,
    meter: Meter,
}

impl<S> Metered<S> {
    /// Counts the calls of `service` in `meter`.
    pub const fn new(service: S, meter: Meter) -> Self {
        Self { service, meter }
    }

    /// The meter.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.service
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.service
    }

    /// The wrapped service, uncounted.
    pub fn into_inner(self) -> S {
        self.service
    }
}

impl<S> Load for Metered<S> {
    type Metric = Cost;

    fn load(&self) -> Cost {
        self.meter.cost()
    }
}

impl<S> Service<Call> for Metered<S>
where
    S: Service<Call, Response = Reply>,
{
    type Response = Reply;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let flight = self.meter.start();
        ResponseFuture::new(self.service.call(call), flight)
    }
}
