//! The accept loop and the routes, over real sockets and without a gateway.
#![cfg(feature = "cli")]

mod admin;
#[path = "../support/certificates.rs"]
mod certificates;
mod hostile;
mod http1;
mod http2;
mod routes;
mod tls;
mod workers;

use futures_util::{FutureExt, stream};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};
use tower::service_fn;
use tower_mcp_gateway::cli::accept::{Accept, Incoming};

/// Longer than any test should take; a limit that must not matter.
const NEVER: Duration = Duration::from_secs(300);

struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Serves bodies that stay open until `rest` is notified; `started` hears of each request.
    async fn start(tune: impl FnOnce(Accept) -> Accept, started: mpsc::UnboundedSender<()>, rest: Arc<Notify>) -> Self {
        let service = service_fn(move |_: Request<Incoming>| {
            let (started, rest) = (started.clone(), Arc::clone(&rest));
            async move {
                let head = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"head,")))]);
                let tail = async move {
                    rest.notified().await;
                    Ok(Frame::data(Bytes::from_static(b"tail")))
                };
                started.send(()).ok();
                Ok::<_, Infallible>(Response::new(StreamBody::new(stream::StreamExt::chain(head, tail.into_stream()))))
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serve = tune(Accept::new(listener)).serve(service, async { stopped.await.unwrap_or_default() });
        Self { address, stop: Some(stop), task: tokio::spawn(serve) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

async fn rest_of(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn the_end_waits_for_a_running_answer_and_for_nothing_else() {
    let ((started, mut heard), rest) = (mpsc::unbounded_channel(), Arc::new(Notify::new()));
    let mut server = Running::start(|accept| accept.grace(NEVER), started, Arc::clone(&rest)).await;
    let (mut busy, mut idle, silent) = (server.connect().await, server.connect().await, server.connect().await);
    idle.write_all(GET).await.unwrap();
    heard.recv().await.unwrap();
    rest.notify_one();
    let mut answer = [0; 1024];
    let mut read = Vec::new();
    while !read.ends_with(b"0\r\n\r\n") {
        let n = idle.read(&mut answer).await.unwrap();
        read.extend_from_slice(&answer[..n]);
    }
    busy.write_all(GET).await.unwrap();
    heard.recv().await.unwrap();

    server.stop();
    assert_eq!(rest_of(idle).await, "", "an idle connection is closed");
    assert_eq!(rest_of(silent).await, "", "one that never said anything too");
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing is accepted any more");
    assert!(!server.task.is_finished());
    rest.notify_one();
    assert!(rest_of(busy).await.contains("tail"), "the running answer is complete");
    server.task.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_outlasts_the_grace_is_cut() {
    let ((started, mut heard), rest) = (mpsc::unbounded_channel(), Arc::new(Notify::new()));
    let mut server = Running::start(|accept| accept.grace(Duration::from_millis(20)), started, rest).await;
    let mut busy = server.connect().await;
    busy.write_all(GET).await.unwrap();
    heard.recv().await.unwrap();
    server.stop();
    server.task.await.unwrap();
    assert!(!rest_of(busy).await.contains("tail"));
}

#[tokio::test]
async fn a_slow_head_is_cut_however_it_drips() {
    let (started, mut heard) = mpsc::unbounded_channel();
    let tune = |accept: Accept| accept.head_timeout(Duration::from_millis(60)).idle_timeout(NEVER);
    let server = Running::start(tune, started, Arc::new(Notify::new())).await;
    let silent = server.connect().await;
    let (reader, mut writer) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        // Ends when the connection is cut; until then bytes keep coming well within the limit.
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    drip.await.unwrap();
    drop(reader);
    assert_eq!(rest_of(silent).await, "");
    assert!(heard.try_recv().is_err(), "no request was complete");
}

#[tokio::test]
async fn the_head_deadline_spares_running_answers_and_idle_connections() {
    let ((started, mut heard), rest) = (mpsc::unbounded_channel(), Arc::new(Notify::new()));
    let head = Duration::from_millis(50);
    let tune = |accept: Accept| accept.head_timeout(head).idle_timeout(NEVER);
    let server = Running::start(tune, started, Arc::clone(&rest)).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(GET).await.unwrap();
        heard.recv().await.unwrap();
        // The passing of real time is what is tested here: twice the limit, in an answer and between two.
        tokio::time::sleep(2 * head).await;
        rest.notify_one();
        let mut read = Vec::new();
        while !read.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the connection was cut");
        }
        tokio::time::sleep(2 * head).await;
    }
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest_of(stream).await, "", "a second head has its deadline too");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let ((started, _heard), rest) = (mpsc::unbounded_channel(), Arc::new(Notify::new()));
    let server =
        Running::start(|accept| accept.idle_timeout(Duration::from_millis(50)), started, Arc::clone(&rest)).await;
    let mut stream = server.connect().await;
    rest.notify_one();
    stream.write_all(GET).await.unwrap();
    assert!(rest_of(stream).await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_panicking_handler_harms_only_its_connection() {
    let service = service_fn(|request: Request<Incoming>| async move {
        assert_ne!(request.uri().path(), "/panic");
        Ok::<_, Infallible>(Response::new("fine".to_owned()))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Accept::new(listener).serve(service, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(rest_of(stream).await, "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest_of(stream).await.ends_with("fine"));
}

#[tokio::test]
async fn a_thousand_connections_that_come_and_go_leave_nothing() {
    let ((started, _heard), rest) = (mpsc::unbounded_channel(), Arc::new(Notify::new()));
    let mut server = Running::start(|accept| accept.grace(NEVER), started, rest).await;
    for n in 0..1000 {
        let mut stream = server.connect().await;
        // Some say nothing, some stop in the head, some leave in the middle of their answer.
        stream.write_all(&GET[..n % (GET.len() + 1)]).await.unwrap();
    }
    server.stop();
    server.task.await.unwrap();
}
