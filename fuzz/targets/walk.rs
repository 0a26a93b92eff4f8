//! Objects that arrive in pieces: taken as one text is, wherever it is cut.

use bytes::Bytes;
use tower_mcp_gateway::json::{Json, Walk};

/// The first byte says how large the pieces are.
pub fn run(data: &[u8]) {
    let Some((size, text)) = data.split_first() else { return };
    let size = usize::from(*size).max(1);
    let (mut walk, mut waiting, mut passed) = (Walk::object(0), Vec::new(), Vec::new());
    for piece in text.chunks(size) {
        waiting.extend_from_slice(piece);
        let Ok(taken) = walk.take(&waiting) else { return refused(text) };
        passed.extend(waiting.drain(..taken));
        if walk.is_over() {
            Json::parse(passed).expect("an object that was taken is one");
            return;
        }
    }
    refused(text);
}

/// What is no object, or not all of one, is that to everybody.
fn refused(text: &[u8]) {
    let parsed = Json::parse(Bytes::copy_from_slice(text));
    assert!(parsed.is_err() || !text.trim_ascii_start().starts_with(b"{"), "{:?}", String::from_utf8_lossy(text));
}
