//! The parts fit tower's own balancer.

use crate::{
    calls::{call, single},
    discovery, endpoint,
    patient::patient,
};
use std::sync::atomic::Ordering;
use tokio_test::{assert_pending, task};
use tower::{Service, ServiceExt, balance::p2c, buffer::Buffer, discover::Change};
use tower_mcp_gateway::{
    Call,
    health::{Board, Healthy},
    load::Meter,
};

#[tokio::test(start_paused = true)]
async fn buffered_p2c_balances_over_healthy_and_metered() {
    let board = Board::default();
    let (a, b) = (patient(&board, "a").await, patient(&board, "b").await);
    let (found, discover) = discovery();
    let ((on_a, mut at_a), (on_b, mut at_b)) = (endpoint(Meter::new(1)), endpoint(Meter::new(1)));
    found.send(Ok(Change::Insert("a".into(), on_a))).unwrap();
    found.send(Ok(Change::Insert("b".into(), on_b))).unwrap();
    let healthy = Healthy::new(discover, board.subscribe());
    let mut pool: Buffer<Call, _> = Buffer::new(p2c::Balance::new(healthy), 16);

    b.answers.store(false, Ordering::SeqCst);
    board.subscribe().wait_for(|verdicts| !verdicts.is_well("b")).await.unwrap();
    for _ in 0..5 {
        let reply = tokio::spawn(pool.ready().await.unwrap().call(call()));
        at_a.next_request().await.unwrap().1.send_response(single());
        let _ = reply.await.unwrap().unwrap();
    }
    assert_pending!(task::spawn(at_b.next_request()).poll());
    drop(a);
}
