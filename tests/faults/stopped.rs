//! Children that stand still: they run, hold their pipes open, and do nothing.

use crate::{
    RECOVERY, SILENCE, bounds,
    children::Book,
    client::Session,
    front, gateway,
    support::{
        faults::{Fault, child},
        servers::{Kind, Running},
    },
};
use serde_json::json;
use std::{fs, path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep};
use tower_mcp_gateway::registry::Status;

/// Children with this book that stand still.
fn standing(book: &Book) -> usize {
    let is_one = |process: PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        let command = fs::read_to_string(process.join("cmdline")).ok()?;
        let (_, state) = stat.rsplit_once(") ")?;
        Some(state.starts_with('T') && command.contains(book.path().to_str()?))
    };
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    processes.filter(|one| is_one(one.path()) == Some(true)).count()
}

#[tokio::test]
async fn a_child_that_stands_still_is_killed_and_started_again_and_nobody_else_waits() {
    let (book, good) = (Book::new("stopped"), Running::named(Kind::Modern, "good").await);
    let front = gateway(vec![child("bad-1", "bad", book.path()), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    let registry = front.gateway.registry().clone();
    session.recovered("act").await;

    for (round, fault) in [Fault::Stop, Fault::StopLater].into_iter().enumerate() {
        let ended = session.act("act", fault).await;
        match fault {
            Fault::Stop => {
                assert_eq!(ended.reason(), "timeout", "{ended:?}");
                assert!(ended.took < SILENCE + Duration::from_secs(1), "{ended:?}");
            }
            _ => assert_eq!(ended.text(), Some(ended.key.as_str()), "{ended:?}"),
        }
        // The verdict comes by the next check, whose patience is a second.
        let begun = Instant::now();
        while registry.list()[0].status == Status::Connected
            && registry.measured()[0].calls.starts() == 1 + round as u64
        {
            session.untouched("echo").await;
            assert!(begun.elapsed() < Duration::from_secs(4), "{fault:?}: not seen");
            sleep(Duration::from_millis(20)).await;
        }
        let back = session.recovered("act").await;
        assert!(back < RECOVERY, "{fault:?} {back:?}");
        assert_eq!(registry.measured()[0].calls.starts(), 2 + round as u64, "{fault:?}");
        assert_eq!(book.calls()[&ended.key], 1, "{fault:?}: it was not replayed");
        assert_eq!(standing(&book), 0, "{fault:?}: the group is gone");
        session.untouched("echo").await;
    }
}

#[tokio::test]
async fn a_child_that_is_busy_with_a_call_is_left_to_it() {
    let book = Book::new("busy");
    let front = front::Front::with(vec![child("bad-1", "bad", book.path())], |config| {
        bounds(config);
        config.request_timeout = Duration::from_secs(10);
    })
    .await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    let ended = session.act("act", Fault::Busy).await;
    assert_eq!(ended.text(), Some(ended.key.as_str()), "{ended:?}");
    session.recovered("act").await;
    assert_eq!(front.gateway.registry().measured()[0].calls.starts(), 1);
}

#[tokio::test]
async fn a_child_that_takes_nothing_any_more_is_killed_and_started_again() {
    let book = Book::new("clogged");
    let front = gateway(vec![child("bad-1", "bad", book.path())]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    session.act("act", Fault::StopLater).await;
    // More than a pipe holds: not even a check can be written.
    let padding = "x".repeat(1 << 20);
    let clogged = session.tool("act", json!({ "fault": "none", "key": "clogged", "padding": padding })).await;
    assert!(clogged.is_error() && clogged.took < SILENCE + Duration::from_secs(1), "{clogged:?}");
    let begun = Instant::now();
    while session.act("act", Fault::None).await.is_error() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not replaced");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(front.gateway.registry().measured()[0].calls.starts(), 2);
    assert_eq!(standing(&book), 0);
}
