//! Endpoints whose health a test decides.
#![allow(dead_code, unreachable_pub)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tower::service_fn;
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    health::{Board, Probe, Vital},
    reply::Outcome,
};

/// An endpoint that is probed; whether it answers is up to the test.
pub struct Patient {
    pub vital: Vital,
    pub answers: Arc<AtomicBool>,
}

/// Adds an endpoint to `board` that answers its probes, and waits until it is well.
pub async fn patient(board: &Board, id: &str) -> Patient {
    let patient = unprobed(board, id);
    probe(&patient);
    verdict(board, id, true).await;
    patient
}

pub fn unprobed(board: &Board, id: &str) -> Patient {
    Patient { vital: board.endpoint(&id.into()), answers: Arc::new(AtomicBool::new(true)) }
}

pub fn probe(patient: &Patient) {
    let answers = patient.answers.clone();
    let server = service_fn(move |_: Call| {
        let up = answers.load(Ordering::SeqCst);
        async move { if up { Ok(Reply::single(Outcome::Accepted)) } else { Err(BoxError::from("it is down")) } }
    });
    tokio::spawn(Probe::new(server, patient.vital.clone(), Duration::from_secs(15)).run());
}

/// Waits until `id` is well, or is not.
pub async fn verdict(board: &Board, id: &str, well: bool) {
    board.subscribe().wait_for(|verdicts| verdicts.is_well(id) == well).await.unwrap();
}
