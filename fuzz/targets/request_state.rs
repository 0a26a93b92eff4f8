//! The state of parked calls: nothing opens that was not sealed, and whatever was sealed is read or refused.

use super::answering::keys;
use tower_mcp_gateway::{
    Call, Method,
    json::Params,
    seal::{Keys, Purpose},
    upstream::era::endpoint_of,
};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    assert_eq!(endpoint_of(&keys(), &call(&text)), None, "nobody sealed it");
    let sealed = keys().seal(Purpose::RequestState, data);
    let _ = endpoint_of(&keys(), &call(&sealed));
    let other = Keys::from_secrets(&["another secret of the fuzzers, as worthless"]).expect("long enough");
    assert_eq!(endpoint_of(&other, &call(&sealed)), None);
    assert_eq!(endpoint_of(&keys(), &call(&keys().seal(Purpose::Session, data))), None);
    assert_eq!(keys().open(Purpose::RequestState, &sealed).as_deref(), Some(data));
}

fn call(state: &str) -> Call {
    let params = Params::from_value(&serde_json::json!({ "name": "n", "requestState": state, "inputResponses": {} }));
    Call::new(Method::TOOLS_CALL, params.expect("an object"))
}
