//! Children that misbehave on their stdout.

use crate::{
    RECOVERY, SILENCE,
    client::{Ended, Session},
    front, gateway,
    support::{
        faults::{Fault, child},
        servers::{Kind, Running},
    },
};
use futures_util::future::join_all;
use serde_json::json;
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;
use tower_mcp_gateway::registry::Server;

/// A file that is gone with its owner.
pub(crate) struct Book(PathBuf);

impl Book {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("faults-{test}-{}", std::process::id()));
        fs::write(&path, "").expect("a folder for files that do not last");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// How often each call arrived.
    pub(crate) fn calls(&self) -> HashMap<String, usize> {
        let mut calls = HashMap::new();
        let book = fs::read_to_string(&self.0).expect("the book");
        book.lines().for_each(|key| *calls.entry(key.to_owned()).or_default() += 1);
        calls
    }

    fn count(&self, ended: &Ended) -> usize {
        self.calls().get(&ended.key).copied().unwrap_or_default()
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn each_fails(book: &Book, faults: &[Fault], within: Duration) {
    let good = Running::named(Kind::Modern, "good").await;
    let front = gateway(vec![child("bad-1", "bad", &book.0), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    for &fault in faults {
        println!("{fault:?}");
        session.recovered("act").await;
        let ended = session.act("act", fault).await;
        assert!(ended.is_error() && ended.took < within, "{fault:?} {ended:?}");
        assert_eq!(book.count(&ended), 1, "{fault:?}");
        session.untouched("echo").await;
    }
    let back = session.recovered("act").await;
    assert!(back < RECOVERY);
}

#[tokio::test]
async fn a_crash_fails_the_call_at_once_and_it_is_not_replayed() {
    each_fails(&Book::new("crash"), &[Fault::Crash, Fault::Cut], Duration::from_millis(1500)).await;
}

#[tokio::test]
async fn silence_ends_the_call_of_a_child() {
    let within = SILENCE + Duration::from_secs(1);
    each_fails(&Book::new("silence"), &[Fault::Hang], within).await;
}

#[tokio::test]
async fn a_line_that_is_no_answer_is_an_error_at_once() {
    let faults = [Fault::Garbage, Fault::WrongId, Fault::MissingId, Fault::Both, Fault::Neither, Fault::NotRpc];
    each_fails(&Book::new("lines"), &faults, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_answer_that_nobody_can_read_fails_its_call_when_the_others_are_answered_and_none_of_them() {
    let book = Book::new("lost");
    let front = gateway(vec![child("bad-1", "bad", book.path())]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    for lost in [Fault::Truncated, Fault::WrongId, Fault::MissingId] {
        let crowd = (0..20).map(|n| session.act("act", if n == 7 { lost } else { Fault::None }));
        let crowd = join_all(crowd).await;
        for (n, ended) in crowd.iter().enumerate() {
            assert!(ended.took < Duration::from_secs(1), "{lost:?} {n}: {ended:?}");
            assert_eq!(ended.is_error(), n == 7, "{lost:?} {n}: {ended:?}");
            assert_eq!(book.count(ended), 1, "{lost:?}");
        }
    }
}

#[tokio::test]
async fn a_line_above_the_limit_is_an_error_of_its_call_at_once() {
    each_fails(&Book::new("large"), &[Fault::HugeBody], Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_child_that_does_not_read_its_stdin_blocks_nobody_else() {
    let (book, good) = (Book::new("deaf"), Running::named(Kind::Modern, "good").await);
    let front = gateway(vec![child("bad-1", "bad", book.path()), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    // Far more than a pipe and every queue on the way to it hold.
    let padding = "x".repeat(64 << 10);
    let crowd = join_all((0..60).map(|n| {
        let arguments = json!({ "fault": "deaf", "key": format!("deaf-{n}"), "padding": padding });
        session.tool("act", arguments)
    }));
    let others = async {
        for _ in 0..50 {
            session.untouched("echo").await;
        }
    };
    let (crowd, ()) = tokio::join!(crowd, others);
    for ended in &crowd {
        assert!(ended.is_error() && ended.took < SILENCE + Duration::from_secs(1), "{ended:?}");
        assert!(book.count(ended) <= 1, "{ended:?}");
    }
    session.untouched("echo").await;
}

#[tokio::test]
async fn a_child_that_cannot_live_is_started_at_most_five_times_in_four_seconds() {
    let good = Running::named(Kind::Modern, "good").await;
    let dying = Server::stdio("bad-1", "bad", "false");
    let front = gateway(vec![dying, front::entry("good-1", "good", &good)]).await;
    let starts = || front.gateway.registry().measured()[0].calls.starts();
    let begun = Instant::now();
    let session = Session::open(&front).await;
    while begun.elapsed() < Duration::from_millis(3900) {
        session.untouched("echo").await;
        assert!(starts() <= 5, "{} starts in {:?}", starts(), begun.elapsed());
    }
    assert!(starts() >= 3, "it is tried again: {}", starts());
}
