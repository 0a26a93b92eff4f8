//! Responses of HTTP that are not as they should be.

use super::{
    Fault, answer,
    bytes::{self, FLOOD, STREAM, closed, event, flood, json, response},
    http::State,
    progress,
    sse::{drip, gone, lively},
};
use serde_json::Value;
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::mpsc, time::sleep};

const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"jsonrpc\":";

/// Answers `call` as its fault wants it, and takes the connection with it.
pub(super) async fn misbehave(mut connection: TcpStream, call: &Value, state: &State) {
    let fault = Fault::of(call);
    match fault {
        Fault::Reset => return drop(bytes::reset(connection)),
        Fault::Slow => sleep(Duration::from_millis(500)).await,
        _ => {}
    }
    let held = match at_once(fault, call, state) {
        Some((text, held)) => {
            say(&mut connection, &text).await;
            held
        }
        None => {
            at_length(&mut connection, fault, call).await;
            true
        }
    };
    if held {
        closed(&mut connection).await;
        state.ledger.count_abandoned();
    }
}

async fn say(connection: &mut TcpStream, text: &str) {
    // A client that is gone hears nothing.
    let _ = connection.write_all(text.as_bytes()).await;
}

/// What is said at once, and whether the connection is then held in silence; `None` where there is more to it.
fn at_once(fault: Fault, call: &Value, state: &State) -> Option<(String, bool)> {
    let over = |text: String| Some((text, false));
    let held = |text: String| Some((text, true));
    match fault {
        Fault::Hang => held(String::new()),
        Fault::StallHead => held("HTTP/1.1 200 OK\r\ncontent-".into()),
        Fault::StallBody => held(HALF.into()),
        Fault::StallEvent => held(format!("{STREAM}data: {{\"json")),
        Fault::Cut => over(HALF.into()),
        Fault::CutEvent => {
            let note = progress(call, 1).unwrap_or_else(|| {
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#.into()
            });
            over(format!("{STREAM}{}", event(&note)))
        }
        Fault::Close | Fault::Crash => over(String::new()),
        Fault::Status500 => over(response("500 Oops", "", "no")),
        Fault::Status503 => over(response("503 Busy", "retry-after: 1\r\n", "no")),
        Fault::Status404 => over(response("404 Not Found", "", "no such page")),
        Fault::GarbageHead => over("\u{1}\u{2} no HTTP at all\r\n\r\n\r\n".into()),
        Fault::Empty => over(json("")),
        Fault::WrongType => over(response("200 OK", "content-type: text/html\r\n", "<html></html>")),
        Fault::Redirect => {
            let location = format!("location: {}\r\n", state.redirect.lock().unwrap());
            over(response("307 Temporary Redirect", &location, ""))
        }
        Fault::Beyond => {
            let forged = call["id"].as_u64().unwrap_or_default() + 1;
            let forged = format!(r#"{{"jsonrpc":"2.0","id":{forged},"result":{{"content":[]}}}}"#);
            held(format!("{}{}", json(&answer(call)), json(&forged)))
        }
        Fault::Slow => over(json(&answer(call))),
        // Said, so that the next call does not meet a connection that is just being closed: that would be another fault.
        _ => {
            const HEADERS: &str = "content-type: application/json\r\nconnection: close\r\n";
            fault.message(call).and_then(|message| over(response("200 OK", HEADERS, &message)))
        }
    }
}

/// What goes on until the other side has had enough.
async fn at_length(connection: &mut TcpStream, fault: Fault, call: &Value) {
    match fault {
        Fault::HugeBody => {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {FLOOD}\r\n\r\n\"");
            say(connection, &head).await;
            flood(connection, &[b'x'; 1 << 16]).await;
        }
        Fault::HugeEvent => {
            say(connection, &format!("{STREAM}data: \"")).await;
            flood(connection, &[b'x'; 1 << 16]).await;
        }
        Fault::GzipBomb => {
            let bomb = bytes::gzip_bomb();
            let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
            say(connection, &format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", bomb.len())).await;
            let _ = connection.write_all(&bomb).await;
        }
        Fault::HeaderBomb => {
            say(connection, "HTTP/1.1 200 OK\r\n").await;
            flood(connection, "x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(512).as_bytes()).await;
        }
        Fault::Endless1xx => {
            while connection.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await.is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        _ => streamed(connection, fault, call).await,
    }
}

async fn streamed(connection: &mut TcpStream, fault: Fault, call: &Value) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    match fault {
        Fault::Comments => drip(sender, vec![": nothing\n\n".to_owned(); 600]),
        Fault::Drip => drip(sender, event(&answer(call)).chars().map(String::from).collect()),
        _ => lively(call, fault, sender),
    }
    say(connection, STREAM).await;
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => say(connection, &frame).await,
                // The end of the connection is the end of the stream.
                None => return drop(connection.shutdown().await),
            },
            () = gone(connection) => return,
        }
    }
}
