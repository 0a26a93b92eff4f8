use crate::{
    Call, Method,
    edge::{
        answer::append,
        error::Refusal,
        modern::{check_body, missing, supported},
        outbox::Outbox,
        running::{Inner, Running},
        writer::Writer,
    },
    error::Problem,
    json::{Id, Json, Params, write},
    meta,
    reply::{Event, Outcome},
};
use bytes::Bytes;
use futures_util::StreamExt;
use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// The requests that stand for themselves.
pub(super) struct Modern<S> {
    inner: Arc<S>,
    queue: Outbox,
    running: Arc<Mutex<HashMap<Id, CancellationToken>>>,
    /// Cancelled when calls must end.
    ended: CancellationToken,
    /// Cancelled when what only listens is over.
    over: CancellationToken,
}

/// Whether this is a message of a request that stands for itself.
pub(super) fn claims(params: &Params) -> bool {
    params.meta_member(meta::PROTOCOL_VERSION).is_some()
}

impl<S: Inner> Modern<S> {
    /// The most calls in flight: far above what one client asks at once, and few enough that one that never reads its
    /// answers keeps a bounded number of them here.
    const MAX_CALLS: usize = 256;

    pub(super) fn new(inner: Arc<S>, queue: Outbox, ended: CancellationToken, over: CancellationToken) -> Self {
        Self { inner, queue, running: Arc::default(), ended, over }
    }

    pub(super) fn request(&self, id: Id, method: Method, params: Params) -> Result<(), Refusal> {
        check(&method, &params).map_err(|problem| Refusal::from(problem).with_id(&id))?;
        let listens = method == Method::LISTEN;
        let place = self.begin(&id)?;
        let writer = Writer::modern(id, &method);
        let mut running = Running::start(&self.inner, Call::new(method, params));
        let (queue, over) = (self.queue.clone(), self.over.clone());
        tokio::spawn(async move {
            let answered = async {
                loop {
                    let event = tokio::select! {
                        biased;
                        event = queue.when_free(running.next()) => event?,
                        () = over.cancelled(), if listens => Ok(Event::Done(Outcome::Result(Json::from_static("{}")))),
                    };
                    let done = matches!(event, Ok(Event::Done(_)));
                    let mut message = Vec::new();
                    append(&writer, event, &mut message);
                    if !message.is_empty() {
                        queue.send(message.into()).await?;
                    }
                    // Over pipes the end of a subscription is said in both ways that the revision knows.
                    if done && listens {
                        return queue.send(taken_back(&place.id)).await;
                    }
                }
            };
            place.token.run_until_cancelled(answered).await;
        });
        Ok(())
    }

    /// A notification as something to hand on.
    pub(super) fn told(&self, method: Method, params: Params) -> Running {
        Running::start(&self.inner, Call::new(method, params))
    }

    /// Takes back the running call with this id, if there is one.
    pub(super) fn cancel(&self, id: &Id) {
        let token = lock(&self.running).get(id).cloned();
        if let Some(token) = token {
            token.cancel();
        }
    }

    fn begin(&self, id: &Id) -> Result<Place, Refusal> {
        let mut running = lock(&self.running);
        let full = running.len() >= Self::MAX_CALLS;
        match running.entry(id.clone()) {
            hash_map::Entry::Occupied(_) => {
                Err(Refusal::invalid("a request with this id is still running").with_id(id))
            }
            hash_map::Entry::Vacant(_) if full => {
                let problem = Problem::new(503, "overloaded", "too many calls are in flight");
                Err(Refusal::from(problem.with_retry_after(Duration::from_secs(1))).with_id(id))
            }
            hash_map::Entry::Vacant(vacant) => {
                let token = self.ended.child_token();
                vacant.insert(token.clone());
                Ok(Place { id: id.clone(), token, running: self.running.clone() })
            }
        }
    }
}

/// The place of one running call, given back when it is dropped.
struct Place {
    id: Id,
    token: CancellationToken,
    running: Arc<Mutex<HashMap<Id, CancellationToken>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.id);
    }
}

/// The map is whole at every step, so a panic elsewhere leaves nothing broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(method: &Method, params: &Params) -> Result<(), Problem> {
    let version = params.meta_member(meta::PROTOCOL_VERSION).and_then(|version| version.read::<String>().ok());
    supported(&version.ok_or_else(|| missing(meta::PROTOCOL_VERSION))?)?;
    check_body(method, params)
}

fn taken_back(id: &Id) -> Bytes {
    write::notification(&Method::CANCELLED, format!("{{\"requestId\":{}}}", id.as_str()).as_bytes())
}
