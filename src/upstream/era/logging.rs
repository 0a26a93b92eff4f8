use super::agreed::Agreed;
use crate::{
    Call, Method,
    json::{Json, Params},
    meta,
    upstream::{Outbound, Transport},
};
use std::{
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Mutex, time::timeout};
use tower::ServiceExt;

/// The severities, least first (RFC 5424, as in "server/utilities/logging").
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
/// How long a call waits for its log level to be set; it goes on without.
const PATIENCE: Duration = Duration::from_secs(5);

/// How severe a message is, or must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Level(u8);

impl Level {
    fn read(json: &Json) -> Option<Self> {
        let text: String = json.read().ok()?;
        LEVELS.iter().position(|level| *level == text).map(|at| Self(at as u8))
    }

    /// The least severe message this call wants to hear of.
    pub(super) fn of(call: &Call) -> Option<Self> {
        Self::read(&call.params.meta_member(meta::LOG_LEVEL)?)
    }

    /// Whether a log message is as severe as this; one without a level it knows is.
    pub(super) fn admits(self, message: &Params) -> bool {
        message.member("level").and_then(|level| Self::read(&level)).is_none_or(|level| level >= self)
    }
}

/// The level that is set in one session at a server: the lowest that a call of it ever wanted, so that calls which want
/// different ones at the same time all get theirs.
#[derive(Debug)]
pub(super) struct Logging {
    set: AtomicU8,
    /// Two settings at once would arrive in any order.
    turn: Mutex<()>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { set: AtomicU8::new(u8::MAX), turn: Mutex::new(()) }
    }
}

impl Logging {
    fn is_set(&self, wanted: Level) -> bool {
        self.set.load(Relaxed) <= wanted.0
    }
}

/// The level that has to be set before the call is made, if any.
pub(super) fn wanted(call: &Call, agreed: &Agreed) -> Option<Level> {
    if agreed.revision.is_modern() || !agreed.logs {
        return None;
    }
    Level::of(call).filter(|wanted| !agreed.logging.is_set(*wanted))
}

/// Has the server log from `wanted` on. Failures are the server's affair: the call is not about logging.
pub(super) async fn set<T: Transport>(transport: T, agreed: &Agreed, wanted: Level) {
    let _turn = agreed.logging.turn.lock().await;
    if agreed.logging.is_set(wanted) {
        return;
    }
    let params = format!("{{\"level\":\"{}\"}}", LEVELS[usize::from(wanted.0)]);
    let params = Params::parse(Json::trusted(params.into())).expect("built as an object");
    let outbound = Outbound { call: Call::new(Method::SET_LEVEL, params), hop: agreed.hop.clone() };
    let setting = async { transport.oneshot(outbound).await?.outcome().await };
    let answer = timeout(PATIENCE, setting).await;
    if !matches!(answer, Ok(Ok(crate::reply::Outcome::Result(_)))) {
        tracing::debug!(?answer, "the server did not set its log level");
    }
    agreed.logging.set.store(wanted.0, Relaxed);
}
