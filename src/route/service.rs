use super::{
    Allowance, Backend, Pool, Table, Tables, Target, View, allowance::Entry, complete, error, error::Unknown,
    future::ResponseFuture, read,
};
use crate::{BoxError, Call, Method, Reply, catalog::Kind, reply::Outcome};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Service, ServiceExt};

/// Sends each call to the pool of a server that lists what it names.
///
/// It is always ready, and the pool is awaited in the response future. A router that waited for all its pools, as
/// `tower::steer` does, would let one dead server stall the calls of all the others.
///
/// A call goes out with the [`Providers`](crate::Providers) of what it names, from which the pool picks, and under the
/// name the server itself uses; nothing else of it is touched. A clone is the same router: there is nothing to keep
/// per caller.
///
/// Notifications of clients are accepted, and go to no server.
///
/// # Errors
///
/// [`Unknown`] and [`Problem`](crate::error::Problem)s of its own, beside what the pool fails with. −32020 (HTTP 400) for
/// a call whose `Mcp-Param-*` headers and arguments differ where the tool's schema has an `x-mcp-header`: an
/// intermediary has already acted on the header.
pub struct Route<S = Pool> {
    tables: Arc<Tables<Table<S>>>,
}

impl<S> Route<S> {
    /// Routes by the current one of `tables`.
    pub const fn new(tables: Arc<Tables<Table<S>>>) -> Self {
        Self { tables }
    }
}

impl<S> Service<Call> for Route<S>
where
    S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<S>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> ResponseFuture<S> {
        let view = call.extensions.get::<View<S>>().map(|view| view.tables().clone());
        let tables = view.as_ref().unwrap_or(&self.tables);
        let found = find(&tables.load(), call, false);
        match found {
            Found::One(target, call) => match target.admit(&call) {
                Ok(Entry::Now(slot)) => ResponseFuture::pool(target.backend().pool().clone().oneshot(call), slot),
                Ok(turn) => ResponseFuture::boxed(enter(turn, target, call)),
                Err(refused) => ResponseFuture::ready(Err(refused)),
            },
            Found::Several(targets, call) => ResponseFuture::boxed(read::first_that_has_it(targets, call)),
            Found::Answer(answer) => ResponseFuture::ready(answer),
            Found::Early(call) | Found::Nobody(call, _) => ResponseFuture::boxed(once_listed(tables.clone(), call)),
        }
    }
}

/// Where a call goes.
pub(super) enum Found<S> {
    /// To this pool, addressed already.
    One(Target<S>, Call),
    /// To the first of these that has the resource.
    Several(Vec<Target<S>>, Call),
    /// Nowhere: this is the answer.
    Answer(Result<Reply, BoxError>),
    /// To somebody, unless a server before it in the configuration, which was not listed yet, has it as well.
    Early(Call),
    /// Nobody lists it; gives the call back.
    Nobody(Call, Unknown),
}

impl<S> Found<S> {
    fn one(target: Target<S>, call: Call) -> Self {
        let call = target.address(call);
        Found::One(target, call)
    }

    pub(super) fn refuse(problem: impl Into<BoxError>) -> Self {
        Found::Answer(Err(problem.into()))
    }
}

/// `settled` says whether every server had its chance to be listed, so that nothing is to be waited for.
fn find<S>(table: &Table<S>, call: Call, settled: bool) -> Found<S> {
    // Servers are told of none: what clients of earlier revisions say of their roots is declared at no server, and all else
    // concerns the hop to the client.
    if call.method.is_notification() {
        return Found::Answer(Ok(Reply::single(Outcome::Accepted)));
    }
    if call.method == Method::TOOLS_CALL {
        by_name(table, Kind::Tools, call, settled)
    } else if call.method == Method::PROMPTS_GET {
        by_name(table, Kind::Prompts, call, settled)
    } else if call.method == Method::RESOURCES_READ {
        by_uri(table, call)
    } else if call.method == Method::COMPLETE {
        complete::find(table, call)
    } else {
        Found::refuse(error::no_method(&call.method))
    }
}

fn by_name<S>(table: &Table<S>, kind: Kind, call: Call, settled: bool) -> Found<S> {
    let Some(name) = call.params.name() else {
        return Found::refuse(error::no_name("name"));
    };
    let named = if kind == Kind::Tools { table.tool(&name) } else { table.prompt(&name) };
    if !settled && named.is_some_and(|target| table.may_be_of_another(target, &name)) {
        return Found::Early(call);
    }
    match named.cloned().or_else(|| unlisted_target(table, kind, &name)) {
        Some(target) => match target.check(&call) {
            Ok(()) => Found::one(target, call),
            Err(problem) => Found::refuse(problem),
        },
        None => {
            let name = Box::from(&*name);
            Found::Nobody(call, Unknown { kind: kind.word(), name })
        }
    }
}

/// Sends a call to the pool of its target once it is its turn.
pub(super) async fn enter<S>(entry: Entry, target: Target<S>, call: Call) -> Result<Reply, BoxError>
where
    S: Service<Call, Response = Reply> + Clone,
    S::Error: Into<BoxError>,
{
    let slot = entry.wait().await?;
    let reply = target.backend().pool().clone().oneshot(call).await.map_err(Into::into)?;
    Ok(match slot {
        Some(slot) => reply.hold(slot),
        None => reply,
    })
}

/// Where a name goes that nobody lists: see the [module](super#names-nobody-lists). The server is asked under the name
/// without its prefix if the client used one.
pub(super) fn unlisted_target<S>(table: &Table<S>, kind: Kind, name: &str) -> Option<Target<S>> {
    if table.hides(kind, name) {
        return None;
    }
    let named: Vec<_> = table.backends().iter().filter_map(|b| Some((b, b.unqualified(name)?))).collect();
    if named.is_empty() {
        let backend = table.unlisted_of(kind).filter(|backend| backend.may_have(kind, name));
        return backend.map(|backend| unlisted_at(backend, kind, name));
    }
    // Two prefixes of which one begins with the other make some names ambiguous; those are nobody's.
    let mut able =
        named.into_iter().filter(|(backend, _)| table.is_only(backend) || backend.abilities().could_have(kind));
    let (backend, bare) = able.next().filter(|_| able.next().is_none())?;
    if !backend.may_have(kind, bare) {
        return None;
    }
    Some(unlisted_at(backend, kind, bare).upstream(bare))
}

/// A name that a server does not list, with as long a silence as the operator gives it.
fn unlisted_at<S>(backend: &Arc<Backend<S>>, kind: Kind, name: &str) -> Target<S> {
    let target = Target::new(backend.clone());
    let settings = if kind == Kind::Tools { backend.toolset().of(name) } else { None };
    match settings {
        Some(settings) => target.allowance(Allowance::of_tool(&settings, backend.allowance(), None)),
        None => target,
    }
}

#[inline(never)]
fn by_uri<S>(table: &Table<S>, call: Call) -> Found<S> {
    let Some(uri) = call.params.uri() else {
        return Found::refuse(error::no_name("uri"));
    };
    let mut targets: Vec<Target<S>> = table.resource(&uri).into_iter().cloned().collect();
    if targets.is_empty() {
        targets.extend(table.unlisted_of(Kind::Resources).cloned().map(Target::new));
    }
    match targets.pop() {
        None => {
            let name = Box::from(&*uri);
            Found::Nobody(call, Unknown { kind: "resource", name })
        }
        Some(target) if targets.is_empty() => Found::one(target, call),
        Some(last) => {
            targets.push(last);
            Found::Several(targets, call)
        }
    }
}

/// Looks again whenever more is listed, until every server had its chance at start.
async fn once_listed<S>(tables: Arc<Tables<Table<S>>>, mut call: Call) -> Result<Reply, BoxError>
where
    S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let mut versions = tables.versions();
    loop {
        // Read before the table: a settled version is told after the table it speaks of is in place.
        let settled = versions.borrow_and_update().settled;
        let table = tables.load_full();
        match find(&table, call, settled) {
            Found::One(target, call) => {
                return enter(target.admit(&call)?, target, call).await;
            }
            Found::Several(targets, call) => return read::first_that_has_it(targets, call).await,
            Found::Answer(answer) => return answer,
            Found::Nobody(back, unknown) if settled => return Err(refusal(&table, &back, unknown)),
            Found::Early(back) | Found::Nobody(back, _) => call = back,
        }
        drop(table);
        if versions.changed().await.is_err() {
            return Err(error::no_method(&call.method).into());
        }
    }
}

fn refusal<S>(table: &Table<S>, call: &Call, unknown: Unknown) -> BoxError {
    if let Some(server) = table.unlisted().first() {
        return unknown.not_listed(server).into();
    }
    if call.method == Method::COMPLETE && !table.completes() {
        return error::no_method(&call.method).into();
    }
    unknown.into()
}

impl<S> Clone for Route<S> {
    fn clone(&self) -> Self {
        Self { tables: self.tables.clone() }
    }
}

impl<S> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("table", &*self.tables.load()).finish()
    }
}
