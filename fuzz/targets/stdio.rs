//! The framing of pipes: whatever comes, it ends with its input, and says nothing but messages.

use super::answering::{edge, wait};
use tower_mcp_gateway::json::{Json, Message};

pub fn run(data: &[u8]) {
    let mut output = Vec::new();
    let served = wait(edge().serve_stdio(data, &mut output, std::future::pending()));
    served.expect("pipes in memory do not fail");
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = bytes::Bytes::copy_from_slice(line);
        Json::parse(line.clone()).expect("JSON");
        if !line.starts_with(b"[") {
            Message::parse(line).expect("a message");
        }
    }
}
