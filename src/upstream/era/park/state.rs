use crate::{
    Call, EndpointId,
    auth::Principal,
    json::{Json, Params, object::Edit},
    meta,
    seal::{Keys, Purpose},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The member of a retry that holds what the result before it held.
pub(in crate::upstream::era) const REQUEST_STATE: &str = "requestState";
/// The member of a retry that holds the answers.
pub(in crate::upstream::era) const INPUT_RESPONSES: &str = "inputResponses";

/// What a `requestState` says: which call it goes on with, and where (2026-07-28, "basic/patterns/mrtr").
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    endpoint: String,
    /// The parked call; none if the call is to be made again.
    pub(super) parked: Option<u128>,
    /// Seconds of the Unix epoch.
    expires: u64,
    /// Of what was called and by whom, so that the state of one call does for no other.
    digest: String,
}

/// Why a state is refused. The client is told no more: it can only begin anew.
#[derive(Debug)]
pub(super) struct Invalid;

impl State {
    pub(super) fn new(endpoint: &EndpointId, parked: Option<u128>, call: &Call, life: Duration) -> Self {
        let expires = now().saturating_add(life.as_secs());
        Self { endpoint: endpoint.as_str().into(), parked, expires, digest: digest(call) }
    }

    pub(super) fn seal(&self, keys: &Keys) -> String {
        let text = serde_json::to_vec(self).expect("a struct of texts and numbers");
        keys.seal(Purpose::RequestState, &text)
    }

    /// The state that `call` carries, if it is one of this endpoint, for this call, and not too old.
    pub(super) fn of(call: &Call, endpoint: &EndpointId, keys: &Keys) -> Result<Self, Invalid> {
        let state = open(keys, call).ok_or(Invalid)?;
        let holds = state.endpoint == endpoint.as_str() && state.expires > now() && state.digest == digest(call);
        if holds { Ok(state) } else { Err(Invalid) }
    }
}

/// The endpoint that holds what the call's `requestState` stands for, if the gateway sealed it: the only one that can
/// go on with the call.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params, seal::Keys, upstream::era::endpoint_of};
///
/// let keys = Keys::generate()?;
/// let params = Params::from_value(&serde_json::json!({"name": "t", "requestState": "another server's"}))?;
/// assert_eq!(endpoint_of(&keys, &Call::new(Method::TOOLS_CALL, params)), None);
/// # Ok::<(), tower_mcp_gateway::BoxError>(())
/// ```
///
/// Whether the state still holds is for that endpoint to say.
pub fn endpoint_of(keys: &Keys, call: &Call) -> Option<EndpointId> {
    open(keys, call).map(|state| EndpointId::from(state.endpoint))
}

fn open(keys: &Keys, call: &Call) -> Option<State> {
    if !call.params.is_retry() {
        return None;
    }
    let token: String = call.params.member(REQUEST_STATE)?.read().ok()?;
    serde_json::from_slice(&keys.open(Purpose::RequestState, &token)?).ok()
}

/// Of principal, method and parameters, however their JSON is written; a client may write it anew for the retry.
fn digest(call: &Call) -> String {
    let params = bare(&call.params);
    let canonical = Json::from(&params).read::<serde_json::Value>().map(|value| value.to_string());
    let text = canonical.unwrap_or_else(|_| params.as_str().to_owned());
    let digest = Sha256::new().chain_update(Principal::mark_in(&call.extensions));
    let digest = digest.chain_update(call.method.as_str()).chain_update([0]).chain_update(text).finalize();
    STANDARD_NO_PAD.encode(digest)
}

fn bare(params: &Params) -> Params {
    params.edit_shallow(&[Edit::Remove(REQUEST_STATE), Edit::Remove(INPUT_RESPONSES), Edit::Remove(meta::META)])
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Method;

    const LIFE: Duration = Duration::from_secs(60);

    fn call(params: serde_json::Value) -> Call {
        Call::new(Method::TOOLS_CALL, Params::from_value(&params).unwrap())
    }

    fn carries(call: &Call, token: &str) -> Call {
        let params = call.params.edit_shallow(&[Edit::Set(REQUEST_STATE, format!("\"{token}\"").as_bytes())]);
        call.clone().with(|asked| asked.params = params)
    }

    #[test]
    fn a_state_holds_for_its_call_at_its_endpoint_while_it_lives() {
        let (keys, here) = (Keys::generate().unwrap(), EndpointId::from("a"));
        let first = call(serde_json::json!({"name": "t", "arguments": {"b": 1, "a": [2.5]}, "_meta": {"x": 1}}));
        let token = State::new(&here, Some(u128::MAX), &first, LIFE).seal(&keys);
        let retry = r#"{"arguments": {"a":[2.5],"b":1}, "inputResponses":{"1":{}}, "name":"t"}"#;
        let params = Params::parse(Json::from_static(retry)).unwrap();
        let retry = carries(&Call::new(Method::TOOLS_CALL, params), &token);
        assert_eq!(State::of(&retry, &here, &keys).unwrap().parked, Some(u128::MAX));
        assert_eq!(endpoint_of(&keys, &retry), Some(here.clone()));

        assert!(State::of(&retry, &EndpointId::from("b"), &keys).is_err());
        assert!(State::of(&retry, &here, &Keys::generate().unwrap()).is_err());
        let other = carries(&call(serde_json::json!({"name": "u", "arguments": {"b": 1, "a": [2.5]}})), &token);
        assert!(State::of(&other, &here, &keys).is_err(), "of another call");
        let mut foreign = retry.clone();
        foreign.extensions.insert(Principal::new("somebody else"));
        assert!(State::of(&foreign, &here, &keys).is_err(), "of another principal");
        assert!(State::of(&retry.clone().with(|asked| asked.method = Method::PROMPTS_GET), &here, &keys).is_err());
        let late = State::new(&here, None, &first, Duration::ZERO).seal(&keys);
        assert!(State::of(&carries(&first, &late), &here, &keys).is_err());
        assert!(State::of(&carries(&first, "x"), &here, &keys).is_err());
        assert!(State::of(&first, &here, &keys).is_err());
    }
}
