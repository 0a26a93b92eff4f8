use super::{
    abilities::Abilities,
    agreed::Agreed,
    gate, listen,
    logging::Level,
    park::{INPUT_RESPONSES, REQUEST_STATE},
};
use crate::{
    Call, Method, Reply, Revision,
    error::Problem,
    json::{
        Json, Params,
        object::{self, Edit},
    },
    meta,
    reply::Outcome,
    upstream::{InSession, OfClient},
};

/// What becomes of a call at a server of a known era.
#[derive(Debug)]
pub(super) enum Plan {
    /// It is sent, in the server's wording.
    Send(Call),
    /// It is answered here.
    Answer(Outcome),
    /// It brings answers, or the state of an earlier call; sent, in these words, only if that is what the state says.
    Retry(Call),
    /// It is sent, and what comes back is what the server says outside of calls.
    Listen(Call),
}

/// Words a call for the server.
///
/// `alone` says whether all calls of the session are of one client.
pub(super) fn plan(call: &Call, agreed: &Agreed, client_info: &Json, alone: bool) -> Plan {
    let method = &call.method;
    if *method == Method::INITIALIZE {
        // A server may accept it once only, and that was the handshake.
        let refusal = Problem::rpc(404, -32601, "initialize is hop-by-hop");
        return Plan::Answer(Outcome::Error(refusal.to_json()));
    }
    // They name ids and tokens of another hop. Modern servers take no notifications but a cancellation, which the
    // transport sends itself.
    let hop_by_hop = [Method::INITIALIZED, Method::CANCELLED, Method::PROGRESS].contains(method);
    if hop_by_hop || (method.is_notification() && agreed.revision.is_modern()) {
        return Plan::Answer(Outcome::Accepted);
    }
    if agreed.revision.is_modern() {
        let mut worded = call.clone();
        if let Some(params) = with_modern_meta(&call.params, client_info) {
            worded.params = params;
        }
        if *method == Method::PING {
            worded.method = Method::DISCOVER;
        }
        return Plan::Send(worded);
    }
    if *method == Method::DISCOVER {
        return Plan::Answer(Outcome::Result(agreed.discover.clone()));
    }
    let params = call.params.edit_meta(&meta::MODERN.map(Edit::Remove));
    let mut worded = call.clone().with(|asked| asked.params = params);
    if *method == Method::LISTEN {
        return Plan::Listen(worded);
    }
    if is_of_client(call) {
        let logs = agreed.logs && (call.session.is_some() || Level::of(call).is_some());
        let hears = logs || Abilities::of(call).can_be_asked();
        worded.extensions.insert(OfClient { alone, hears });
    }
    if call.session.is_none() && gate::may_require_input(method) && call.params.is_retry() {
        worded.params = worded.params.edit_shallow(&[Edit::Remove(INPUT_RESPONSES), Edit::Remove(REQUEST_STATE)]);
        return Plan::Retry(worded);
    }
    Plan::Send(worded)
}

/// Whether somebody outside of the gateway wants to know: a client with a session, or one of the calls that the gateway
/// never makes for itself.
pub(super) fn is_of_client(call: &Call) -> bool {
    const CLIENTS: [Method; 4] = [Method::TOOLS_CALL, Method::PROMPTS_GET, Method::RESOURCES_READ, Method::COMPLETE];
    if call.method == Method::LISTEN {
        return call.extensions.get::<InSession>().is_some();
    }
    call.session.is_some() || CLIENTS.contains(&call.method)
}

/// The parameters with every key of `_meta` a modern request must have (2026-07-28, "basic/index: `_meta`"); `None` if they
/// have them.
pub(super) fn with_modern_meta(params: &Params, client_info: &Json) -> Option<Params> {
    const VERSION: &str = Revision::QUOTED_MODERN;
    let sets = [
        (meta::PROTOCOL_VERSION, VERSION.as_bytes()),
        (meta::CLIENT_CAPABILITIES, b"{}"),
        (meta::CLIENT_INFO, client_info.as_bytes()),
    ];
    let lacks = |key| match params.meta_text(key) {
        Some(version) if key == meta::PROTOCOL_VERSION => version != VERSION.as_bytes(),
        given => given.is_none(),
    };
    let mut edits = [Edit::Remove(meta::META); 3];
    let mut count = 0;
    for (key, value) in sets.into_iter().filter(|(key, _)| lacks(key)) {
        edits[count] = Edit::Set(key, value);
        count += 1;
    }
    (count > 0).then(|| params.edit_meta(&edits[..count]))
}

/// Words a reply for the gateway.
pub(super) fn unworded(reply: Reply, call: &Call, agreed: &Agreed) -> Reply {
    if agreed.revision.is_modern() {
        return if call.method == Method::LISTEN { listen::untagged(reply) } else { reply };
    }
    if call.method != Method::RESOURCES_READ {
        return reply;
    }
    let params = call.params.clone();
    reply.map_outcome(move |outcome| match outcome.error_code() {
        Some(-32002) => not_found(outcome, &params),
        _ => outcome,
    })
}

/// A resource that was not found has a code of its own before 2026-07-28, and is an invalid parameter since
/// ("server/resources: Error Handling").
fn not_found(outcome: Outcome, params: &Params) -> Outcome {
    let Outcome::Error(error) = &outcome else { return outcome };
    let named = error.member("data").is_some_and(|data| data.member("uri").is_some());
    let uri = params.member("uri").filter(|_| !named);
    let data = uri.map(|uri| format!("{{\"uri\":{uri}}}"));
    let mut edits = vec![Edit::Set("code", b"-32602")];
    if let Some(data) = &data {
        edits.push(Edit::Set("data", data.as_bytes()));
    }
    match object::edit(error.as_bytes(), &edits) {
        Ok(edited) => Outcome::Error(Json::trusted(edited)),
        Err(_) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::splices::{object_of, value};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn member() -> impl Strategy<Value = String> {
        let known = [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES, meta::CLIENT_INFO, "progressToken", "a"];
        prop::sample::select(known.to_vec()).prop_map(String::from)
    }

    proptest! {
        /// parse(splice(x)) = edit(parse(x)).
        #[test]
        fn a_request_gets_of_its_meta_what_it_lacks(
            given in prop::option::of(object_of(member())),
            arguments in value(),
        ) {
            let mut params = json!({"name": "t", "arguments": arguments});
            if let Some((meta, _)) = given {
                params["_meta"] = meta;
            }
            let info = Json::from_static(r#"{"name":"gw"}"#);
            let given = Params::from_value(&params).unwrap();
            let worded = with_modern_meta(&given, &info).unwrap_or(given);
            let meta = &mut params["_meta"];
            meta[meta::PROTOCOL_VERSION] = Revision::LATEST_MODERN.as_str().into();
            for (key, lacking) in [(meta::CLIENT_CAPABILITIES, json!({})), (meta::CLIENT_INFO, json!({"name": "gw"}))] {
                if meta.get(key).is_none() {
                    meta[key] = lacking;
                }
            }
            prop_assert_eq!(serde_json::from_str::<Value>(worded.as_str()).unwrap(), params);
        }

        #[test]
        fn a_resource_that_was_not_found_keeps_all_but_its_code(
            (error, text) in object_of("code|message|data|[a-c]".prop_map(String::from)),
            uri in prop::option::of(".{0,5}"),
        ) {
            let mut error = error;
            let params = uri.as_ref().map_or_else(|| json!({}), |uri| json!({"uri": uri}));
            let worded = not_found(Outcome::Error(Json::parse(text).unwrap()), &Params::from_value(&params).unwrap());
            error["code"] = json!(-32602);
            if let (Some(uri), None) = (uri, error.get("data").and_then(|data| data.get("uri"))) {
                error["data"] = json!({"uri": uri});
            }
            let Outcome::Error(worded) = worded else { return Err(TestCaseError::fail("no error")) };
            prop_assert_eq!(serde_json::from_str::<Value>(worded.as_str()).unwrap(), error);
        }
    }
}
