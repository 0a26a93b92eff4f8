//! What answers leave behind, taken down once they are written.
//!
//! To give back what a call was made of costs a tenth of its answer's way, and nobody waits for it but the client, if it comes
//! before the write. Only memory is left for later: permits, places and counts are given back when the answer is there, because a
//! client that has it may ask for the next at once, over another connection.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
};

/// So much is left at most. A turn can answer many requests that came together; what is beyond them goes at once.
const MOST: usize = 64;

/// Anything that is in a box.
pub(crate) trait Spent: Send {}

impl<T: Send + ?Sized> Spent for T {}

type Left = Vec<Pin<Box<dyn Spent>>>;

thread_local! {
    static LEAVES: Cell<bool> = const { Cell::new(false) };
    static LEFT: RefCell<Left> = const { RefCell::new(Vec::new()) };
}

/// Drops what is spent when the poll ends that answers within [`during`], at once elsewhere.
pub(crate) fn later(spent: Pin<Box<dyn Spent>>) {
    if LEAVES.get() {
        let beyond = LEFT.with_borrow_mut(|left| {
            if left.len() >= MOST {
                return Some(spent);
            }
            left.push(spent);
            None
        });
        // Not before: it may leave something in its turn.
        drop(beyond);
    }
}

/// Polls what answers and writes, and then drops what was spent for it.
#[cfg(feature = "cli")]
pub(crate) fn during<T>(poll: impl FnOnce() -> T) -> T {
    if LEAVES.replace(true) {
        return poll();
    }
    let _leaving = Leaving;
    poll()
}

/// Takes down what is left, also where a poll panics.
#[cfg(feature = "cli")]
struct Leaving;

#[cfg(feature = "cli")]
impl Drop for Leaving {
    fn drop(&mut self) {
        LEAVES.set(false);
        // Most polls leave nothing.
        if LEFT.with_borrow(Vec::is_empty) {
            return;
        }
        // Taken out first: what is dropped may leave something in its turn, which goes at once.
        let mut left = LEFT.take();
        left.clear();
        LEFT.set(left);
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::{BoxError, Call, Method, Reply, edge::EdgeLayer, json::Json, limit::LimitLayer, reply::Outcome};
    use futures_util::FutureExt;
    use http::{Request, Response, StatusCode};
    use http_body_util::Full;
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };
    use tower::{Layer, Service, service_fn};

    /// Counts itself when it is dropped, and leaves the next.
    struct Counted(Arc<AtomicUsize>, Option<Box<Counted>>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1.take().into_iter().for_each(|next| later(Box::into_pin(next)));
        }
    }

    fn count() -> (Arc<AtomicUsize>, impl Fn(), impl Fn() -> usize) {
        let counted = Arc::new(AtomicUsize::new(0));
        let (one, all) = (counted.clone(), counted.clone());
        (counted, move || later(Box::pin(Counted(one.clone(), None))), move || all.load(Ordering::Relaxed))
    }

    #[test]
    fn what_is_spent_goes_at_the_end_of_the_poll_and_at_once_elsewhere() {
        let (_, one, gone) = count();
        one();
        assert_eq!(gone(), 1);
        during(|| {
            one();
            during(&one);
            assert_eq!(gone(), 1, "the one within does not end it");
        });
        assert_eq!(gone(), 3);
        assert!(
            catch_unwind(AssertUnwindSafe(|| during(|| {
                one();
                panic!("in the poll")
            })))
            .is_err()
        );
        assert_eq!(gone(), 4);
        one();
        assert_eq!(gone(), 5);
    }

    #[test]
    fn no_more_is_kept_than_may_be_and_what_is_left_behind_goes_too() {
        let (counted, one, gone) = count();
        during(|| {
            (0..MOST + 3).for_each(|_| one());
            assert_eq!(gone(), 3);
            let two = Counted(counted.clone(), Some(Box::new(Counted(counted.clone(), None))));
            later(Box::pin(two));
            assert_eq!(gone(), 5);
        });
        assert_eq!(gone(), MOST + 5);
        during(|| later(Box::pin(Counted(counted.clone(), Some(Box::new(Counted(counted.clone(), None)))))));
        assert_eq!(gone(), MOST + 7);
    }

    fn post(session: Option<&str>, id: u32, method: &str, params: &str) -> Request<Full<bytes::Bytes>> {
        let request = Request::post("/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        session.into_iter().fold(request, |request, id| request.header("mcp-session-id", id)).body(body.into()).unwrap()
    }

    async fn answer(call: Call) -> Result<Reply, BoxError> {
        let discovered = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,
            "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"g","version":"2"}}}"#;
        let result = if call.method == Method::DISCOVER { discovered } else { r#"{"content":[]}"# };
        Ok(Reply::single(Outcome::Result(Json::from_static(result))))
    }

    /// What others may need is free when the answer is there, before it is written: the next request may be quick.
    #[tokio::test]
    async fn permits_and_ids_are_free_before_what_they_were_for_is_taken_down() {
        let limit = LimitLayer::new(1).layer(service_fn(answer));
        let mut edge = EdgeLayer::new().layer(limit.clone());
        let opening = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}"#;
        let mut ask = |request| -> Response<_> { edge.call(request).now_or_never().unwrap().unwrap() };
        let opened = ask(post(None, 0, "initialize", opening));
        let session = opened.headers()["mcp-session-id"].to_str().unwrap();
        during(|| {
            for _ in 0..3 {
                let answered = ask(post(Some(session), 1, "tools/call", r#"{"name":"a"}"#));
                assert_eq!(answered.status(), StatusCode::OK);
                assert!(!LEFT.with_borrow(Vec::is_empty), "its memory is still there");
                assert_eq!(limit.available(), 1);
            }
        });
        assert!(LEFT.with_borrow(Vec::is_empty));
    }
}
