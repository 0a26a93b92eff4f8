use super::{Hub, inbox::Inbox, topic::Holder};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a client's acknowledgement waits for those of servers. A server that needs longer is not waited for by a
/// client, which is told that the URI is not honoured and may ask again.
const PATIENCE: Duration = Duration::from_secs(5);

/// One listener's part in the subscriptions to resources; dropping it ends it, in sessions of its own as well.
#[derive(Debug)]
pub(in crate::subscribe) struct Subscription {
    hub: Hub,
    holder: Holder,
    uris: Vec<Arc<str>>,
    inbox: Arc<Inbox>,
}

impl Subscription {
    pub(super) fn new(hub: Hub, holder: Holder, uris: Vec<Arc<str>>, inbox: Arc<Inbox>) -> Self {
        Self { hub, holder, uris, inbox }
    }

    /// Waits until servers have said of each URI whether they tell of its changes.
    pub(in crate::subscribe) async fn decided(&self) {
        // Late means no; `honoured` makes it so.
        let _ = timeout(PATIENCE, self.inbox.decided()).await;
    }

    /// The URIs of which a server tells, in the order they were asked for; the others are let go.
    pub(in crate::subscribe) fn honoured(&self) -> impl Iterator<Item = &str> {
        let honoured = self.inbox.close();
        let refused = self.uris.iter().zip(&honoured).filter(|(_, honoured)| !**honoured).map(|(uri, _)| uri);
        self.hub.release(&self.holder, refused);
        self.uris.iter().zip(honoured).filter(|(_, honoured)| *honoured).map(|(uri, _)| &**uri)
    }

    /// The next URI whose resource has been updated. Dropping the future loses nothing.
    pub(in crate::subscribe) async fn updated(&self) -> &str {
        &self.uris[self.inbox.next().await]
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.release(&self.holder, self.uris.iter());
    }
}
