use super::{
    OAuth,
    endpoint::ask,
    error::Failed,
    setback::{PAUSE, Setback, Unready},
    store::{Grant, Store},
};
use crate::BoxError;
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::task::TaskTracker;

/// The tokens of one server, renewed by one call for all that wait; clones are the same.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Inner>);

struct Inner {
    server: String,
    store: Store,
    current: ArcSwapOption<Current>,
    setback: ArcSwapOption<Setback>,
    /// One renewal at a time.
    turn: Arc<Semaphore>,
    /// Held from a look into the file until what it says is taken, so that it does not replace what is newer.
    look: Mutex<()>,
    tasks: TaskTracker,
}

/// A grant with the header it makes.
struct Current {
    grant: Grant,
    header: HeaderValue,
    /// When it was renewed, if it was in this process.
    renewed: Option<Instant>,
    /// What is still kept in its place, where it could not be kept.
    instead: Option<Grant>,
}

impl Current {
    fn fits(&self, refused: Option<&HeaderValue>) -> bool {
        refused != Some(&self.header) && self.grant.is_fresh()
    }

    /// Whether a request may still be sent with it: not yet at its end, and not refused, it is as good as ever.
    fn is_good(&self, refused: Option<&HeaderValue>) -> bool {
        refused != Some(&self.header) && self.grant.is_good()
    }

    /// Whether it says what `kept` says, or more.
    fn is_as_new_as(&self, kept: &Grant) -> bool {
        self.grant.is(kept) || self.instead.as_ref().is_some_and(|instead| instead.is(kept))
    }
}

impl Tokens {
    /// Those that are kept for the server with this id at `url`, the address they are sent to. Renewals run in `tasks`.
    pub(crate) fn new(settings: &OAuth, id: &str, url: &str, tasks: TaskTracker) -> Self {
        Self(Arc::new(Inner {
            server: id.to_owned(),
            store: Store::new(settings, id, url),
            current: ArcSwapOption::empty(),
            setback: ArcSwapOption::empty(),
            turn: Arc::new(Semaphore::new(1)),
            look: Mutex::default(),
            tasks,
        }))
    }

    /// The header that lets a request in. One that ends soon is good until its end, and nobody waits for its renewal.
    ///
    /// # Errors
    ///
    /// [`Connect`](crate::upstream::error::Connect) over [`SignedOut`](super::error::SignedOut) if somebody must sign in first,
    /// and over [`NotRenewed`](super::error::NotRenewed) if the authorization server could not be asked.
    pub(crate) async fn header(&self) -> Result<HeaderValue, BoxError> {
        if let Some(current) = &*self.0.current.load() {
            if current.fits(None) {
                return Ok(current.header.clone());
            }
            if current.is_good(None) {
                self.renew_behind(current);
                return Ok(current.header.clone());
            }
        }
        self.ready(None).await
    }

    /// Another header than `refused`, which the server did not take.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub(crate) async fn instead_of(&self, refused: &HeaderValue) -> Result<HeaderValue, BoxError> {
        self.ready(Some(refused)).await
    }

    async fn ready(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, BoxError> {
        let known = match self.0.known(refused) {
            Some(known) => known,
            None => match self.0.current.load_full().filter(|current| current.is_good(refused)) {
                Some(current) => {
                    self.renew_behind(&current);
                    Ok(current.header.clone())
                }
                None => self.renewed(refused.cloned()).await,
            },
        };
        known.map_err(|why| why.of(&self.0.server))
    }

    /// Renews unless that is under way, or has just failed.
    fn renew_behind(&self, current: &Current) {
        if let Ok(turn) = self.0.turn.clone().try_acquire_owned()
            && self.0.setback_of(&current.grant).is_none()
        {
            let inner = self.0.clone();
            self.0.tasks.spawn(async move { inner.renew(None, turn).await });
        }
    }

    /// Renews in a task of its own: an authorization server gives each refresh token once, so a caller that leaves must
    /// not take the answer with it.
    async fn renewed(&self, refused: Option<HeaderValue>) -> Result<HeaderValue, Unready> {
        let inner = self.0.clone();
        let renewed = self.0.tasks.spawn(async move {
            let turn = inner.turn.clone().acquire_owned().await.map_err(|_| Unready::SignedOut)?;
            inner.renew(refused.as_ref(), turn).await
        });
        renewed.await.unwrap_or(Err(Unready::SignedOut))
    }
}

impl Inner {
    async fn renew(&self, refused: Option<&HeaderValue>, _turn: OwnedSemaphorePermit) -> Result<HeaderValue, Unready> {
        // Whoever had the turn before has renewed for all that waited.
        if let Some(known) = self.known(refused) {
            return known;
        }
        // Of all gateways that share the tokens one renews them: a refresh token that is used twice may be taken for stolen
        // (RFC 9700, 4.14.2), and then none is good any more.
        let held = self.store.hold().await;
        if let Some(known) = self.known(refused) {
            return known;
        }
        let current = self.current.load_full().ok_or(Unready::SignedOut)?;
        let error = match held {
            // It is let go only when what came of it is kept.
            Ok(_held) => match self.refresh(&current.grant).await {
                Ok(grant) => return self.keep(grant, &current),
                Err(error) => error,
            },
            Err(busy) => busy,
        };
        tracing::warn!(server = %self.server, %error, "the tokens cannot be renewed");
        self.setback.store(Some(Arc::new(Setback::new(current.grant.clone(), error))));
        // A gateway that did not hold the lock may have used the refresh token first.
        self.known(refused).unwrap_or(Err(Unready::SignedOut))
    }

    /// Keeps what came of a renewal of `before`, here at least: what is in the file is spent.
    fn keep(&self, grant: Grant, before: &Current) -> Result<HeaderValue, Unready> {
        let instead = self.store.save(&grant).err().map(|error| {
            tracing::warn!(server = %self.server, %error, "the renewed tokens cannot be kept");
            before.instead.as_ref().unwrap_or(&before.grant).clone()
        });
        self.setback.store(None);
        let _look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.take(grant, Some(Instant::now()), instead).ok_or(Unready::SignedOut)?;
        Ok(current.header.clone())
    }

    /// What can be said without asking anybody: another call, or another gateway, was first; somebody has just signed in;
    /// nobody is; or it has just failed.
    fn known(&self, refused: Option<&HeaderValue>) -> Option<Result<HeaderValue, Unready>> {
        let current = self.current.load_full().filter(|current| current.fits(refused)).or_else(|| self.newest());
        let Some(current) = current else { return Some(Err(Unready::SignedOut)) };
        if current.fits(refused) {
            return Some(Ok(current.header.clone()));
        }
        let is_refused = refused == Some(&current.header);
        if is_refused && current.renewed.is_some_and(|renewed| renewed.elapsed() < PAUSE) {
            return Some(Err(Unready::SignedOut));
        }
        let why = self.setback_of(&current.grant)?;
        Some(if current.is_good(refused) { Ok(current.header.clone()) } else { Err(why.reason()) })
    }

    fn setback_of(&self, grant: &Grant) -> Option<Arc<Setback>> {
        self.setback.load_full().filter(|setback| setback.holds_for(grant))
    }

    /// What is kept, unless this process knows better.
    fn newest(&self) -> Option<Arc<Current>> {
        let _look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.current.load_full();
        match (self.store.load(), known) {
            (Ok(Some(kept)), Some(known)) if known.is_as_new_as(&kept) => Some(known),
            (Ok(Some(kept)), _) => self.take(kept, None, None),
            (Ok(None), _) => {
                self.current.store(None);
                None
            }
            (Err(error), known) => {
                tracing::warn!(server = %self.server, %error, "the tokens cannot be read");
                known
            }
        }
    }

    fn take(&self, grant: Grant, renewed: Option<Instant>, instead: Option<Grant>) -> Option<Arc<Current>> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", grant.access_token)).ok()?;
        header.set_sensitive(true);
        let current = Arc::new(Current { grant, header, renewed, instead });
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

#[cfg(test)]
mod tests;
