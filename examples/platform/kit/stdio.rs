//! A server as a child process: one JSON-RPC message per line.

use std::{io, sync::Arc};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::{Server, rpc::Dialogue};

/// Serves the one client at the other end of stdin and stdout until it closes stdin.
pub(crate) async fn run<S: Server>(server: Arc<S>) -> io::Result<()> {
    let (dialogue, mut told) = Dialogue::new(server);
    let writer = tokio::spawn(async move {
        let mut out = tokio::io::stdout();
        while let Some(message) = told.recv().await {
            out.write_all(format!("{message}\n").as_bytes()).await?;
            out.flush().await?;
        }
        io::Result::Ok(())
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str::<Value>(&line) {
            Ok(message) => dialogue.hear(message),
            Err(error) => eprintln!("skipped a line that is no message: {error}"),
        }
    }
    drop(dialogue);
    writer.abort();
    Ok(())
}
