use super::{Endpoint, body::Messages};
use crate::{
    BoxError, Method, Reply,
    json::{Message, Params},
    reply::{Event, Note},
    upstream::{ask, backoff::Backoff, error::SessionLost, hop::Hop},
};
use futures_util::stream;
use http::{HeaderValue, StatusCode};
use std::{collections::VecDeque, future, sync::Arc, time::Duration};

/// What a server said while nobody listened may have been any of these.
const MISSED: [Method; 3] = [Method::TOOLS_LIST_CHANGED, Method::PROMPTS_LIST_CHANGED, Method::RESOURCES_LIST_CHANGED];

/// The longest wait before the next attempt that a server may ask for.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Opens the GET stream of an initialize-era session and reads it for as long as the reply lives.
pub(super) fn open(endpoint: Arc<Endpoint>, hop: Arc<Hop>) -> Reply {
    let channel = Channel {
        endpoint,
        hop,
        state: State::Closed,
        opened: false,
        last_event_id: None,
        backoff: Backoff::default(),
        due: VecDeque::new(),
    };
    Reply::stream(stream::unfold(channel, |mut channel| async move {
        Some((channel.next().await.map(Event::Note), channel))
    }))
}

/// The channel for what a server says outside of calls.
#[derive(Debug)]
struct Channel {
    endpoint: Arc<Endpoint>,
    hop: Arc<Hop>,
    state: State,
    /// Whether the stream was open before.
    opened: bool,
    /// After which event it can go on.
    last_event_id: Option<HeaderValue>,
    backoff: Backoff,
    due: VecDeque<Note>,
}

#[derive(Debug)]
enum State {
    Closed,
    Open(Box<Messages>),
    /// The server has no such stream; the revision allows that.
    Absent,
}

impl Channel {
    async fn next(&mut self) -> Result<Note, BoxError> {
        loop {
            if let Some(note) = self.due.pop_front() {
                return Ok(note);
            }
            match &mut self.state {
                State::Absent => future::pending().await,
                State::Closed => self.open().await?,
                State::Open(messages) => match messages.next().await {
                    Ok(Some(message)) => {
                        self.backoff.reset();
                        self.take(message);
                    }
                    // Whatever broke the stream, a new one is what mends it.
                    Ok(None) | Err(_) => {
                        let wanted = messages.retry.unwrap_or_default().min(LONGEST_RETRY);
                        self.last_event_id = messages.last_event_id.take();
                        self.state = State::Closed;
                        tokio::time::sleep(self.backoff.next().max(wanted)).await;
                    }
                },
            }
        }
    }

    async fn open(&mut self) -> Result<(), BoxError> {
        let request = self.endpoint.get(&self.hop, self.last_event_id.as_ref());
        let response = self.endpoint.client.send(request).await;
        let messages = match response.map(|response| (response.status(), response)) {
            Ok((StatusCode::OK, response)) => Messages::read(response, self.endpoint.client.limit()).ok(),
            // The stream was there before, so it is the session that is not found.
            Ok((StatusCode::NOT_FOUND, _)) if self.opened => return Err(SessionLost.into()),
            Ok((StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _)) | Err(_) => return self.wait().await,
            Ok((status, _)) if status.is_server_error() => return self.wait().await,
            // It may be the event that is not known any more.
            Ok(_) if self.last_event_id.is_some() => return self.wait().await,
            Ok(_) => None,
        };
        let Some(messages) = messages.filter(Messages::is_stream) else {
            self.state = State::Absent;
            return Ok(());
        };
        // A stream that goes on after the last event replays what was said meanwhile.
        if self.opened && self.last_event_id.is_none() {
            self.due.extend(MISSED.map(|method| Note::new(method, Params::empty())));
        }
        self.opened = true;
        self.state = State::Open(Box::new(messages));
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), BoxError> {
        self.last_event_id = None;
        tokio::time::sleep(self.backoff.next()).await;
        Ok(())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Notification { method, params } => {
                if let Ok(params) = Params::parse(params) {
                    self.due.push_back(Note::new(method, params));
                }
            }
            // Asked outside of every call, so there is nobody to ask.
            Message::Request { id, method, .. } => {
                let frame = ask::at_once(&id, &method).unwrap_or_else(|| ask::nobody(&id));
                self.endpoint.client.detach(self.endpoint.post(&self.hop, None, frame));
            }
            // Answers come with the request they answer.
            Message::Response { .. } => {}
        }
    }
}
