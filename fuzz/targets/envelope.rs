//! Messages: what is taken is JSON, and is the same when it is written and read again.

use bytes::Bytes;
use serde::de::IgnoredAny;
use tower_mcp_gateway::json::{Json, MAX_BATCH, Message, documents, elements, write};

pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    documents(&bytes).filter_map(Result::ok).for_each(|document| assert_json(&document));
    if let Ok(Some(elements)) = elements(&bytes, MAX_BATCH) {
        assert!(elements.len() <= MAX_BATCH);
        elements.iter().for_each(|element| assert_json(element));
    }
    let Ok(message) = Message::parse(bytes.clone()) else { return };
    assert_json(&bytes);
    match message {
        Message::Request { id, method, params } => {
            let again =
                Message::parse(write::request(&id, &method, params.as_bytes())).expect("what was written is read");
            let Message::Request { id: other, method: same, params: rest } = again else { panic!("a request") };
            assert_eq!((id, method, params.as_bytes()), (other, same, rest.as_bytes()));
        }
        Message::Notification { method, params } => {
            let again =
                Message::parse(write::notification(&method, params.as_bytes())).expect("what was written is read");
            assert!(
                matches!(again, Message::Notification { params: rest, .. } if rest.as_bytes() == params.as_bytes())
            );
        }
        Message::Response { id: Some(id), outcome } => {
            let frame = match &outcome {
                Ok(result) => write::result(&id, result),
                Err(error) => write::error(Some(&id), error),
            };
            let again = Message::parse(frame).expect("what was written is read");
            assert!(
                matches!(again, Message::Response { id: Some(same), outcome: rest } if same == id && rest == outcome)
            );
        }
        Message::Response { id: None, outcome } => assert!(outcome.is_err()),
    }
}

#[track_caller]
fn assert_json(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    serde_json::from_str::<IgnoredAny>(text).expect("JSON");
    Json::parse(Bytes::copy_from_slice(bytes)).expect("JSON here too");
}
