use super::{Ear, Heard};
use crate::{
    BoxError, Call, Method, Reply,
    error::never_sent,
    json::Json,
    reply::Event,
    upstream::{
        Hop, OfClient,
        error::{SessionLost, SessionRefused},
        http::{
            Endpoint,
            exchange::Exchange,
            question::Questions,
            reading::{self, Reading},
        },
    },
};
use std::{
    sync::Arc,
    task::{Context, Poll},
};

/// A call of a client in a session, with what the server says to it beside its response: questions and log messages on
/// the session's own stream, which may come before so much as the head of the response.
pub(in crate::upstream::http) async fn told(
    endpoint: Arc<Endpoint>,
    call: Call,
    hop: Arc<Hop>,
    of: OfClient,
) -> Result<Reply, BoxError> {
    let id = endpoint.next_id();
    let ear = hop.line.join(&endpoint, &hop, id, (&call, of));
    let told = Told {
        questions: Questions::new(&endpoint, &hop),
        token: call.params.progress_token(),
        exchange: Exchange::begin(endpoint, id, &call, hop.clone()),
        ear,
        hop,
    };
    if of.hears {
        told.hop.line.ready().await;
    }
    reading::reply(told).await
}

struct Told {
    /// Those on the stream of the session; the response has its own.
    questions: Questions,
    exchange: Exchange,
    ear: Ear,
    token: Option<Json>,
    hop: Arc<Hop>,
}

impl Reading for Told {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>> {
        self.questions.poll_answers(cx);
        // What was said before the end comes before the end.
        while let Poll::Ready(heard) = self.ear.poll_hear(cx) {
            if let Some(event) = self.heard(heard) {
                return Poll::Ready(Some(Ok(event)));
            }
        }
        let event = self.exchange.poll_event(cx);
        match &event {
            Poll::Ready(Some(Ok(Event::Done(_)))) => self.ear.over(),
            Poll::Ready(Some(Err(error))) => self.failed(error),
            _ => {}
        }
        event
    }
}

impl Drop for Told {
    /// The server asks nothing for a call that it never saw.
    fn drop(&mut self) {
        if !self.exchange.is_sent() {
            self.ear.over();
        }
    }
}

impl Told {
    fn heard(&mut self, heard: Heard) -> Option<Event> {
        match heard {
            Heard::Ask(id, method, params) => self.questions.asked(id, method, params).map(|ask| ask.inferred().into()),
            Heard::Note(mut note) if note.method == Method::PROGRESS => {
                let token = self.token.as_ref()?;
                note.params.tell(token);
                Some(note.into())
            }
            Heard::Note(note) => Some(note.into()),
            Heard::Withdrawn(id) => {
                self.questions.withdraw(&id);
                None
            }
        }
    }

    fn failed(&mut self, error: &BoxError) {
        if crate::error::find::<SessionLost>(&**error).is_some() {
            self.ear.over();
            // Who listens begins anew in the session that comes after this one.
            self.hop.line.close();
        } else if never_sent(&**error) || crate::error::find::<SessionRefused>(&**error).is_some() {
            self.ear.over();
        }
    }
}
