use super::{
    agreed::Agreed,
    error::HandshakeFailed,
    handshake::{self, Greeting},
    lanes::Usable,
};
use crate::{json::Json, upstream::Transport};
use arc_swap::ArcSwapOption;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a session is not begun anew for a refusal after one that was and got the same: its server refuses what it will
/// refuse again, and each new session would take from the others what the old one holds.
pub(super) const IN_VAIN_FOR: Duration = Duration::from_secs(30);

type Handshake = Shared<BoxFuture<'static, Result<Arc<Agreed>, HandshakeFailed>>>;

/// One conversation with the server: what was agreed on for it, or the handshake that is under way.
pub(super) struct Lane {
    agreed: ArcSwapOption<Agreed>,
    /// The handshake under way and the connection it was begun on, 0 if there was none yet. It is driven by whoever
    /// waits for it and stays here when nobody does.
    running: Mutex<Option<(u64, Handshake)>>,
    /// The `clientInfo` and `capabilities` it is opened with.
    client_info: Json,
    declaration: Arc<str>,
    /// When a new session was last refused as the one before it was.
    in_vain: Mutex<Option<Instant>>,
}

impl Usable for Lane {}

impl Lane {
    pub(super) fn new(client_info: Json, declaration: Arc<str>) -> Self {
        let (running, in_vain) = (Mutex::default(), Mutex::default());
        Self { agreed: ArcSwapOption::empty(), running, client_info, declaration, in_vain }
    }

    /// What was agreed on for connection `epoch`.
    pub(super) fn current(&self, epoch: u64) -> Option<Arc<Agreed>> {
        let agreed = self.agreed.load();
        agreed.as_ref().filter(|agreed| agreed.hop.epoch == epoch).cloned()
    }

    /// What was agreed on last, on whatever connection.
    pub(super) fn latest(&self) -> Option<Arc<Agreed>> {
        self.agreed.load_full()
    }

    /// What was agreed on for the present connection, after a handshake if need be; the same one for all who wait.
    pub(super) async fn agree<T: Transport>(
        &self,
        transport: &T,
        greeting: impl FnOnce(Json, Arc<str>) -> Greeting,
    ) -> Result<Arc<Agreed>, HandshakeFailed> {
        let handshake = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let epoch = transport.epoch();
            if let Some(agreed) = self.current(epoch) {
                return Ok(agreed);
            }
            match &*running {
                Some((begun, handshake)) if *begun == 0 || *begun == epoch => handshake.clone(),
                _ => {
                    let greeting = greeting(self.client_info.clone(), self.declaration.clone());
                    let handshake = handshake::agree(transport.clone(), greeting).boxed().shared();
                    *running = Some((epoch, handshake.clone()));
                    handshake
                }
            }
        };
        let result = handshake.clone().await;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // The first to see the result keeps or forgets it; the others find it done.
        if running.as_ref().is_some_and(|(_, latest)| latest.ptr_eq(&handshake)) {
            *running = None;
            if let Ok(agreed) = &result {
                self.agreed.store(Some(agreed.clone()));
            }
        }
        result
    }

    /// Forgets what proved to be outdated, unless something newer stands there already; whether it did.
    pub(super) fn forget(&self, outdated: &Arc<Agreed>) -> bool {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = self.is_present(outdated);
        if stands {
            self.agreed.store(None);
        }
        stands
    }

    /// Whether `agreed` is what calls are sent under.
    pub(super) fn is_present(&self, agreed: &Arc<Agreed>) -> bool {
        self.agreed.load().as_ref().is_some_and(|present| Arc::ptr_eq(present, agreed))
    }

    /// A new session was refused as the one before it was.
    pub(super) fn renewed_in_vain(&self) {
        *self.in_vain.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it is too early to try a new session again.
    pub(super) fn is_in_vain(&self) -> bool {
        let in_vain = *self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        in_vain.is_some_and(|since| since.elapsed() < IN_VAIN_FOR)
    }
}
