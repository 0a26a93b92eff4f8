use super::future::ResponseFuture;
use crate::{
    BoxError, Call, Method, Reply,
    error::Problem,
    reply::Outcome,
    route::{Pool, Table, Tables, View},
};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// Answers `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list` and `server/discover`; everything
/// else goes on.
///
/// No list is ever behind a slow server, and none is made per call: all clients share the bytes of the table. Each
/// list is one page, which "server/utilities/pagination" allows, and which gives all of it one `ttlMs` and one
/// `cacheScope` as "server/utilities/caching" demands. Until the table is [settled](crate::route::Versions::settled) lists wait, because a client that
/// asks once and is told "nothing" may never ask again.
///
/// It forwards readiness, so it stands outside the layers that shed and limit calls: a gateway that is full of calls
/// still says what it has.
///
/// # Errors
///
/// −32602 for a cursor: no list gives one out. Otherwise what the inner service fails with.
pub struct Catalog<S, P = Pool> {
    inner: S,
    tables: Arc<Tables<Table<P>>>,
}

impl<S, P> Catalog<S, P> {
    /// Answers from `tables`, and asks `inner` everything else.
    pub const fn new(inner: S, tables: Arc<Tables<Table<P>>>) -> Self {
        Self { inner, tables }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

/// What the current table says to `method`, in the words of the client's era.
fn answer<P>(tables: &Tables<Table<P>>, method: &Method, early: bool) -> Option<Reply> {
    let table = tables.load();
    let result = if early { table.rendered().early_result(method) } else { table.rendered().result(method) };
    result.map(|result| Outcome::Result(result.clone()).into())
}

impl<S, P> Service<Call> for Catalog<S, P>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
    P: Send + Sync + 'static,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> ResponseFuture<S::Future> {
        // Only clients that open with `initialize` have a session.
        let early = call.session.is_some();
        let tables = View::of(&call.extensions, &self.tables);
        let Some(reply) = answer(tables, &call.method, early) else {
            return ResponseFuture::inner(self.inner.call(call));
        };
        if call.params.has_cursor() {
            let problem = Problem::rpc(200, -32602, "invalid params: unknown cursor");
            return ResponseFuture::ready(Err(problem.into()));
        }
        if tables.is_settled() {
            // The table may have been settled after the answer was taken from the one before.
            return ResponseFuture::ready(Ok(answer(tables, &call.method, early).unwrap_or(reply)));
        }
        let tables = tables.clone();
        ResponseFuture::waiting(async move {
            tables.settled().await;
            Ok(answer(&tables, &call.method, early).unwrap_or(reply))
        })
    }
}

impl<S: Clone, P> Clone for Catalog<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), tables: self.tables.clone() }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Catalog<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("inner", &self.inner).finish_non_exhaustive()
    }
}
