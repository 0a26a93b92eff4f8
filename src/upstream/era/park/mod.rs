//! Calls that wait for what a client of 2026-07-28 has to say.

mod keep;
mod state;

pub use self::state::endpoint_of;
pub(super) use self::{
    keep::Parked,
    state::{INPUT_RESPONSES, REQUEST_STATE},
};

use self::state::State;
use crate::{
    Call, EndpointId,
    error::Problem,
    json::{
        Json,
        object::{self, Edit},
        write,
    },
    metrics::Count,
    reply::Ask,
    upstream::Settings,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Calls that wait at one server; each is a request the server has open, and most have a person at the other end.
pub(super) const MAX_PARKED: usize = 256;
/// How long a client may take to visit an address before it calls again: nothing is kept for it meanwhile.
const VISIT: Duration = Duration::from_secs(3600);

/// Where parked calls of one server wait to be claimed.
pub(super) struct Park {
    endpoint: EndpointId,
    settings: Arc<Settings>,
    tasks: TaskTracker,
    /// Whoever removes an entry has the call, so each state is good for once.
    parked: Mutex<HashMap<u128, oneshot::Sender<oneshot::Sender<Parked>>>>,
}

/// What a retry wants.
pub(super) enum Claim {
    /// To go on with this call.
    Parked(Box<Parked>),
    /// To be made as if it were the first.
    Again,
}

impl Park {
    pub(super) fn new(endpoint: EndpointId, settings: Arc<Settings>, tasks: TaskTracker) -> Self {
        Self { endpoint, settings, tasks, parked: Mutex::default() }
    }

    /// Lets a call wait for the answers to its questions: the result that asks the client for them.
    ///
    /// # Errors
    ///
    /// If too many wait already; the call is cancelled then.
    pub(super) fn park(self: &Arc<Self>, call: &Call, parked: Parked) -> Result<Json, Problem> {
        let mut id = [0; 16];
        let full = || Problem::new(503, "overloaded", "too many calls wait for answers of their clients");
        // Unique over restarts and replicas that share a key.
        getrandom::fill(&mut id).map_err(|_| full())?;
        let (id, patience) = (u128::from_le_bytes(id), self.settings.ask_timeout);
        let (claim, claimed) = oneshot::channel();
        {
            let mut all = self.lock();
            if all.len() >= MAX_PARKED {
                return Err(full());
            }
            all.insert(id, claim);
        }
        let requests = parked.asks.iter().map(|(key, ask)| (key.clone(), ask.method.as_str(), params(ask)));
        let result = self.required(requests, State::new(&self.endpoint, Some(id), call, patience));
        self.tasks.spawn(keep::until_claimed(Arc::downgrade(self), id, parked, claimed, patience));
        Ok(result)
    }

    /// What a retry wants, if its `requestState` holds.
    ///
    /// # Errors
    ///
    /// What to tell the client: a state that was altered, made elsewhere, used, or is too old. The call is not made.
    pub(super) async fn claim(&self, call: &Call) -> Result<Claim, Problem> {
        let invalid = || {
            self.settings.metrics.count(Count::StaleState);
            Problem::rpc(400, -32602, "the requestState is not one this call can go on with")
        };
        let state = State::of(call, &self.endpoint, &self.settings.keys).map_err(|_| invalid())?;
        let Some(id) = state.parked else { return Ok(Claim::Again) };
        let claim = self.lock().remove(&id).ok_or_else(invalid)?;
        let (hand_over, handed) = oneshot::channel();
        claim.send(hand_over).map_err(|_| invalid())?;
        handed.await.map(|parked| Claim::Parked(Box::new(parked))).map_err(|_| invalid())
    }

    /// The result that sends a client to addresses before it calls again, from the error of a server that wants that
    /// (2025-11-25, "client/elicitation: URL Mode With Elicitation Required Error"); `None` if the error names none.
    pub(super) fn visit(&self, call: &Call, error: &Json) -> Option<Json> {
        let wanted: Vec<serde_json::Map<String, serde_json::Value>> =
            error.member("data")?.member("elicitations")?.read().ok()?;
        let wanted = wanted.into_iter().enumerate().map(|(at, mut params)| {
            params.remove("elicitationId");
            let params = serde_json::Value::Object(params).to_string();
            (format!("visit-{}", at + 1), "elicitation/create", params)
        });
        let wanted: Vec<_> = wanted.collect();
        let state = State::new(&self.endpoint, None, call, VISIT);
        (!wanted.is_empty()).then(|| self.required(wanted.into_iter(), state))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// 2026-07-28, "basic/patterns/mrtr: InputRequiredResult".
    fn required<'a>(&self, requests: impl Iterator<Item = (String, &'a str, String)>, state: State) -> Json {
        let mut asked = vec![b'{'];
        for (key, method, params) in requests {
            let request = format!("{{\"method\":\"{method}\",\"params\":{params}}}");
            object::push_member(&mut asked, &key, request.as_bytes());
        }
        asked.push(b'}');
        let mut out = br#"{"resultType":"input_required""#.to_vec();
        object::push_member(&mut out, "inputRequests", &asked);
        out.extend_from_slice(b",\"requestState\":");
        write::string(&mut out, &state.seal(&self.settings.keys));
        out.push(b'}');
        Json::trusted(out.into())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, oneshot::Sender<oneshot::Sender<Parked>>>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the retry says no to something: to call again would only bring the same question.
pub(super) fn is_declined(retry: &Call) -> bool {
    let mut declined = false;
    if let Some(answers) = retry.params.member(INPUT_RESPONSES) {
        let _ = object::each_member(answers.as_bytes(), |_, answer| {
            let answer: Option<Answer<'_>> = serde_json::from_str(answer.get()).ok();
            declined |= answer.is_none_or(|answer| answer.action != "accept");
        });
    }
    declined
}

#[derive(serde::Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    action: std::borrow::Cow<'a, str>,
}

/// The parameters of a question as they are asked today: an elicitation has no id any more.
fn params(ask: &Ask) -> String {
    ask.params.edit_shallow(&[Edit::Remove("elicitationId")]).as_str().to_owned()
}
