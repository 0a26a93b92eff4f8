use super::{
    Freshness, Item, Kind, List, Listing,
    error::{Circle, NoList, Refused, Silent},
};
use crate::{
    BoxError, Call, Method, Reply, Revision,
    identity::Identity,
    json::{Json, Params, object::Edit},
    meta,
    reply::Outcome,
};
use std::{collections::HashSet, time::Duration};
use tower::{Service, ServiceExt};

/// On what terms a server is listed: who asks, how long for, and how much is taken.
///
/// What a server lists stays in memory as long as the server is registered, so a server that lists without end must
/// meet one.
///
/// ```
/// use tower_mcp_gateway::{catalog::Terms, json::Json};
///
/// let mut terms = Terms::new(Json::from_static(r#"{"name":"platform","version":"1.0.0"}"#));
/// terms.max_items = 500;
/// assert_eq!(terms.max_pages, Terms::default().max_pages);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Terms {
    /// The `clientInfo` of the calls.
    pub client_info: Json,
    /// The longest wait for one answer: 60 s, because a stdio server may still be downloading itself.
    pub timeout: Duration,
    /// The most pages of one list: 1000. Beyond it the server is making them up.
    pub max_pages: usize,
    /// The most items of one list: 100 000. They are all in memory, and in every client's answer.
    pub max_items: usize,
    /// Whether the server is reached over HTTP, where arguments may be repeated in headers: then tools whose
    /// `x-mcp-header` annotations are invalid are left out. Servers of the initialize era have no such annotations.
    pub http: bool,
    /// The most bytes of all pages of one list: 64 MiB. Few items can be as large as many.
    pub max_bytes: usize,
    /// Who asks, so that it does not list itself.
    pub(crate) gateway: Identity,
}

impl Terms {
    /// The usual terms, asked for by this `clientInfo`.
    pub fn new(client_info: Json) -> Self {
        let timeout = Duration::from_secs(60);
        let gateway = Identity::default();
        Self { client_info, timeout, max_pages: 1000, max_items: 100_000, max_bytes: 64 << 20, http: false, gateway }
    }

    /// Parameters of a call of the gateway's own, with the `_meta` every modern request has.
    pub(crate) fn params(&self, edits: &[Edit<'_>]) -> Params {
        let version = format!("\"{}\"", Revision::LATEST_MODERN);
        Params::empty().edit_shallow(edits).edit_meta(&[
            Edit::Set(meta::PROTOCOL_VERSION, version.as_bytes()),
            Edit::Set(meta::CLIENT_INFO, self.client_info.as_bytes()),
            Edit::Set(meta::CLIENT_CAPABILITIES, b"{}"),
        ])
    }
}

impl Default for Terms {
    /// Asked for by this crate.
    fn default() -> Self {
        Self::new(crate::upstream::Settings::default().client_info)
    }
}

/// Asks a server for everything it offers: `server/discover`, then each list it declares, to its last page.
///
/// A list that fails does not take the others with it: what `previous` has of it stands, with a warning, and it is
/// named in [`Listing::stale`] so that it is asked for again. What cannot
/// be used is left out with one warning for each list: items without a name or with one that is too long, which count
/// among those of `terms` all the same, and everything beyond the bounds of `terms` or after a cursor that came before.
///
/// Calls go out one after the other, without the limits and deadlines of client calls; each has its own from `terms`.
///
/// ```
/// use tower_mcp_gateway::{BoxError, Call, Reply, catalog::{fetch, Kind, Terms}, json::Json, reply::Outcome};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let server = tower::service_fn(|call: Call| async move {
///     let second = call.params.member("cursor").is_some();
///     Ok::<Reply, BoxError>(Outcome::Result(Json::from_static(match (call.method.as_str(), second) {
///         ("server/discover", _) => r#"{"capabilities":{"tools":{}}}"#,
///         (_, false) => r#"{"tools":[{"name":"a"}],"nextCursor":"more"}"#,
///         (_, true) => r#"{"tools":[{"name":"b"}]}"#,
///     })).into())
/// });
/// let listing = fetch(server, &Terms::default(), None).await?;
/// assert_eq!(listing.list(Kind::Tools).items.len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Circle`] if the server is the gateway that asks. If `server/discover` fails, and if the connection does: then nobody was there to ask, and the last good listing
/// should stand as a whole.
pub async fn fetch<S>(service: S, terms: &Terms, previous: Option<&Listing>) -> Result<Listing, BoxError>
where
    S: Service<Call, Response = Reply> + Clone,
    S::Error: Into<BoxError>,
{
    let asker = Asker { service, terms };
    let found = asker.ask(Method::DISCOVER, terms.params(&[])).await?;
    let identity = Identity::of(&found);
    if identity.as_ref().is_some_and(|identity| terms.gateway.is_in(identity)) {
        return Err(Circle(()).into());
    }
    let server_info = found.member(meta::META).and_then(|meta| meta.member(meta::SERVER_INFO));
    let mut listing = Listing {
        instructions: found.member("instructions").and_then(|text| text.read::<String>().ok()).map(Into::into),
        server_info: server_info.or_else(|| found.member("serverInfo")).map(|info| info.unshared()),
        freshness: Some(Freshness::of(&found)),
        capabilities: found.member("capabilities").map(|capabilities| capabilities.unshared()),
        revision: revision(&found),
        identity,
        ..Listing::default()
    };
    for kind in Kind::ALL {
        if !listing.has(kind.capability()) {
            continue;
        }
        let list = match asker.list(kind).await {
            Ok(list) => list,
            Err(error) if crate::error::is_connection(&*error) => return Err(error),
            // A server with resources need not have templates, and some say so with an error.
            Err(error) if is_no_method(&*error) => List::default(),
            Err(error) => {
                tracing::warn!(method = %kind.method(), error = %error, "a list could not be fetched; the last one stands");
                listing.stale.push(kind);
                previous.map(|listing| listing.list(kind).clone()).unwrap_or_default()
            }
        };
        listing.lists[kind as usize] = list;
    }
    Ok(if terms.http && is_modern(&listing) { listing.without_invalid_headers() } else { listing })
}

/// The revision a server is spoken to in; one that does not say so in its answer to `server/discover` is modern.
fn revision(found: &Json) -> Option<Revision> {
    let versions = found.member("supportedVersions").and_then(|versions| versions.read::<Vec<String>>().ok());
    let Some(versions) = versions else { return Some(Revision::LATEST_MODERN) };
    versions.iter().filter_map(|version| version.parse().ok()).max()
}

fn is_modern(listing: &Listing) -> bool {
    listing.revision.is_some_and(Revision::is_modern)
}

fn is_no_method(error: &(dyn std::error::Error + 'static)) -> bool {
    crate::error::find::<Refused>(error).is_some_and(|refused| refused.code == -32601)
}

struct Asker<'a, S> {
    service: S,
    terms: &'a Terms,
}

impl<S> Asker<'_, S>
where
    S: Service<Call, Response = Reply> + Clone,
    S::Error: Into<BoxError>,
{
    async fn ask(&self, method: Method, params: Params) -> Result<Json, BoxError> {
        let limit = self.terms.timeout;
        let call = Call::new(method.clone(), params);
        let answer = async { self.service.clone().oneshot(call).await.map_err(Into::into)?.outcome().await };
        match tokio::time::timeout(limit, answer).await {
            Err(_) => Err(Silent { method, limit }.into()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Outcome::Result(result))) => Ok(result),
            Ok(Ok(outcome)) => Err(Refused { method, code: outcome.error_code().unwrap_or(0) }.into()),
        }
    }

    async fn list(&self, kind: Kind) -> Result<List, BoxError> {
        let mut taken = Taken::default();
        self.pages(kind, &mut taken).await?;
        if let Some(fault) = taken.fault {
            tracing::warn!(method = %kind.method(), left_out = taken.left_out, "items are left out; the first has {fault}");
        }
        Ok(taken.list)
    }

    /// Takes one page after the other, to the last.
    async fn pages(&self, kind: Kind, taken: &mut Taken) -> Result<(), BoxError> {
        let mut cursors = HashSet::new();
        let mut cursor: Option<Json> = None;
        let mut bytes = 0;
        for page in 0..self.terms.max_pages {
            let edit = cursor.as_ref().map(|cursor| Edit::Set("cursor", cursor.as_bytes()));
            // What is kept of a page must not keep the rest of its message, which is not counted.
            let result = self.ask(kind.method(), self.terms.params(edit.as_slice())).await?.unshared();
            bytes += result.as_bytes().len();
            if bytes > self.terms.max_bytes {
                tracing::warn!(method = %kind.method(), page, bytes, "the list is larger than is taken; it ends here");
                return Ok(());
            }
            let (freshness, list) = (Freshness::of(&result), &mut taken.list);
            list.freshness = Some(list.freshness.map_or(freshness, |so_far| so_far.and(freshness)));
            if !self.take(kind, &result, taken)? {
                return Ok(());
            }
            // The empty string is a cursor like any other.
            let Some(next) = result.member("nextCursor").filter(|next| next.as_str() != "null") else {
                return Ok(());
            };
            if !cursors.insert(next.as_bytes().clone()) {
                tracing::warn!(method = %kind.method(), page, "the pages go in a circle; the list ends here");
                return Ok(());
            }
            cursor = Some(next);
        }
        tracing::warn!(method = %kind.method(), pages = self.terms.max_pages, "the list has more pages than are taken");
        Ok(())
    }

    /// Takes the items of one page; `false` once there are as many as are taken.
    fn take(&self, kind: Kind, result: &Json, taken: &mut Taken) -> Result<bool, BoxError> {
        let array = result.member(kind.member()).ok_or(NoList { method: kind.method() })?;
        for item in array.elements().ok_or(NoList { method: kind.method() })? {
            if taken.list.items.len() + taken.left_out == self.terms.max_items {
                let items = self.terms.max_items;
                tracing::warn!(method = %kind.method(), items, "the list has more items than are taken");
                return Ok(false);
            }
            match Item::read(kind, item) {
                Ok(item) => taken.list.items.push(item),
                Err(fault) => {
                    taken.left_out += 1;
                    taken.fault.get_or_insert(fault);
                }
            }
        }
        Ok(true)
    }
}

/// What has been taken of a list so far.
#[derive(Default)]
struct Taken {
    list: List,
    /// How many items could not be used: told in one line, because their number is the server's choice.
    left_out: usize,
    /// Why the first of them could not.
    fault: Option<&'static str>,
}
