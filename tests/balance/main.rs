//! One pool: who is eligible, who is picked, how long a call waits.

#[path = "../support/calls.rs"]
mod calls;
#[path = "../support/patient.rs"]
mod patient;

mod churn;
mod policy;
mod pool;
mod queue;
mod stack;
mod tower_balance;
mod warm;

use futures_util::{Stream, stream};
use std::sync::Arc;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tower::{BoxError, discover::Change};
use tower_mcp_gateway::{
    Call, EndpointId, Providers, Reply,
    load::{Meter, Metered},
};
use tower_test::mock::{self, Handle, Mock};

/// An endpoint whose server is this test.
type Endpoint = Metered<Mock<Call, Reply>>;
type Found = Result<Change<EndpointId, Endpoint>, BoxError>;

fn endpoint(meter: Meter) -> (Endpoint, Handle<Call, Reply>) {
    let (service, handle) = mock::pair();
    (Metered::new(service, meter), handle)
}

/// A discovery that finds what is sent into the channel.
fn discovery() -> (UnboundedSender<Found>, impl Stream<Item = Found> + Send + Unpin) {
    let (found, receiver) = mpsc::unbounded_channel();
    (found, discovered(receiver))
}

fn discovered<T: Send>(mut receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send + Unpin {
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

fn provided_by<const N: usize>(ids: [&str; N]) -> Call {
    let mut call = calls::call();
    call.providers = Some(Arc::new(Providers::new(ids.map(EndpointId::from))));
    call
}
