//! The misbehaving server's side of HTTP+SSE.

use super::{
    Fault, answer,
    bytes::{self, Request},
    http::State,
    progress, routine, unknown,
};
use serde_json::Value;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::mpsc, time::sleep};

impl State {
    pub(super) async fn stream(&self, mut connection: TcpStream) {
        let id = format!("stream-{}", self.minted.fetch_add(1, SeqCst));
        let (sender, mut frames) = mpsc::unbounded_channel::<String>();
        self.streams.lock().unwrap().insert(id.clone(), sender);
        let endpoint = self.endpoint.lock().unwrap().clone().unwrap_or_else(|| format!("/message?s={id}"));
        let begun = format!("{}event: endpoint\ndata: {endpoint}\n\n", bytes::STREAM);
        if connection.write_all(begun.as_bytes()).await.is_err() {
            return;
        }
        loop {
            let frame = tokio::select! {
                frame = frames.recv() => frame,
                () = gone(&connection) => None,
            };
            match frame {
                Some(frame) if !frame.is_empty() => {
                    if connection.write_all(frame.as_bytes()).await.is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        self.streams.lock().unwrap().remove(&id);
    }

    /// Takes a POST of HTTP+SSE; `None` if the POST itself is to misbehave.
    pub(super) fn posted(self: &Arc<Self>, request: &Request) -> Option<String> {
        let id = request.path.split("s=").nth(1).unwrap_or_default();
        let Some(stream) = self.streams.lock().unwrap().get(id).cloned() else {
            return Some(bytes::response("404 Not Found", "", "no such stream"));
        };
        let message = &request.message;
        let say = |text: String| drop(stream.send(bytes::event(&text)));
        match message["method"].as_str() {
            Some("tools/call") => {
                self.count(message);
                let fault = Fault::of(message);
                match fault {
                    Fault::Hang => {}
                    Fault::StallEvent => drop(stream.send("data: {\"json".into())),
                    Fault::Cut | Fault::Close | Fault::Crash => drop(stream.send(String::new())),
                    Fault::CutEvent => {
                        progress(message, 1).into_iter().for_each(&say);
                        drop(stream.send(String::new()));
                    }
                    Fault::Comments => drip(stream.clone(), vec![": nothing\n\n".to_owned(); 600]),
                    Fault::Drip => {
                        drip(stream.clone(), bytes::event(&answer(message)).chars().map(String::from).collect());
                    }
                    Fault::HugeEvent => {
                        let flood = (0..16).map(|_| "x".repeat(1 << 20));
                        let _ = stream.send("data: ".into());
                        flood.for_each(|piece| drop(stream.send(piece)));
                        let _ = stream.send("\n\n".into());
                    }
                    Fault::Progress | Fault::Lively => lively(message, fault, stream.clone()),
                    _ => say(fault.message(message).or_else(|| posts(fault).then(String::new))?),
                }
            }
            Some(_) if message.get("id").is_some() => {
                say(routine(message, false).map_or_else(|| unknown(message), |result| result.to_string()));
            }
            _ => {}
        }
        Some(bytes::response("202 Accepted", "", ""))
    }
}

/// Whether the fault means nothing over HTTP+SSE.
fn posts(fault: Fault) -> bool {
    matches!(fault, Fault::Beyond)
}

/// One piece each 100 ms.
pub(super) fn drip(stream: mpsc::UnboundedSender<String>, pieces: Vec<String>) {
    tokio::spawn(async move {
        for piece in pieces {
            if stream.send(piece).is_err() {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
}

pub(super) fn lively(call: &Value, fault: Fault, stream: mpsc::UnboundedSender<String>) {
    let steps = if fault == Fault::Lively { 10 } else { 200 };
    let notes: Vec<_> = (0..steps).filter_map(|step| progress(call, step)).map(|note| bytes::event(&note)).collect();
    let last = bytes::event(&answer(call));
    tokio::spawn(async move {
        for note in notes {
            if stream.send(note).is_err() {
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
        let _ = stream.send(last);
    });
}

pub(super) async fn gone(connection: &TcpStream) {
    // Nothing is sent up a stream, so whatever can be read is its end.
    let mut byte = [0];
    let _ = connection.peek(&mut byte).await;
}
