//! Answers that are none.

use crate::{
    client::Session,
    entry, front, gateway,
    support::{
        faults::{Fault, Faulty, Wire},
        servers::{Kind, Running},
        soon,
    },
};
use std::time::Duration;
use tokio::net::TcpListener;

/// An answer that is none is known as soon as it is there.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What every wire can get wrong, known to be wrong when it has arrived.
const MESSAGES: [Fault; 7] =
    [Fault::Cut, Fault::CutEvent, Fault::Garbage, Fault::Words, Fault::Both, Fault::Neither, Fault::NotRpc];

/// What only a response of its own can get wrong.
const RESPONSES: [Fault; 9] = [
    Fault::Reset,
    Fault::Close,
    Fault::Status500,
    Fault::Status503,
    Fault::GarbageHead,
    Fault::WrongId,
    Fault::MissingId,
    Fault::Empty,
    Fault::WrongType,
];

async fn each_fails(wire: Wire, faults: &[Fault], within: Duration) {
    let (bad, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
    let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    for &fault in faults {
        println!("{wire:?} {fault:?}");
        session.fails(&bad, fault, within).await;
    }
    session.recovered("act").await;
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_at_once_over_http() {
    for wire in [Wire::Modern, Wire::Legacy] {
        each_fails(wire, &MESSAGES, AT_ONCE).await;
        each_fails(wire, &RESPONSES, AT_ONCE).await;
    }
    // Under a session this status says that the session is gone, and the call is sent anew.
    each_fails(Wire::Modern, &[Fault::Status404], AT_ONCE).await;
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_at_once_over_sse() {
    each_fails(Wire::Sse, &MESSAGES, AT_ONCE).await;
    each_fails(Wire::Sse, &[Fault::WrongId, Fault::MissingId], AT_ONCE).await;
}

#[tokio::test]
async fn what_is_too_large_is_cut_at_the_limit() {
    let within = Duration::from_secs(3);
    each_fails(Wire::Modern, &[Fault::HugeBody, Fault::HugeEvent, Fault::HeaderBomb, Fault::GzipBomb], within).await;
    each_fails(Wire::Legacy, &[Fault::Endless1xx], within).await;
    each_fails(Wire::Sse, &[Fault::HugeEvent], within).await;
}

#[tokio::test]
async fn a_redirect_is_followed_nowhere() {
    let trap = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let elsewhere = format!("http://{}/mcp", trap.local_addr().expect("bound"));
    for wire in [Wire::Modern, Wire::Legacy] {
        let (bad, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        for target in [&elsewhere, "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "//", ""] {
            bad.redirect_to(target);
            session.fails(&bad, Fault::Redirect, AT_ONCE).await;
        }
        // A second POST to the server itself is a redirection as well.
        bad.redirect_to(&bad.url());
        session.fails(&bad, Fault::Redirect, AT_ONCE).await;
    }
    let trapped = tokio::time::timeout(Duration::from_millis(200), trap.accept()).await;
    assert!(trapped.is_err(), "somebody came: {trapped:?}");
}

#[tokio::test]
async fn an_endpoint_of_another_origin_is_not_used() {
    let trap = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (bad, good) = (Faulty::start(Wire::Sse).await, Running::named(Kind::Modern, "good").await);
    let elsewhere = format!("http://{}/message", trap.local_addr().expect("bound"));
    bad.endpoint(Some(&elsewhere));
    let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    session.untouched("echo").await;
    let ended = session.act("act", Fault::None).await;
    assert!(ended.is_error(), "{ended:?}");
    let trapped = tokio::time::timeout(Duration::from_millis(200), trap.accept()).await;
    assert!(trapped.is_err(), "somebody came: {trapped:?}");

    bad.endpoint(None);
    session.recovered("act").await;
}

#[tokio::test]
async fn bytes_behind_a_response_answer_no_other_call() {
    for wire in [Wire::Modern, Wire::Legacy] {
        let (bad, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        for _ in 0..20 {
            for fault in [Fault::Beyond, Fault::None] {
                let ended = soon("an answer", session.act("act", fault)).await;
                // The connection may be found broken after the call was written; what is not allowed is another's answer.
                assert!(ended.text() == Some(&ended.key) || ended.is_error(), "{ended:?}");
                assert!(bad.ledger().calls(&ended.key) <= 1, "{ended:?}");
            }
        }
    }
}
