use crate::{
    BoxError, Call, Method, Reply, Session,
    json::{Json, Params},
    registry::{Server, Sessions},
    reply::Outcome,
    upstream::{Hop, Outbound, Transport, era::Era, error::Replaced},
};
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::{Service, ServiceExt};

/// What the scripted server does with one message.
pub(super) enum Answer {
    Result(&'static str),
    Error(&'static str),
    Fail(BoxError),
    /// Nothing, ever.
    Silence,
    Reply(Reply),
    /// A result, once the semaphore has a permit.
    After(Arc<Semaphore>, &'static str),
}

pub(super) const MODERN: Answer = Answer::Result(r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#);
pub(super) const UNKNOWN: Answer = Answer::Error(r#"{"code":-32601,"message":"unknown method"}"#);
pub(super) const TOO_OLD: Answer = Answer::Error(r#"{"code":-32022,"message":"no"}"#);
pub(super) const GREETED: Answer = Answer::Result(
    r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"prompts":{}},"instructions":"hi","serverInfo":{"name":"old"}}"#,
);

type Script = Arc<dyn Fn(&Outbound, usize) -> Answer + Send + Sync>;

/// A transport that takes one message at a time if asked to, and answers by a script, which also gets told how many
/// messages of that method came before.
#[derive(Clone)]
pub(super) struct Mock {
    script: Script,
    pub(super) log: Arc<Mutex<Vec<Outbound>>>,
    pub(super) epoch: Arc<AtomicU64>,
    /// The ids of sessions that were ended.
    pub(super) ended: Arc<Mutex<Vec<String>>>,
    places: PollSemaphore,
    place: Option<Arc<OwnedSemaphorePermit>>,
}

impl Mock {
    pub(super) fn new(script: impl Fn(&Outbound, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            log: Arc::default(),
            epoch: Arc::new(AtomicU64::new(1)),
            ended: Arc::default(),
            places: PollSemaphore::new(Arc::new(Semaphore::new(1000))),
            place: None,
        }
    }

    pub(super) fn with_places(mut self, places: usize) -> Self {
        self.places = PollSemaphore::new(Arc::new(Semaphore::new(places)));
        self
    }

    /// The methods that came, in order.
    pub(super) fn methods(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|outbound| outbound.call.method.to_string()).collect()
    }

    pub(super) fn count(&self, method: Method) -> usize {
        self.log.lock().unwrap().iter().filter(|outbound| outbound.call.method == method).count()
    }

    pub(super) fn last(&self) -> Outbound {
        self.log.lock().unwrap().last().unwrap().clone()
    }
}

impl Service<Outbound> for Mock {
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.place.is_none() {
            self.place = ready!(self.places.poll_acquire(cx)).map(Arc::new);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, outbound: Outbound) -> Self::Future {
        let place = self.place.take().expect("made ready first");
        if outbound.hop.epoch != self.epoch.load(SeqCst) {
            return std::future::ready(Err(Replaced.into())).boxed();
        }
        let before = self.count(outbound.call.method.clone());
        let answer = (self.script)(&outbound, before);
        self.log.lock().unwrap().push(outbound);
        async move {
            let _place = place;
            // So that calls made at once are all on their way before the first is answered.
            tokio::task::yield_now().await;
            match answer {
                Answer::Result(text) => Ok(Outcome::Result(Json::from_static(text)).into()),
                Answer::Error(text) => Ok(Outcome::Error(Json::from_static(text)).into()),
                Answer::Fail(error) => Err(error),
                Answer::Silence => std::future::pending().await,
                Answer::Reply(reply) => Ok(reply),
                Answer::After(semaphore, text) => {
                    semaphore.acquire().await?.forget();
                    Ok(Outcome::Result(Json::from_static(text)).into())
                }
            }
        }
        .boxed()
    }
}

impl Transport for Mock {
    fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    async fn connected(&self) -> Result<u64, BoxError> {
        Ok(self.epoch())
    }

    fn end_session(&self, hop: &Hop) {
        let id = hop.session_id().unwrap().to_str().unwrap();
        self.ended.lock().unwrap().push(id.to_owned());
    }
}

pub(super) fn http(mock: &Mock) -> Era<Mock> {
    Era::new(mock.clone(), &Server::http("a", "a", "http://localhost/").unwrap())
}

pub(super) fn shared(mock: &Mock) -> Era<Mock> {
    Era::new(mock.clone(), &Server::http("a", "a", "http://localhost/").unwrap().sessions(Sessions::Shared))
}

pub(super) fn child(mock: &Mock) -> Era<Mock> {
    Era::new(mock.clone(), &Server::stdio("a", "a", "a"))
}

pub(super) fn call(method: Method, params: &str) -> Call {
    Call::new(method, Params::parse(Json::parse(params.to_owned()).unwrap()).unwrap())
}

/// A call of a client that opened with `initialize`.
pub(super) fn of(session: &Arc<Session>) -> Call {
    call(Method::TOOLS_LIST, "{}").with(|asked| asked.session = Some(session.clone()))
}

pub(super) async fn ask(era: &Era<Mock>, call: Call) -> Result<Outcome, BoxError> {
    era.clone().oneshot(call).await?.outcome().await
}

pub(super) async fn list(era: &Era<Mock>) -> Result<Outcome, BoxError> {
    ask(era, call(Method::TOOLS_LIST, "{}")).await
}
