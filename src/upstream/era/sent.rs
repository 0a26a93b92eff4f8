use super::{
    agreed::Agreed,
    lane::Lane,
    service::{Conversation, Tries},
};
use crate::{BoxError, Call, Reply, upstream::Transport};
use futures_util::{FutureExt, future::BoxFuture};
use std::{ops::ControlFlow, sync::Arc};

/// A call at the transport, with what it was sent under.
pub(super) struct Sent<T> {
    pub(super) conversation: Arc<Conversation<T>>,
    pub(super) call: Call,
    pub(super) lane: Arc<Lane>,
    pub(super) agreed: Arc<Agreed>,
}

impl<T> Sent<T> {
    /// Whether the server has to be asked anew what it speaks.
    pub(super) fn is_other_revision(&self, reply: &Reply) -> bool {
        Conversation::<T>::is_other_revision(reply, &self.agreed)
    }
}

impl<T: Transport> Sent<T> {
    pub(super) fn unworded(&self, reply: Reply) -> Reply {
        self.conversation.unworded(reply, &self.call, &self.lane, &self.agreed)
    }
}

/// Sends a call again, after another handshake.
pub(super) fn anew<T: Transport>(sent: Sent<T>) -> BoxFuture<'static, Result<Reply, BoxError>> {
    sent.conversation.begin_anew(&sent.lane, &sent.agreed);
    sent.conversation.drive(sent.call, Tries::once()).boxed()
}

/// Sends a call again that was turned away once, unless that is what it comes to.
pub(super) fn again<T: Transport>(sent: Sent<T>, error: BoxError) -> BoxFuture<'static, Result<Reply, BoxError>> {
    let turned = async move {
        let Sent { conversation, call, lane, agreed } = &sent;
        let mut tries = Tries::once();
        match conversation.turned_away(error, call, lane, agreed, &mut tries).await {
            ControlFlow::Continue(()) => sent.conversation.drive(sent.call, tries).await,
            ControlFlow::Break(ended) => ended.map(|reply| sent.unworded(reply)),
        }
    };
    turned.boxed()
}
