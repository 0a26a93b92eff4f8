use super::{
    OAuth,
    error::{Failed, SignedOut},
    registration::Client,
    store::{Grant, Store, now},
    web,
};
use crate::{BoxError, upstream::error::Connect};
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::task::TaskTracker;

/// The shortest time between two renewals because of a refusal: a server that refuses what it was just given refuses the
/// next as well, and the authorization server must not be asked at every call.
const PAUSE: Duration = Duration::from_secs(10);

/// What the token endpoint gave.
pub(super) struct Told {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) lifetime: Option<u64>,
}

impl Told {
    /// When it ends.
    pub(super) fn expires(&self) -> Option<u64> {
        self.lifetime.map(|left| now().saturating_add(left))
    }
}

/// The tokens of one server, renewed by one call for all that wait; clones are the same.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Inner>);

struct Inner {
    server: String,
    store: Store,
    current: ArcSwapOption<Current>,
    turn: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// A grant with the header it makes.
struct Current {
    grant: Grant,
    header: HeaderValue,
    /// When it was renewed, if it was in this process.
    renewed: Option<Instant>,
}

impl Tokens {
    /// Those that are kept for the server with this id at `url`, the address they are sent to. Renewals run in `tasks`.
    pub(crate) fn new(settings: &OAuth, id: &str, url: &str, tasks: TaskTracker) -> Self {
        let (server, store, current) = (id.to_owned(), Store::new(settings, id, url), ArcSwapOption::empty());
        Self(Arc::new(Inner { server, store, current, turn: Arc::new(Semaphore::new(1)), tasks }))
    }

    /// The header that lets a request in.
    ///
    /// # Errors
    ///
    /// [`Connect`] over [`SignedOut`] if somebody must sign in first.
    pub(crate) async fn header(&self) -> Result<HeaderValue, BoxError> {
        let current = self.0.current.load();
        match &*current {
            Some(current) if current.grant.is_fresh() => Ok(current.header.clone()),
            _ => self.renewed(None).await,
        }
    }

    /// Another header than `refused`, which the server did not take.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub(crate) async fn instead_of(&self, refused: &HeaderValue) -> Result<HeaderValue, BoxError> {
        self.renewed(Some(refused.clone())).await
    }

    /// Renews in a task of its own: an authorization server gives each refresh token once, so a caller that leaves must
    /// not take the answer with it.
    async fn renewed(&self, refused: Option<HeaderValue>) -> Result<HeaderValue, BoxError> {
        let inner = self.0.clone();
        let renewed = self.0.tasks.spawn(async move {
            let _turn = inner.turn.clone().acquire_owned().await;
            inner.renew(refused.as_ref()).await
        });
        match renewed.await {
            Ok(Some(header)) => Ok(header),
            _ => Err(Connect(SignedOut { server: self.0.server.clone() }.into()).into()),
        }
    }
}

impl Inner {
    async fn renew(&self, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let fits = |current: &Current| refused != Some(&current.header) && current.grant.is_fresh();
        // Another call, or another process, may have been first; or somebody has just signed in.
        if let Some(current) = &*self.current.load()
            && fits(current)
        {
            return Some(current.header.clone());
        }
        if let Some(current) = &*self.current.load()
            && refused == Some(&current.header)
            && current.renewed.is_some_and(|renewed| renewed.elapsed() < PAUSE)
        {
            return None;
        }
        let current = self.take(self.store.load().ok().flatten()?, None)?;
        if fits(&current) {
            return Some(current.header.clone());
        }
        // Of all gateways that share the tokens one renews them: a refresh token that is used twice may be taken for stolen
        // (RFC 9700, 4.14.2), and then none is good any more.
        let _held = self.store.hold().await.inspect_err(|error| tracing::warn!(server = %self.server, %error)).ok()?;
        let current = self.take(self.store.load().ok().flatten()?, None)?;
        if fits(&current) {
            return Some(current.header.clone());
        }
        match self.refresh(&current.grant).await {
            Ok(grant) => {
                if let Err(error) = self.store.save(&grant) {
                    tracing::warn!(server = %self.server, %error, "the renewed tokens cannot be kept");
                }
                Some(self.take(grant, Some(Instant::now()))?.header.clone())
            }
            Err(error) => {
                tracing::warn!(server = %self.server, %error, "the tokens cannot be renewed");
                // A process that shares them may have used the refresh token first.
                let other = self.take(self.store.load().ok().flatten()?, None)?;
                if fits(&other) {
                    return Some(other.header.clone());
                }
                // Not yet at its end, and not refused: as good as ever.
                let left = other.grant.left().is_none_or(|left| left > 0);
                (refused != Some(&other.header) && left).then(|| other.header.clone())
            }
        }
    }

    fn take(&self, grant: Grant, renewed: Option<Instant>) -> Option<Arc<Current>> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", grant.access_token)).ok()?;
        header.set_sensitive(true);
        let current = Arc::new(Current { grant, header, renewed });
        self.current.store(Some(current.clone()));
        Some(current)
    }

    async fn refresh(&self, grant: &Grant) -> Result<Grant, Failed> {
        let token = grant.refresh_token.as_deref().ok_or_else(|| Failed::refused("there is no refresh token"))?;
        let form = vec![("grant_type", "refresh_token"), ("refresh_token", token), ("resource", &grant.resource)];
        let told = ask(&grant.token_endpoint, &grant.client, form).await?;
        Ok(Grant {
            expires: told.expires(),
            lifetime: told.lifetime,
            access_token: told.access_token,
            refresh_token: told.refresh_token.or_else(|| grant.refresh_token.clone()),
            ..grant.clone()
        })
    }
}

/// Asks a token endpoint.
pub(super) async fn ask<'a>(
    endpoint: &str,
    client: &'a Client,
    mut form: Vec<(&'a str, &'a str)>,
) -> Result<Told, Failed> {
    let headers = client.sign(&mut form);
    let answer = web::post("the authorization server", endpoint, &headers, web::form(&form)).await?;
    let text = |member: &str| answer.body.get(member).and_then(Value::as_str).map(str::to_owned);
    if !answer.status.is_success() {
        let why = text("error_description").or_else(|| text("error")).unwrap_or_else(|| answer.status.to_string());
        return Err(Failed::Denied(why));
    }
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Failed::refused("the authorization server gave a token that is no bearer token"));
    }
    let access_token = text("access_token");
    let access_token = access_token.ok_or_else(|| Failed::refused("the authorization server gave no token"))?;
    let lifetime = answer.body.get("expires_in").and_then(Value::as_u64);
    Ok(Told { access_token, refresh_token: text("refresh_token"), lifetime })
}
