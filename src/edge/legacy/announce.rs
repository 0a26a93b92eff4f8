use super::{feed::listen, session::Entry, sse::send, stream::Notices};
use crate::{
    Method,
    edge::running::Inner,
    error::explain,
    reply::{Event, Outcome},
};
use futures_util::{StreamExt, stream};
use http::Extensions;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a session waits before it listens again after that was refused or broke off, doubled each time up to a
/// minute: a place may be free soon, and ten thousand sessions that ask each second for one would be a load of their own.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Tells a client all of whose messages go into one queue of what changes outside of calls, until `over`. Only the first
/// time it is said, since it goes on for as long as the session.
///
/// Such a client cannot ask again where listening fails, as one of Streamable HTTP does with another GET. So it is tried
/// until it works, and at once where the client subscribes to something.
pub(in crate::edge) fn announce<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    over: CancellationToken,
) {
    if entry.client().is_some() && entry.feed().is_first_reader() {
        tokio::spawn(over.run_until_cancelled_owned(tell(inner.clone(), entry.clone(), extensions)));
    }
}

/// Why nothing is heard any more.
enum End {
    /// The client takes nothing.
    Gone,
    /// There is nothing to listen to.
    Nothing,
    /// It was refused, until then if that was said, or broke off.
    Broken(Option<Duration>),
}

async fn tell<S: Inner>(inner: Arc<S>, entry: Arc<Entry>, extensions: Extensions) {
    let mut pause = PAUSE;
    loop {
        let end = hear(&inner, &entry, extensions.clone(), &mut pause).await;
        let subscribed = entry.feed().subscribed();
        match end {
            End::Gone => return,
            End::Nothing => subscribed.await,
            End::Broken(until) => {
                let _ = timeout(until.unwrap_or_default().max(pause), subscribed).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Listens once, and passes on what is heard.
async fn hear<S: Inner>(inner: &Arc<S>, entry: &Arc<Entry>, extensions: Extensions, pause: &mut Duration) -> End {
    let Some(place) = entry.listen() else { return End::Broken(None) };
    let Some((first, rest)) = listen(inner, entry, extensions, place).await else { return End::Broken(None) };
    let (mut events, mut notices) = (stream::iter(first).chain(rest), Notices::of(entry));
    let mut end = End::Broken(None);
    while let Some(event) = events.next().await {
        match &event {
            Ok(Event::Note(note)) if note.method == Method::LISTEN_ACKNOWLEDGED => *pause = PAUSE,
            Ok(Event::Done(Outcome::Error(_))) => end = End::Nothing,
            Err(error) => end = End::Broken(explain(&**error).retry_after),
            Ok(_) => {}
        }
        if let Some(message) = notices.take(event)
            && send(entry, entry.ended().cancelled(), message).await.is_none()
        {
            return End::Gone;
        }
    }
    end
}
