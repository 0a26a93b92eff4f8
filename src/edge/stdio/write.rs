use crate::edge::outbox::Inbox;
use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// The most messages written at once.
const BATCH: usize = 32;

/// Writes messages, one a line, until nobody can send any more; what waits together goes out together.
pub(super) async fn write<W: AsyncWrite + Unpin>(mut messages: Inbox, mut output: W) -> io::Result<()> {
    let (mut batch, mut lines) = (Vec::with_capacity(BATCH), Vec::new());
    while messages.recv_many(&mut batch, BATCH).await > 0 {
        for message in &batch {
            // A server's JSON may stretch over lines, which here end a message. Between JSON's tokens alone.
            lines.extend(message.as_ref().iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            lines.push(b'\n');
        }
        output.write_all(&lines).await?;
        output.flush().await?;
        // Not before it is written: there is no room for more while the client does not read.
        batch.clear();
        lines.clear();
        // One large answer must not be paid for ever after.
        lines.shrink_to(64 << 10);
    }
    Ok(())
}
