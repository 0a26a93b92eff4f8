use super::{Phase, Shared, Use};
use crate::{
    BoxError, Method, Reply,
    json::Params,
    reply::{Event, Note},
    upstream::{
        Hop,
        error::{SessionLost, SessionRefused, Status},
        hop::MISSED,
        http::{Endpoint, MAX_UNREAD},
    },
};
use futures_util::stream;
use http::StatusCode;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::{
    broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    watch,
};

/// What an initialize-era server says outside of calls, for as long as the reply lives.
///
/// That is what it says in any of its sessions: some tell of a changed list only where a client's call changed it.
///
/// # Errors
///
/// [`Status`] if the server has no stream for it, [`SessionLost`] if it does not know the session any more,
/// [`SessionRefused`] if it may be either.
///
/// Of resources it tells only what is said in the session of `hop`, where they were subscribed to; if `own`, that is all it
/// tells.
pub(in crate::upstream::http) async fn listen(
    endpoint: Arc<Endpoint>,
    hop: Arc<Hop>,
    own: bool,
) -> Result<Reply, BoxError> {
    let notes = endpoint.notes.subscribe();
    let line = &hop.line;
    let listening = Listening::new(&line.shared);
    let open = line.enter(&endpoint, &hop);
    line.ready().await;
    match line.phase() {
        Phase::Absent => return Err(Status(StatusCode::METHOD_NOT_ALLOWED).into()),
        phase @ (Phase::Lost | Phase::Refused) => return Err(gone(phase)),
        Phase::Closed => line.shared.lock().missed = true,
        Phase::Open => {}
    }
    let phase = line.shared.phase.subscribe();
    let (session, due) = (line.number(), VecDeque::new());
    let listener = Listener { notes, session, own, phase, due, _held: (listening, open, hop) };
    Ok(Reply::stream(stream::unfold(listener, |mut listener| async move {
        Some((listener.next().await.map(Event::from), listener))
    })))
}

/// Why a stream will not come again: a listener that was told so asks anew, and finds out which it was.
fn gone(phase: Phase) -> BoxError {
    match phase {
        Phase::Refused => SessionRefused::new(StatusCode::BAD_REQUEST, None).into(),
        _ => SessionLost.into(),
    }
}

struct Listener {
    notes: Receiver<(usize, Note)>,
    /// The session whose resources it tells of.
    session: usize,
    own: bool,
    phase: watch::Receiver<Phase>,
    due: VecDeque<Note>,
    /// The stream is open while this is there.
    _held: (Listening, Use, Arc<Hop>),
}

/// Counts a listener.
struct Listening(Arc<Shared>);

impl Listening {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.lock().listeners += 1;
        Self(shared.clone())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.lock().listeners -= 1;
    }
}

impl Listener {
    async fn next(&mut self) -> Result<Note, BoxError> {
        loop {
            if let Some(note) = self.due.pop_front() {
                return Ok(note);
            }
            self.hear().await?;
        }
    }

    async fn hear(&mut self) -> Result<(), BoxError> {
        let heard = tokio::select! {
            heard = self.notes.recv() => heard,
            phase = self.phase.wait_for(|phase| matches!(phase, Phase::Lost | Phase::Refused)) => {
                return Err(gone(phase.map_or(Phase::Lost, |phase| *phase)));
            }
        };
        // No more at a time than may wait, or a server that writes faster than this reads would never let it go.
        let (mut next, mut taken) = (Some(heard), 0);
        while let Some(heard) = next {
            match heard {
                Ok((session, note)) if self.concerns(session, &note) => self.push(note),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    MISSED.into_iter().for_each(|method| self.push(Note::new(method, Params::empty())));
                }
                Err(RecvError::Closed) => return Err(SessionLost.into()),
            }
            taken += 1;
            next = match taken < MAX_UNREAD {
                true => self.further(),
                false => None,
            };
        }
        Ok(())
    }

    /// What has arrived beside, also that there was too much of it.
    fn further(&mut self) -> Option<Result<(usize, Note), RecvError>> {
        match self.notes.try_recv() {
            Ok(note) => Some(Ok(note)),
            Err(TryRecvError::Lagged(missed)) => Some(Err(RecvError::Lagged(missed))),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    fn concerns(&self, session: usize, note: &Note) -> bool {
        session == self.session || !(self.own || note.method == Method::RESOURCES_UPDATED)
    }

    /// A note that says the same as one which waits is superfluous: every session may have been told.
    fn push(&mut self, note: Note) {
        let same = |due: &Note| {
            due.method == note.method
                && (note.method != Method::RESOURCES_UPDATED || due.params.uri() == note.params.uri())
        };
        if !self.due.iter().any(same) {
            self.due.push_back(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{json::Json, upstream::http::Line};
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn of_a_server_that_never_pauses_no_more_is_heard_at_a_time_than_may_wait() {
        let shared = Line::default().shared.clone();
        shared.users.send_modify(|users| *users += 1);
        let (listening, open) = (Listening::new(&shared), Use(shared.clone()));
        let (sender, notes) = broadcast::channel(4 * MAX_UNREAD);
        let (phase, due, hop) = (shared.phase.subscribe(), VecDeque::new(), Arc::new(Hop::new(None, 1)));
        let mut listener = Listener { notes, session: 1, own: false, phase, due, _held: (listening, open, hop) };
        for at in 0..4 * MAX_UNREAD {
            let params = Json::parse(format!("{{\"uri\":\"file:///{at}\"}}")).unwrap();
            let note = Note::new(Method::RESOURCES_UPDATED, Params::parse(params).unwrap());
            sender.send((1, note)).unwrap();
        }
        for _ in 0..4 {
            listener.hear().await.unwrap();
            assert_eq!(listener.due.drain(..).len(), MAX_UNREAD, "and none is lost between");
        }
    }
}
