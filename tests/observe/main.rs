//! What live calls tell of an endpoint.

#[path = "../support/calls.rs"]
mod calls;
#[path = "../support/patient.rs"]
mod patient;

mod breaker;
mod classify;

use patient::{Patient, patient};
use tokio_test::{assert_ready_ok, task};
use tower::Layer;
use tower_mcp_gateway::{
    Call, Reply,
    health::{
        Board,
        observe::{Observe, ObserveLayer, future::ResponseFuture},
    },
};
use tower_test::mock::{self, Handle, Mock, Spawn};

type InFlight = task::Spawn<ResponseFuture<<Mock<Call, Reply> as tower::Service<Call>>::Future>>;

/// An endpoint that is well and observed, whose server is the test.
struct Bench {
    board: Board,
    patient: Patient,
    service: Spawn<Observe<Mock<Call, Reply>>>,
    server: Handle<Call, Reply>,
}

async fn bench() -> Bench {
    let board = Board::default();
    let patient = patient(&board, "a").await;
    let (service, server) = mock::pair();
    let service = Spawn::new(ObserveLayer::new(patient.vital.clone()).layer(service));
    Bench { board, patient, service, server }
}

impl Bench {
    /// A call that has reached the server.
    async fn call(&mut self, call: Call) -> (InFlight, mock::SendResponse<Reply>) {
        assert_ready_ok!(self.service.poll_ready());
        let mut reply = task::spawn(self.service.call(call));
        assert!(reply.poll().is_pending(), "the call was refused");
        (reply, self.server.next_request().await.unwrap().1)
    }

    fn is_well(&self) -> bool {
        self.patient.vital.is_well()
    }
}
