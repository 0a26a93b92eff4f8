use super::*;
use tokio_test::{assert_pending, assert_ready, task};

fn unlisted(name: &str) -> (Part<Pool>, Handle<Call, Reply>) {
    let (pool, handle) = mock::pair();
    (Part::new(name, pool).unlisted(format!("{name}-1")), handle)
}

fn wanted() -> Call {
    call(Method::TOOLS_CALL, r#"{"name":"x"}"#)
}

fn merged(parts: &[Part<Pool>]) -> Table<Pool> {
    Merge::new("gw", "1").table(parts, None)
}

#[tokio::test]
async fn a_name_nobody_lists_yet_waits_until_somebody_does() {
    let ((a, _at_a), (b, _at_b)) = (unlisted("a"), unlisted("b"));
    let tables = Tables::new(merged(&[a, b.clone()]));
    let mut pending = task::spawn(Route::new(tables.clone()).oneshot(wanted()));
    assert_pending!(pending.poll());

    let (a, mut at_a) = server("a", tools(r#"[{"name":"x"}]"#));
    tables.replace(merged(&[a, b]), false);
    assert!(pending.is_woken());
    at_a.allow(1);
    assert_pending!(pending.poll());
    let (asked, respond) = at_a.next_request().await.unwrap();
    assert_eq!(asked.providers.unwrap().endpoints()[0].as_str(), "a-1");
    respond.send_response(Outcome::Accepted.into());
    assert!(assert_ready!(pending.poll()).is_ok(), "although one behind it is not listed yet");
}

#[tokio::test]
async fn a_name_waits_for_a_server_with_the_first_claim_to_it_until_that_is_listed_or_its_time_is_up() {
    for takes in [true, false] {
        let ((a, _at_a), (b, mut at_b)) = (unlisted("a"), server("b", tools(r#"[{"name":"x"}]"#)));
        let tables = Tables::new(merged(&[a.clone(), b.clone()]));
        let mut pending = task::spawn(Route::new(tables.clone()).oneshot(wanted()));
        assert_pending!(pending.poll());
        let (listed, mut at_a) = server("a", tools(r#"[{"name":"x"}]"#));
        match takes {
            true => tables.replace(merged(&[listed, b]), false),
            false => tables.replace(merged(&[a, b]), true),
        }
        assert!(pending.is_woken());
        let addressee = if takes { &mut at_a } else { &mut at_b };
        addressee.allow(1);
        assert_pending!(pending.poll());
        let (_, respond) = addressee.next_request().await.unwrap();
        respond.send_response(Outcome::Accepted.into());
        assert!(assert_ready!(pending.poll()).is_ok());
    }
}

#[tokio::test]
async fn once_settled_it_is_refused_for_now_while_a_server_was_never_listed() {
    let ((a, _at_a), (b, _at_b)) = (server("a", tools("[]")), unlisted("b"));
    let tables = Tables::new(merged(&[a.clone(), b.clone()]));
    let route = Route::new(tables.clone());
    let mut pending = task::spawn(route.clone().oneshot(wanted()));
    assert_pending!(pending.poll());
    tables.replace(merged(&[a.clone(), b]), true);
    let problem = explain(&*assert_ready!(pending.poll()).unwrap_err());
    assert_eq!((problem.status.as_u16(), problem.code), (503, 503));
    assert!(problem.retry_after.is_some());
    let data = problem.data.unwrap();
    assert_eq!(data.as_str(), r#"{"reason":"not_listed","server":"b","source":"gateway"}"#);

    let (b, _at_b) = server("b", tools("[]"));
    tables.replace(merged(&[a, b]), true);
    assert_eq!(refused(&route, wanted()).await.code, -32602);
}

#[tokio::test]
async fn what_is_listed_waits_for_nobody() {
    let ((a, mut at_a), (b, _at_b)) = (server("a", tools(r#"[{"name":"x"}]"#)), unlisted("b"));
    let route = Route::new(Tables::new(merged(&[a, b])));
    let (asked, _) = exchange(&route, wanted(), &mut at_a, Outcome::Accepted).await;
    assert_eq!(asked.params.name().unwrap(), "x");
}

#[test]
fn a_thousand_waiters_are_all_answered_and_none_outlives_its_caller() {
    let ((a, _at_a), (b, _at_b)) = (unlisted("a"), unlisted("b"));
    let tables = Tables::new(merged(&[a, b]));
    let mut waiting: Vec<_> = (0..1000).map(|_| task::spawn(Route::new(tables.clone()).oneshot(wanted()))).collect();
    for pending in &mut waiting {
        assert_pending!(pending.poll());
    }
    waiting.truncate(500);
    assert_eq!(Arc::strong_count(&tables), 501, "a dropped call holds nothing");
    tables.settle();
    for pending in &mut waiting {
        assert!(assert_ready!(pending.poll()).is_err());
    }
}
