//! HTTP/2: what a connection of HTTP/1.1 is bounded by, each stream is.

use super::{
    NEVER,
    certificates::{Authority, connect},
    tls::{counted, folder},
};
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tower::service_fn;
use tower_mcp_gateway::{
    cli::accept::{self, Accept, tls::Tls},
    metrics::{Count, Metrics},
};

struct Served {
    send: SendRequest<Empty<Bytes>>,
    /// The client's side of the connection, which ends with it.
    connection: JoinHandle<hyper::Result<()>>,
    metrics: Metrics,
    /// Pieces of 64 KiB that `/endless` has made.
    made: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Serves `/endless`, which has no end, `/never`, which never begins, `/broken`, which breaks off, and says "fine" everywhere else.
async fn serve(name: &str, tune: impl FnOnce(Accept) -> Accept) -> Served {
    let authority = Authority::new("one");
    let (metrics, made) = (Metrics::default(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&made);
    let service = service_fn(move |request: Request<accept::Incoming>| {
        let made = Arc::clone(&counter);
        async move {
            let piece = |bytes: &'static [u8]| Ok::<_, io::Error>(Frame::data(Bytes::from_static(bytes)));
            let body = match request.uri().path() {
                "/never" => std::future::pending().await,
                "/endless" => BoxBody::new(StreamBody::new(stream::iter(std::iter::repeat_with(move || {
                    made.fetch_add(1, Ordering::Relaxed);
                    piece(&[b'x'; 64 << 10])
                })))),
                "/broken" => {
                    let broken = Err(io::Error::other("the rest is not known"));
                    BoxBody::new(StreamBody::new(stream::iter([piece(b"half"), broken])))
                }
                _ => BoxBody::new(StreamBody::new(stream::iter([piece(b"fine")]))),
            };
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    let tls = Tls::load(authority.issue().write(&folder(name))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let accept = tune(Accept::new(listener).tls(tls).metrics(metrics.clone()));
    let stopping = async {
        if stopped.await.is_err() {
            // The test has no end of its own.
            std::future::pending().await
        }
    };
    let task = tokio::spawn(accept.serve(service, stopping));
    let stream = connect(&authority.client(&["h2"], None), address).await.unwrap();
    let (send, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    Served { send, connection: tokio::spawn(connection), metrics, made, stop, task }
}

async fn get(send: &mut SendRequest<Empty<Bytes>>, path: &str) -> hyper::Result<Response<Incoming>> {
    send.ready().await?;
    send.send_request(Request::get(format!("https://x{path}")).body(Empty::new()).unwrap()).await
}

async fn is_fine(send: &mut SendRequest<Empty<Bytes>>) -> bool {
    let answer = get(send, "/").await.unwrap();
    answer.into_body().collect().await.unwrap().to_bytes() == "fine"
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_paused_and_cut_and_the_others_go_on() {
    let limit = Duration::from_millis(300);
    let Served { mut send, metrics, made, .. } = serve("stall", |accept| accept.stall_timeout(limit)).await;
    // The clock of the stall may start before the head is here.
    let begun = Instant::now();
    let unread = get(&mut send, "/endless").await.unwrap();
    while metrics.get(Count::StalledClient) == 0 {
        assert!(is_fine(&mut send).await, "the connection is the others' too");
        assert!(begun.elapsed() < NEVER);
    }
    assert!(begun.elapsed() >= limit);
    assert!(made.load(Ordering::Relaxed) <= 4, "it was paused: {} pieces", made.load(Ordering::Relaxed));
    assert!(unread.into_body().collect().await.is_err(), "what is left of it is no whole answer");
    assert!(is_fine(&mut send).await);
    assert_eq!(metrics.get(Count::StalledClient), 1);
}

#[tokio::test]
async fn an_answer_that_is_broken_off_is_no_whole_one_and_the_others_go_on() {
    let Served { mut send, .. } = serve("broken", |accept| accept).await;
    for _ in 0..3 {
        match get(&mut send, "/broken").await {
            Ok(answer) => assert!(answer.into_body().collect().await.is_err()),
            // It was reset before its head was sent.
            Err(error) => assert!(!error.is_closed()),
        }
        assert!(is_fine(&mut send).await);
    }
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_not_cut() {
    let limit = Duration::from_millis(200);
    let Served { mut send, metrics, .. } = serve("slow", |accept| accept.stall_timeout(limit)).await;
    let mut body = get(&mut send, "/endless").await.unwrap().into_body();
    let begun = Instant::now();
    while begun.elapsed() < 5 * limit {
        body.frame().await.unwrap().expect("it goes on");
        // Within the limit, while the answer waits for it: what is tested is that this is no stall.
        tokio::time::sleep(limit / 20).await;
    }
    assert_eq!(metrics.get(Count::StalledClient), 0);
}

#[tokio::test]
async fn a_connection_is_idle_when_no_request_is_in_flight() {
    let limit = Duration::from_millis(100);
    let Served { mut send, connection, .. } = serve("idle", |accept| accept.idle_timeout(limit)).await;
    assert!(is_fine(&mut send).await);
    let mut other = send.clone();
    let waiting = tokio::spawn(async move { get(&mut other, "/never").await });
    // The passing of real time is what is tested here: an answer that takes longer keeps the connection.
    tokio::time::sleep(3 * limit).await;
    assert!(!connection.is_finished() && is_fine(&mut send).await);
    waiting.abort();
    let begun = Instant::now();
    timeout(NEVER, connection).await.expect("it is closed").unwrap().unwrap();
    assert!(begun.elapsed() >= limit / 2);
}

#[tokio::test]
async fn the_end_waits_for_a_running_answer_and_an_answer_that_outlasts_the_grace_is_cut() {
    let grace = Duration::from_millis(200);
    let Served { mut send, connection, stop, task, .. } = serve("end", |accept| accept.grace(grace)).await;
    assert!(is_fine(&mut send).await);
    let mut other = send.clone();
    let running = tokio::spawn(async move { get(&mut other, "/never").await });
    // On its way before the end begins.
    assert!(is_fine(&mut send).await);
    let begun = Instant::now();
    stop.send(()).unwrap();
    timeout(NEVER, task).await.unwrap().unwrap();
    assert!(begun.elapsed() >= grace);
    assert!(running.await.unwrap().is_err());
    let _ = timeout(NEVER, connection).await.expect("it is over");
}

#[tokio::test]
async fn requests_without_one_host_are_refused_and_their_connection_goes_on() {
    let Served { mut send, metrics, .. } = serve("host", |accept| accept).await;
    for hosts in [&["y"][..], &["x", "x"], &["x", "y"]] {
        let builder = hosts.iter().fold(Request::get("https://x/"), |builder, host| builder.header("host", *host));
        send.ready().await.unwrap();
        assert_eq!(send.send_request(builder.body(Empty::new()).unwrap()).await.unwrap().status(), 400);
        assert!(is_fine(&mut send).await);
    }
    counted(&metrics, Count::Malformed, 3).await;
}

#[tokio::test]
async fn a_head_above_the_limit_and_a_flood_of_resets_harm_their_sender_alone() {
    let Served { mut send, .. } = serve("flood", |accept| accept).await;
    let large = Request::get("https://x/").header("a", "x".repeat(200_000)).body(Empty::new()).unwrap();
    // Refused by its sender's own library already, which knows the limit, or by the gateway.
    match send.send_request(large).await {
        Ok(answer) => assert_eq!(answer.status(), 431),
        Err(error) => assert!(error.is_user() || !error.is_closed(), "{error}"),
    }
    let Served { mut send, connection, .. } = serve("resets", |accept| accept).await;
    for _ in 0..5000 {
        if send.ready().await.is_err() {
            break;
        }
        // Sent, and given up before any answer.
        let mut given_up = Box::pin(get(&mut send, "/never"));
        let _ = futures_util::poll!(given_up.as_mut());
        drop(given_up);
        tokio::task::yield_now().await;
    }
    drop(send);
    let _ = timeout(NEVER, connection).await;
    let Served { mut send, .. } = serve("after", |accept| accept).await;
    assert!(is_fine(&mut send).await);
}

#[tokio::test]
async fn frames_that_are_none_end_the_connection_and_nothing_else() {
    let authority = Authority::new("one");
    let tls = Tls::load(authority.issue().write(&folder("noise"))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service =
        service_fn(|_: Request<accept::Incoming>| async { Ok::<_, Infallible>(Response::new("fine".to_owned())) });
    let head = Duration::from_millis(300);
    tokio::spawn(Accept::new(listener).tls(tls).head_timeout(head).serve(service, std::future::pending()));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    // Headers of one byte that say more will come, for ever; a frame of 16 MiB; a stream of the server's own.
    let continued = [b"\0\0\x01\x01\0\0\0\0\x01\x82".as_slice(), &b"\0\0\0\x09\0\0\0\0\x01".repeat(10_000)].concat();
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &continued,
        b"\xff\xff\xff\0\0\0\0\0\x01",
        b"\0\0\x01\x01\x04\0\0\0\x02\x82",
        b"",
    ] {
        let mut stream = connect(&authority.client(&["h2"], None), address).await.unwrap();
        let sent = if noise.starts_with(b"GET") { noise.to_vec() } else { [&preface[..], settings, noise].concat() };
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &sent).await;
        let mut rest = Vec::new();
        let _ = timeout(NEVER, stream.read_to_end(&mut rest)).await.expect("it ends");
        let stream = connect(&authority.client(&["h2"], None), address).await.unwrap();
        let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        assert!(is_fine(&mut send).await);
    }
}
