use crate::calls::{Item, call, note, part, single, streaming};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply,
    balance::{
        Tried,
        error::{Failed, NoEndpoint},
    },
    error::find,
    json::Params,
    retry::{self, Marks},
    upstream::error::{Closed, Connect, Protocol, Status},
};

fn tool(name: &str) -> Call {
    Call::new(Method::TOOLS_CALL, Params::from_value(&json!({"name": name})).unwrap())
}

fn marks() -> Marks {
    let marks = Marks::default();
    marks.set(["read"]);
    marks
}

type Answer = fn(usize) -> Result<Reply, BoxError>;

fn cut() -> BoxError {
    Failed { endpoint: "e".into(), source: Closed { sent: true }.into(), vacancy: None, turn: None }.into()
}

/// How often `call` arrives where each attempt is answered so.
async fn arrivals(call: Call, answer: Answer) -> (usize, Result<Reply, BoxError>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = service_fn(move |_: Call| {
        let attempt = counted.fetch_add(1, Ordering::Relaxed);
        async move { answer(attempt) }
    });
    let reply = retry::idempotent(marks()).layer(server).oneshot(call).await;
    (calls.load(Ordering::Relaxed), reply)
}

#[tokio::test]
async fn a_marked_tool_is_called_twice_at_most() {
    let (calls, reply) = arrivals(tool("read"), |_| Err(cut())).await;
    assert_eq!((calls, reply.is_err()), (2, true));
    let (calls, reply) = arrivals(tool("read"), |attempt| if attempt == 0 { Err(cut()) } else { Ok(single()) }).await;
    assert_eq!((calls, reply.is_ok()), (2, true));
    let busy: Answer = |_| Err(Status(http::StatusCode::SERVICE_UNAVAILABLE).into());
    assert_eq!(arrivals(tool("read"), busy).await.0, 2);
}

#[tokio::test]
async fn nothing_else_is_repeated() {
    assert_eq!(arrivals(tool("write"), |_| Err(cut())).await.0, 1, "it is not marked");
    assert_eq!(arrivals(call(), |_| Err(cut())).await.0, 1, "it is no call of a tool");
    let mut pinned = tool("read");
    pinned.pin = Some("e".into());
    assert_eq!(arrivals(pinned, |_| Err(cut())).await.0, 1, "it goes on with an earlier one");
    assert_eq!(arrivals(tool("read"), |_| Err(Protocol("odd".into()).into())).await.0, 1, "it was answered");
    let refused: Answer = |_| Err(Status(http::StatusCode::INTERNAL_SERVER_ERROR).into());
    assert_eq!(arrivals(tool("read"), refused).await.0, 1, "it would be refused again");
    let seen: [Answer; 2] = [|_| Ok(cut_after(note())), |_| Ok(cut_after(part()))];
    for answer in seen {
        let (calls, reply) = arrivals(tool("read"), answer).await;
        assert_eq!((calls, reply.unwrap().outcome().await.is_err()), (1, true), "an event was seen");
    }
}

/// A reply that is cut behind its first event.
fn cut_after(first: Item) -> Reply {
    let (events, reply) = streaming();
    events.send(first).unwrap();
    events.send(Err(cut())).unwrap();
    reply
}

#[tokio::test]
async fn attempts_that_were_never_sent_do_not_take_the_place_of_the_repeat() {
    let (calls, _) = arrivals(tool("read"), |attempt| match attempt {
        0 => {
            Err(Failed { endpoint: "a".into(), source: Connect("refused".into()).into(), vacancy: None, turn: None }
                .into())
        }
        _ => Err(cut()),
    })
    .await;
    assert_eq!(calls, 3, "one that was never sent, and two that were");
}

#[tokio::test]
async fn the_repeat_avoids_the_endpoint_that_failed() {
    let server = service_fn(|call: Call| async move {
        match Tried::of(&call) {
            [] => Err(cut()),
            tried => {
                assert_eq!(tried, ["e".into()]);
                Ok(single())
            }
        }
    });
    assert!(retry::idempotent(marks()).layer(server).oneshot(tool("read")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn where_its_server_was_the_last_the_repeat_waits_for_it_and_fails_as_the_call_did() {
    let gone = || BoxError::from(NoEndpoint { server: "s".into() });
    let back = |attempt: usize| match attempt {
        0 => Err(cut()),
        1 => Err(NoEndpoint { server: "s".into() }.into()),
        _ => Ok(single()),
    };
    let begun = tokio::time::Instant::now();
    assert!(arrivals(tool("read"), back).await.1.is_ok());
    assert!(begun.elapsed().as_millis() >= 100, "its connection is made anew meanwhile");
    let away: Answer = |attempt| if attempt == 0 { Err(cut()) } else { Err(NoEndpoint { server: "s".into() }.into()) };
    let error = arrivals(tool("read"), away).await.1.unwrap_err();
    assert!(find::<Closed>(&*error).is_some(), "{error}, not {}", gone());
}

#[tokio::test(start_paused = true)]
async fn repeats_are_a_tenth_of_the_calls_and_one_each_second() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = service_fn(move |_: Call| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err::<Reply, _>(cut()) }
    });
    let mut service = retry::idempotent(marks()).layer(server);
    for _ in 0..1000 {
        let _ = service.ready().await.unwrap().call(tool("read")).await;
    }
    let repeats = calls.load(Ordering::Relaxed) - 1000;
    assert!((100..=111).contains(&repeats), "{repeats}");
}
