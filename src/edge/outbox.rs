use bytes::Bytes;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::ready,
};
use tokio::sync::{Notify, mpsc};

/// Messages that wait for one client to read them. A client that does not read stops its own calls, each of which waits
/// here with one message more.
const MESSAGES: usize = 64;

/// What may wait for one client, in bytes: with so much, no call's next message is taken, which stays where it counts as
/// in flight. One message may be larger, and goes alone.
const BYTES: usize = 1 << 20;

/// Where all messages of one client go that has one stream or pipe for them.
pub(super) fn channel() -> (Outbox, Inbox) {
    let (sender, messages) = mpsc::channel(MESSAGES);
    (Outbox { sender, room: Arc::default() }, Inbox { messages })
}

/// The end that calls write to.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    sender: mpsc::Sender<Waiting>,
    room: Arc<Room>,
}

/// The end that the client reads from.
#[derive(Debug)]
pub(super) struct Inbox {
    messages: mpsc::Receiver<Waiting>,
}

/// A message that has not been read; dropping it makes room.
#[derive(Debug)]
pub(super) struct Waiting {
    message: Bytes,
    room: Arc<Room>,
}

#[derive(Debug, Default)]
struct Room {
    bytes: AtomicUsize,
    freed: Notify,
}

impl Outbox {
    /// Waits for a place; `None` once nobody reads any more.
    pub(super) async fn send(&self, message: Bytes) -> Option<()> {
        self.room.bytes.fetch_add(message.len(), Ordering::Relaxed);
        let waiting = Waiting { message, room: self.room.clone() };
        self.sender.send(waiting).await.ok()
    }

    /// Does what makes the next message, as long as there is room for one: it is not even polled while there is none, so
    /// that a call keeps all that it holds until its answer can be taken.
    pub(super) async fn when_free<T>(&self, making: impl Future<Output = T>) -> T {
        let (mut making, mut freed) = (pin!(making), pin!(self.room.freed()));
        poll_fn(|cx| {
            if self.room.is_full() {
                ready!(freed.as_mut().poll(cx));
                freed.set(self.room.freed());
            }
            making.as_mut().poll(cx)
        })
        .await
    }
}

impl Room {
    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= BYTES
    }

    async fn freed(&self) {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if !self.is_full() {
                return;
            }
            freed.await;
        }
    }
}

impl Inbox {
    #[cfg(feature = "legacy")]
    pub(super) fn poll_recv(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Waiting>> {
        self.messages.poll_recv(cx)
    }

    /// Takes up to `most` messages that are there, once there is one.
    #[cfg(any(feature = "stdio", test))]
    pub(super) async fn recv_many(&mut self, into: &mut Vec<Waiting>, most: usize) -> usize {
        self.messages.recv_many(into, most).await
    }
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let before = self.room.bytes.fetch_sub(self.message.len(), Ordering::Relaxed);
        if before >= BYTES && before - self.message.len() < BYTES {
            self.room.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::ready as now, task::Poll};
    use tokio_test::{assert_pending, assert_ready_eq, task::spawn};

    #[tokio::test]
    async fn what_makes_the_next_message_is_not_polled_while_the_client_has_not_read_enough() {
        let (outbox, mut inbox) = channel();
        assert_eq!(outbox.when_free(now(1)).await, 1);
        outbox.send(Bytes::from(vec![b' '; BYTES - 1])).await.unwrap();
        assert_eq!(outbox.when_free(now(2)).await, 2);
        outbox.send(Bytes::from_static(b"{}")).await.unwrap();

        let mut polled = 0;
        let mut making = spawn(outbox.when_free(poll_fn(|_| {
            polled += 1;
            Poll::Ready(3)
        })));
        assert_pending!(making.poll());
        let mut read = Vec::new();
        assert_eq!(inbox.recv_many(&mut read, 1).await, 1);
        assert!(!making.is_woken(), "it is not written yet");
        read.clear();
        assert!(making.is_woken());
        assert_ready_eq!(making.poll(), 3);
        drop(making);
        assert_eq!(polled, 1);
    }

    #[tokio::test]
    async fn what_is_never_read_gives_its_room_back() {
        let (outbox, inbox) = channel();
        outbox.send(Bytes::from(vec![b' '; 2 * BYTES])).await.unwrap();
        assert!(outbox.room.is_full());
        drop(inbox);
        assert!(!outbox.room.is_full());
        assert_eq!(outbox.send(Bytes::from_static(b"{}")).await, None);
    }
}
