use super::{refused, result};
use crate::{
    BoxError, Call, Method, Reply,
    catalog::{Kind, Refresh, Update},
    json::{Json, Params},
    reply::{Event, Note, Outcome},
    route::{Pool, Table, Tables},
    upstream::error::Connect,
};
use futures_util::{StreamExt, stream};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tower::{Service, service_fn};

type Told = mpsc::UnboundedReceiver<Result<Event, BoxError>>;

/// A server whose listen streams, and whose state, the test holds in its hand.
#[derive(Clone, Default)]
struct Server {
    listed: Arc<AtomicUsize>,
    /// Streams to give out, one per listen; without one, listening is refused.
    streams: Arc<Mutex<Vec<Told>>>,
    down: Arc<Mutex<bool>>,
}

impl Server {
    fn telling(&self) -> mpsc::UnboundedSender<Result<Event, BoxError>> {
        let (tell, told) = mpsc::unbounded_channel();
        tell.send(note(Method::LISTEN_ACKNOWLEDGED)).unwrap();
        self.streams.lock().unwrap().insert(0, told);
        tell
    }

    fn answer(&self, call: &Call) -> Result<Reply, BoxError> {
        if *self.down.lock().unwrap() {
            return Err(Connect("refused".into()).into());
        }
        if call.method == Method::LISTEN {
            let Some(told) = self.streams.lock().unwrap().pop() else { return Ok(refused(-32601)) };
            let events = stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) });
            return Ok(Reply::stream(events));
        }
        if call.method == Method::DISCOVER {
            return Ok(result(r#"{"capabilities":{"tools":{}}}"#));
        }
        let count = self.listed.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(result(&format!(r#"{{"tools":[{{"name":"t{count}"}}]}}"#)))
    }

    fn service(
        &self,
    ) -> impl Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static {
        let server = self.clone();
        service_fn(move |call: Call| std::future::ready(server.answer(&call)))
    }

    fn run(&self) -> (mpsc::Receiver<Update>, Arc<Notify>) {
        let (updates, arriving) = mpsc::channel(1);
        let wake = Arc::new(Notify::new());
        tokio::spawn(Refresh::new("e-1", self.service(), updates).wake(wake.clone()).run());
        (arriving, wake)
    }
}

fn note(method: Method) -> Result<Event, BoxError> {
    Ok(Event::from(Note::new(method, Params::empty())))
}

async fn name(arriving: &mut mpsc::Receiver<Update>) -> String {
    let update = arriving.recv().await.unwrap();
    assert_eq!(update.endpoint.as_str(), "e-1");
    update.result.unwrap().list(Kind::Tools).items[0].key.to_string()
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_has_changed_is_told_whatever_its_list_shows() {
    let server = Server::default();
    let tell = server.telling();
    let (mut arriving, _) = server.run();
    assert_eq!(arriving.recv().await.unwrap().told, []);
    for method in [Method::RESOURCES_LIST_CHANGED, Method::TOOLS_LIST_CHANGED, Method::RESOURCES_LIST_CHANGED] {
        tell.send(note(method)).unwrap();
    }
    assert_eq!(arriving.recv().await.unwrap().told, [Kind::Resources, Kind::Tools]);

    let (tables, table) = (Tables::new(Table::<Pool>::default()), Table::default);
    tables.replace_and_tell(table(), true, &[Kind::Resources, Kind::Resources]);
    let versions = *tables.versions().borrow();
    assert_eq!((versions.tools, versions.prompts, versions.resources), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_changes_is_one_listing_and_at_most_one_a_second() {
    let server = Server::default();
    let tell = server.telling();
    let (mut arriving, _) = server.run();
    assert_eq!(name(&mut arriving).await, "t1");
    let start = Instant::now();
    for _ in 0..100 {
        tell.send(note(Method::TOOLS_LIST_CHANGED)).unwrap();
    }
    assert_eq!(name(&mut arriving).await, "t2");
    assert!(start.elapsed() >= Duration::from_secs(1));
    tell.send(note(Method::RESOURCES_LIST_CHANGED)).unwrap();
    assert_eq!(name(&mut arriving).await, "t3");
    assert!(start.elapsed() >= Duration::from_secs(2));
    tell.send(note(Method::PROGRESS)).unwrap();
    let quiet = tokio::time::timeout(Duration::from_secs(3600), arriving.recv()).await;
    assert!(quiet.is_err(), "nothing changed, so nothing is listed");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_is_opened_again_and_the_lists_count_as_changed() {
    let server = Server::default();
    let (first, second) = (server.telling(), server.telling());
    let (mut arriving, _) = server.run();
    assert_eq!(name(&mut arriving).await, "t1");
    first.send(Ok(Event::Done(Outcome::Result(Json::from_static("{}"))))).unwrap();
    assert_eq!(name(&mut arriving).await, "t2");
    tokio::time::sleep(Duration::from_secs(5)).await;
    second.send(note(Method::PROMPTS_LIST_CHANGED)).unwrap();
    assert_eq!(name(&mut arriving).await, "t3");
    second.send(Err("cut".into())).unwrap();
    assert_eq!(name(&mut arriving).await, "t4");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_to_tell_is_listed_seldom() {
    let server = Server::default();
    let (mut arriving, wake) = server.run();
    assert_eq!(name(&mut arriving).await, "t1");
    let start = Instant::now();
    assert_eq!(name(&mut arriving).await, "t2");
    assert!(start.elapsed() > Duration::from_secs(240), "{:?}", start.elapsed());
    let start = Instant::now();
    wake.notify_one();
    assert_eq!(name(&mut arriving).await, "t3");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_promises_to_tell_of_nothing_is_listed_seldom_until_its_stream_ends() {
    let server = Server::default();
    let (tell, told) = mpsc::unbounded_channel();
    let nothing = Params::parse(Json::from_static(r#"{"notifications":{"resourcesListChanged":false}}"#)).unwrap();
    tell.send(Ok(Event::from(Note::new(Method::LISTEN_ACKNOWLEDGED, nothing)))).unwrap();
    server.streams.lock().unwrap().push(told);
    let (mut arriving, _) = server.run();
    assert_eq!(name(&mut arriving).await, "t1");
    for expected in ["t2", "t3"] {
        let start = Instant::now();
        assert_eq!(name(&mut arriving).await, expected);
        assert!(start.elapsed() > Duration::from_secs(240), "{:?}", start.elapsed());
    }
    let start = Instant::now();
    tell.send(Err("the session is lost".into())).unwrap();
    assert_eq!(name(&mut arriving).await, "t4");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_and_tried_again_ever_more_seldom_until_woken() {
    let server = Server::default();
    *server.down.lock().unwrap() = true;
    let (mut arriving, wake) = server.run();
    let start = Instant::now();
    for _ in 0..10 {
        assert!(arriving.recv().await.unwrap().result.unwrap_err().is::<Connect>());
    }
    assert!(start.elapsed() > Duration::from_secs(100), "{:?}", start.elapsed());
    *server.down.lock().unwrap() = false;
    wake.notify_one();
    let start = Instant::now();
    assert_eq!(name(&mut arriving).await, "t1");
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_acknowledge_is_listed_all_the_same() {
    let server = Server::default();
    let (tell, told) = mpsc::unbounded_channel();
    server.streams.lock().unwrap().push(told);
    let (mut arriving, _) = server.run();
    let start = Instant::now();
    assert_eq!(name(&mut arriving).await, "t1");
    assert!(start.elapsed() <= Duration::from_secs(1));
    tell.send(note(Method::LISTEN_ACKNOWLEDGED)).unwrap();
    assert_eq!(name(&mut arriving).await, "t2", "what changed before the promise was not told");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_receiver_of_its_updates() {
    let server = Server::default();
    let _tell = server.telling();
    let (updates, mut arriving) = mpsc::channel(1);
    let running = tokio::spawn(Refresh::new("e-1", server.service(), updates).run());
    assert_eq!(name(&mut arriving).await, "t1");
    drop(arriving);
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_list_that_failed_is_asked_for_again_without_a_word_from_the_server() {
    let failures = Arc::new(AtomicUsize::new(3));
    let service = service_fn(move |call: Call| {
        let failing =
            || failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        std::future::ready(Ok::<_, BoxError>(match call.method.as_str() {
            "server/discover" => result(r#"{"capabilities":{"tools":{}}}"#),
            "tools/list" if failing() => refused(-32603),
            "tools/list" => result(r#"{"tools":[{"name":"at last"}]}"#),
            _ => Reply::stream(stream::iter([note(Method::LISTEN_ACKNOWLEDGED)]).chain(stream::pending())),
        }))
    });
    let (updates, mut arriving) = mpsc::channel(1);
    tokio::spawn(Refresh::new("e-1", service, updates).run());
    for _ in 0..3 {
        let listing = arriving.recv().await.unwrap().result.unwrap();
        assert_eq!(listing.stale, [Kind::Tools]);
    }
    assert_eq!(name(&mut arriving).await, "at last");
    let quiet = tokio::time::timeout(Duration::from_secs(3600), arriving.recv()).await;
    assert!(quiet.is_err(), "it is complete, and the server would tell");
}

#[tokio::test(start_paused = true)]
async fn streams_that_end_at_once_do_not_make_it_spin() {
    let server = Server::default();
    for _ in 0..200 {
        let tell = server.telling();
        tell.send(Ok(Event::Done(Outcome::Result(Json::from_static("{}"))))).unwrap();
    }
    let (mut arriving, _) = server.run();
    let start = Instant::now();
    for count in 1..=20 {
        assert_eq!(name(&mut arriving).await, format!("t{count}"));
    }
    assert!(start.elapsed() > Duration::from_secs(600), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_recovered_endpoint_is_listened_to_anew() {
    let server = Server::default();
    let (dead, alive) = (server.telling(), server.telling());
    let (mut arriving, wake) = server.run();
    assert_eq!(name(&mut arriving).await, "t1");
    wake.notify_one();
    assert_eq!(name(&mut arriving).await, "t2");
    assert!(dead.is_closed(), "what died without a word is not listened to any more");
    alive.send(note(Method::TOOLS_LIST_CHANGED)).unwrap();
    assert_eq!(name(&mut arriving).await, "t3");
    for _ in 0..1000 {
        wake.notify_one();
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    let mut count = 0;
    while tokio::time::timeout_at(start + Duration::from_secs(5), arriving.recv()).await.is_ok() {
        count += 1;
    }
    assert!(count <= 6, "however often it is woken, once a second is enough: {count}");
}

#[tokio::test(start_paused = true)]
async fn dropped_at_any_point_it_leaves_no_call_behind() {
    // The server holds a guard for each call in flight, and answers nothing beyond a given method.
    for stuck in ["server/discover", "tools/list", "subscriptions/listen", "nothing"] {
        let in_flight = Arc::new(());
        let guard = in_flight.clone();
        let service = service_fn(move |call: Call| {
            let guard = guard.clone();
            async move {
                if call.method.as_str() == stuck {
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(match call.method.as_str() {
                    "server/discover" => result(r#"{"capabilities":{"tools":{}}}"#),
                    "tools/list" => result(r#"{"tools":[]}"#),
                    _ => Reply::stream(stream::pending()).hold(guard),
                })
            }
        });
        let (updates, mut arriving) = mpsc::channel(1);
        let mut running = Box::pin(Refresh::new("e-1", service, updates).run());
        let listed = async { tokio::time::timeout(Duration::from_secs(30), arriving.recv()).await.is_ok() };
        let listed = tokio::select! {
            () = &mut running => unreachable!("its receiver is there"),
            listed = listed => listed,
        };
        assert_eq!(listed, !matches!(stuck, "server/discover" | "tools/list"), "{stuck}");
        assert!(Arc::strong_count(&in_flight) > 1, "{stuck}: the service itself holds one");
        drop(running);
        assert_eq!(Arc::strong_count(&in_flight), 1, "{stuck}");
    }
}
