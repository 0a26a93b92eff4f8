//! Event streams: however they are cut, the same events come out; what is written is read.

use bytes::Bytes;
use tower_mcp_gateway::sse::{Decoder, Event, encode};

/// Small, so that it is met.
const LIMIT: usize = 256;

pub fn run(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let whole = decode(data, data.len().max(1));
    assert_eq!(decode(data, 1 + usize::from(*first) % 17), whole);
    let Ok(events) = whole else { return };
    for event in events {
        let again = decode(&encode(&Event::new(event.data.clone())), usize::MAX).expect("below the limit");
        assert_eq!(again.iter().map(|event| &event.data).collect::<Vec<_>>(), [&event.data]);
    }
}

/// All events, or that one was too large.
fn decode(data: &[u8], piece: usize) -> Result<Vec<Event>, ()> {
    let (mut decoder, mut events) = (Decoder::new(LIMIT), Vec::new());
    for piece in data.chunks(piece) {
        let mut bytes = Bytes::copy_from_slice(piece);
        while let Some(event) = decoder.decode(&mut bytes).map_err(drop)? {
            assert!(event.data.len() <= LIMIT);
            events.push(event);
        }
    }
    Ok(events)
}
