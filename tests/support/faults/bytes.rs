//! HTTP/1.1 as bytes: what comes in is read leniently, what goes out is whatever a fault wants.

use serde_json::Value;
use std::{fmt::Write as _, io};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// The most of a response that is offered to a client that takes everything: far above every limit.
pub(super) const FLOOD: usize = 64 << 20;

/// A request that was read whole.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) session: Option<String>,
    pub(super) message: Value,
}

/// Reads a request; `None` at the end of the connection.
pub(super) async fn read(connection: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let header = |name: &str| {
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    let message = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request { method, path, session: header("mcp-session-id"), message })
}

/// A whole response.
pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A whole response of JSON.
pub(super) fn json(body: &str) -> String {
    response("200 OK", "content-type: application/json\r\n", body)
}

/// The head of an event stream that ends with its connection.
pub(super) const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// One message as an event.
pub(super) fn event(message: &str) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// Writes `piece` until the other side has had enough, or more than anybody should take.
pub(super) async fn flood(connection: &mut TcpStream, piece: &[u8]) {
    let mut sent = 0;
    while sent < FLOOD && connection.write_all(piece).await.is_ok() {
        sent += piece.len();
    }
}

/// Waits until the other side has closed the connection.
pub(super) async fn closed(connection: &mut TcpStream) {
    let mut rest = [0; 1024];
    while connection.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

/// Ends the connection with a reset instead of an end.
pub(super) fn reset(connection: TcpStream) -> io::Result<()> {
    connection.set_zero_linger()
}

/// About 1 GiB of zeros in some 7 MB of gzip: fixed Huffman codes of "258 more of the last byte", 13 bits each.
pub(super) fn gzip_bomb() -> Vec<u8> {
    const COPIES: usize = 4 << 20;
    let mut bits = String::from("110");
    // The literal 0; then length 258 (11000101, without extra bits) at distance 1 (00000).
    bits.push_str("00110000");
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // 8 codes of 13 bits fill 13 bytes, so that the pattern repeats whatever stands before it.
    for _ in 0..16 {
        let _ = write!(bits, "1100010100000");
    }
    let packed: Vec<u8> = bits.as_bytes().chunks_exact(8).map(pack).collect();
    let head = packed.len() % 13;
    bytes.extend_from_slice(&packed[..head]);
    let round = &packed[head..head + 13];
    (0..COPIES / 8).for_each(|_| bytes.extend_from_slice(round));
    bytes
}

/// The first bit of a stream is the lowest of its byte.
fn pack(bits: &[u8]) -> u8 {
    bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'))
}
