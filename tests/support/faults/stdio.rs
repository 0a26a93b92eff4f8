//! The misbehaving server as a child, and the test's side of it.

use super::{Fault, answer, progress, routine, unknown};
use crate::support::servers::example;
use serde_json::Value;
use std::{fs::OpenOptions, io::Write, path::Path, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    sync::mpsc,
    time::sleep,
};
use tower_mcp_gateway::registry::Server;

/// The child as an entry of a gateway's configuration; it appends the key of each call to the file `ledger`.
pub fn child(id: &str, name: &str, ledger: &Path) -> Server {
    let program = example("peer").display().to_string();
    Server::stdio(id, name, program).arg("faults").arg(ledger.display().to_string())
}

/// Serves stdin and stdout until stdin is closed.
pub async fn run(ledger: &str) {
    let (sender, mut frames) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        let mut out = tokio::io::stdout();
        while let Some(frame) = frames.recv().await {
            if out.write_all(frame.as_bytes()).await.is_err() || out.flush().await.is_err() {
                return;
            }
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        let say = |text: String| drop(sender.send(text + "\n"));
        match message["method"].as_str() {
            Some("tools/call") => {
                let mut book = OpenOptions::new().append(true).create(true).open(ledger).expect("a ledger");
                let key = message["params"]["arguments"]["key"].as_str().unwrap_or_default();
                writeln!(book, "{key}").expect("writing the ledger");
                misbehave(&message, &sender).await;
            }
            Some(_) if message.get("id").is_some() => {
                say(routine(&message, false).map_or_else(|| unknown(&message), |result| result.to_string()));
            }
            _ => {}
        }
    }
}

fn stop() {
    let me = std::process::id().to_string();
    std::process::Command::new("kill").args(["-STOP", &me]).status().expect("a shell's kill as a program");
}

async fn misbehave(call: &Value, out: &mpsc::UnboundedSender<String>) {
    let fault = Fault::of(call);
    let say = |text: String| drop(out.send(text));
    match fault {
        Fault::Crash | Fault::Reset | Fault::Close => std::process::exit(1),
        Fault::Deaf => std::future::pending().await,
        Fault::Stop => stop(),
        Fault::StopLater => {
            say(answer(call) + "\n");
            // Long enough for the writer to have written it.
            sleep(Duration::from_millis(50)).await;
            stop();
        }
        Fault::Busy => {
            sleep(Duration::from_secs(4)).await;
            say(answer(call) + "\n");
        }
        Fault::Cut => {
            say("{\"jsonrpc\":".into());
            // Long enough for the writer to have written it.
            sleep(Duration::from_millis(50)).await;
            std::process::exit(1);
        }
        Fault::StallBody => {
            // What follows on the line is the next answer; a line of its own ends the damage.
            say("{\"jsonrpc\": \n".into());
        }
        Fault::HugeBody | Fault::HugeEvent => {
            let piece = "x".repeat(1 << 20);
            say(format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"content\":[],\"x\":\"", call["id"]));
            (0..16).for_each(|_| say(piece.clone()));
            say("\"}}\n".into());
        }
        Fault::Progress | Fault::Lively => {
            let (call, out) = (call.clone(), out.clone());
            let steps = if fault == Fault::Lively { 10 } else { 200 };
            tokio::spawn(async move {
                for step in 0..steps {
                    progress(&call, step).into_iter().for_each(|note| drop(out.send(note + "\n")));
                    sleep(Duration::from_millis(300)).await;
                }
                drop(out.send(answer(&call) + "\n"));
            });
        }
        _ => fault.message(call).into_iter().for_each(|text| say(text + "\n")),
    }
}
