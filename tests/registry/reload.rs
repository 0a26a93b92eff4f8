//! The servers of a configuration replaced by those of another.

use crate::{
    entry,
    fleet::{Fleet, Mode, server, tool, who},
    ids, listed, send, start_with, status, until,
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tower_mcp_gateway::{
    Glob,
    registry::{RegisterError, Resend, Sessions, Status},
    toolset::Toolset,
};

#[tokio::test(start_paused = true)]
async fn a_server_that_changes_serves_without_a_gap_and_one_that_does_not_keeps_its_connection() {
    let fleet = Fleet::default();
    fleet.peer("b").lists(["other"]);
    let (registry, _driver) = start_with(&fleet, [server("a", "a"), server("b", "b")]);
    listed(&registry, "a").await;
    listed(&registry, "b").await;
    let handles = fleet.peer("b").handles();
    let calls = tokio::spawn({
        let registry = registry.clone();
        async move {
            for _ in 0..1_000 {
                let reply = send(&registry, tool("echo")).await.expect("a call that meets a reload");
                assert_eq!(who(reply).await, "a");
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    for weight in 2..50 {
        let changes = registry.reload([server("a", "a").weight(weight).unwrap(), server("b", "b")]).unwrap();
        assert_eq!(changes.to_string(), "changed a (metadata); 1 unchanged");
        sleep(Duration::from_millis(10)).await;
    }
    calls.await.unwrap();
    assert_eq!(fleet.peer("b").handles(), handles, "not connected anew");
    until(&registry, |list| list.len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn no_table_lacks_a_server_that_changes_while_another_gets_a_new_name() {
    let fleet = Fleet::default();
    fleet.peer("b").lists(["other"]);
    fleet.peer("c").lists(["third"]);
    let (registry, _driver) = start_with(&fleet, [server("a", "a"), server("b", "b"), server("c", "c")]);
    for id in ["a", "b", "c"] {
        listed(&registry, id).await;
    }
    let tables = registry.tables();
    until(&registry, |_| tables.load().tool("third").is_some()).await;
    let turns = |name: &str| tables.load().tool(name).unwrap().providers_of().unwrap().clone();
    // A table without `other` would count, and one that has it again.
    let counted = || tables.versions().borrow().tools;
    let (before, first) = (counted(), turns("other"));

    registry.reload([server("a", "z"), server("b", "b").header("x-key", "1").unwrap(), server("c", "c")]).unwrap();
    until(&registry, |list| list.len() == 3 && tables.load().tool("z__echo").is_some()).await;
    assert_eq!(counted(), before, "the names clients see are the same");
    assert!(Arc::ptr_eq(&first, &turns("other")), "whose turn it is goes on");

    registry.reload([server("a", "a"), server("b", "b").header("x-key", "2").unwrap()]).unwrap();
    until(&registry, |list| list.len() == 2 && tables.load().tool("a__echo").is_some()).await;
    assert_eq!(counted(), before + 1, "one tool less, told once");
    assert!(Arc::ptr_eq(&first, &turns("other")));
}

#[tokio::test(start_paused = true)]
async fn what_an_entry_denies_is_denied_while_that_entry_gets_a_new_id() {
    let fleet = Fleet::default();
    let denying = |id: &str| server(id, "files").tools(Toolset::default().deny([Glob::new("echo")]));
    let (registry, _driver) = start_with(&fleet, [denying("a"), server("b", "files")]);
    listed(&registry, "a").await;
    listed(&registry, "b").await;
    let tables = registry.tables();
    let counted = || tables.versions().borrow().tools;
    let before = counted();
    for [old, new] in [["a", "c"], ["c", "d"]] {
        assert!(tables.load().tool("echo").is_none());
        registry.reload([denying(new), server("b", "files")]).unwrap();
        until(&registry, |list| list.iter().all(|entry| entry.id.as_str() != old)).await;
        listed(&registry, new).await;
    }
    assert_eq!(counted(), before, "a table with the tool would count");
}

#[tokio::test(start_paused = true)]
async fn whatever_of_an_entry_is_another_is_taken_up() {
    let fleet = Fleet::default();
    let (registry, _driver) = start_with(&fleet, [server("a", "a")]);
    listed(&registry, "a").await;
    let metadata = serde_json::Map::from_iter([("site".into(), "b".into())]);
    let others = [
        server("a", "b"),
        server("a", "a").weight(2).unwrap(),
        server("a", "a").sessions(Sessions::Shared),
        server("a", "a").metadata(metadata),
        server("a", "a").header("x-key", "b").unwrap(),
    ];
    for other in others {
        assert_eq!(registry.reload([other]).unwrap().changed, ["a".into()]);
        assert_eq!(registry.reload([server("a", "a")]).unwrap().changed, ["a".into()]);
    }
    let others = [
        server("a", "a").resend(Resend::Idempotent),
        server("a", "a").request_timeout(Duration::from_secs(1)),
        server("a", "a").tools(Toolset::default().deny([Glob::new("x")])),
    ];
    for other in others {
        assert_eq!(registry.reload([other]).unwrap().adjusted, ["a".into()]);
        assert_eq!(registry.reload([server("a", "a")]).unwrap().adjusted, ["a".into()]);
    }
    assert_eq!(registry.reload([server("a", "a")]).unwrap().unchanged, 1);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_finish_on_the_connection_that_was_replaced_or_removed() {
    let fleet = Fleet::default();
    let (registry, _driver) = start_with(&fleet, [server("a", "a")]);
    listed(&registry, "a").await;
    fleet.peer("a").set(Mode::Streaming);
    let running = join_all((0..1_000).map(|_| send(&registry, tool("echo")))).await;
    registry.reload([server("a", "a").weight(2).unwrap()]).unwrap();
    status(&registry, "a", Status::Stopped).await;
    registry.reload([]).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(registry.list().len(), 1, "the first waits for its calls, the second had none");
    fleet.peer("a").set(Mode::Up);
    for reply in running {
        reply.unwrap().outcome().await.expect("as if nothing were");
    }
    until(&registry, <[_]>::is_empty).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_worse_after_the_change_is_found_out_by_its_first_check() {
    let fleet = Fleet::default();
    let (registry, _driver) = start_with(&fleet, [server("a", "a")]);
    listed(&registry, "a").await;
    fleet.peer("b").set(Mode::Down);
    registry.reload([server("a", "a").weight(2).unwrap()]).unwrap();
    fleet.peer("a").set(Mode::Down);
    status(&registry, "a", Status::Error).await;
    fleet.peer("a").set(Mode::Up);
    status(&registry, "a", Status::Connected).await;
    assert_eq!(who(send(&registry, tool("echo")).await.unwrap()).await, "a");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_changes_nothing() {
    let fleet = Fleet::default();
    let (registry, _driver) = start_with(&fleet, [server("a", "a")]);
    registry.register(server("own", "own")).unwrap();
    let before = ids(&registry);
    let twice = registry.reload([server("b", "b"), server("b", "b")]);
    assert!(matches!(twice, Err(RegisterError::Duplicate(id)) if id.as_str() == "b"));
    assert!(matches!(registry.reload([server("own", "a")]), Err(RegisterError::Duplicate(_))));
    assert!(matches!(registry.reload([server("", "a")]), Err(RegisterError::Invalid(_))));
    assert_eq!(ids(&registry), before);
    registry.reload([]).unwrap();
    until(&registry, |list| list.len() == 1).await;
    assert!(entry(&registry, "own").is_some(), "registered at run time");
}
