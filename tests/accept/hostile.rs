//! Clients that do not read, send on, or send what HTTP servers do not all read alike.

use super::{NEVER, rest_of};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tower::service_fn;
use tower_mcp_gateway::{
    cli::accept::{Accept, Incoming},
    metrics::{Count, Metrics},
};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Tells when it is dropped.
struct Held(Option<oneshot::Sender<()>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.take().unwrap().send(()).ok();
    }
}

#[tokio::test]
async fn who_never_reads_pauses_the_answer_and_is_cut() {
    let (listener, address) = listen().await;
    let (dropped, gone) = oneshot::channel();
    let held = Arc::new(std::sync::Mutex::new(Some(Held(Some(dropped)))));
    let produced = Arc::new(AtomicUsize::new(0));
    let service = {
        let produced = Arc::clone(&produced);
        service_fn(move |_: Request<Incoming>| {
            let (produced, held) = (Arc::clone(&produced), held.lock().unwrap().take());
            let endless = futures_util::stream::repeat_with(move || {
                let _held = &held;
                produced.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 64 << 10])))
            });
            async move { Ok::<_, Infallible>(Response::new(StreamBody::new(endless))) }
        })
    };
    let limit = Duration::from_millis(200);
    let metrics = Metrics::default();
    let accept = Accept::new(listener).stall_timeout(limit).metrics(metrics.clone());
    tokio::spawn(accept.serve(service, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(super::GET).await.unwrap();
    let begun = tokio::time::Instant::now();
    gone.await.unwrap();
    // The passing of real time is what is tested here.
    assert!(begun.elapsed() >= limit);
    assert_eq!(metrics.get(Count::StalledClient), 1);
    // What the kernel takes on both sides of loopback, and not a stream without end.
    let taken = produced.load(Ordering::Relaxed) * (64 << 10);
    assert!(taken < 64 << 20, "{taken} bytes");
}

#[tokio::test]
async fn who_reads_slowly_is_not_cut() {
    let (listener, address) = listen().await;
    let service = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(http_body_util::Full::new(Bytes::from(vec![b'x'; 32 << 20]))))
    });
    let limit = Duration::from_millis(300);
    tokio::spawn(Accept::new(listener).stall_timeout(limit).serve(service, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let (mut space, mut read) = (vec![0; 8 << 20], 0);
    loop {
        let n = stream.read(&mut space).await.unwrap();
        if n == 0 {
            break;
        }
        read += n;
        // Within the limit, while the answer waits for it: what is tested is that this is no stall.
        tokio::time::sleep(limit / 30).await;
    }
    assert!(read > 32 << 20);
}

/// A service that refuses without looking at the body, and one that reads it.
async fn refusing(reads: bool) -> (SocketAddr, Metrics) {
    let ((listener, address), metrics) = (listen().await, Metrics::default());
    let service = service_fn(move |request: Request<Incoming>| async move {
        let status = match reads {
            true if request.into_body().collect().await.is_ok() => 200,
            true => 400,
            false => 413,
        };
        Ok::<_, Infallible>(Response::builder().status(status).body("said".to_owned()).unwrap())
    });
    let accept = Accept::new(listener).head_timeout(NEVER).metrics(metrics.clone());
    tokio::spawn(accept.serve(service, std::future::pending()));
    (address, metrics)
}

#[tokio::test]
async fn a_client_that_sends_it_all_before_it_reads_gets_its_refusal() {
    let (address, _) = refusing(false).await;
    for chunked in [false, true] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let framing = if chunked { "transfer-encoding: chunked" } else { "content-length: 8388608" };
        stream.write_all(format!("POST / HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n").as_bytes()).await.unwrap();
        let piece = [b"10000\r\n".as_slice(), &[b' '; 1 << 16], b"\r\n"].concat();
        let piece = if chunked { &piece[..] } else { &piece[7..][..1 << 16] };
        for _ in 0..128 {
            stream.write_all(piece).await.expect("the connection is still read");
        }
        let answer = rest_of(stream).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("said"), "{answer}");
    }
}

#[tokio::test]
async fn a_request_smuggled_behind_another_is_refused_like_a_first_one() {
    let (address, metrics) = refusing(true).await;
    let good = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    for bad in [
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 30\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 30\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        for before in [0, 1, 2] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("{}{bad}{good}", good.repeat(before)).as_bytes()).await.unwrap();
            let answer = rest_of(stream).await;
            assert_eq!(answer.matches("HTTP/1.1 200 ").count(), before, "{bad}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), before + 1, "{bad}: {answer}");
            let (_, refused) = answer.split_once("HTTP/1.1 400 ").unwrap_or_else(|| panic!("{bad}: {answer}"));
            let (_, why) = refused.split_once("\r\n\r\n").unwrap();
            assert!(why.len() > 10 && why.ends_with('\n'), "it is told why: {answer}");
        }
    }
    let counted = async {
        while metrics.get(Count::Malformed) < 15 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(NEVER, counted).await.expect("each is counted");
    assert_eq!(metrics.get(Count::Malformed), 15);
}

#[tokio::test]
async fn heads_are_bounded() {
    let (address, _) = refusing(true).await;
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(200_000)), "431"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: x\r\n".repeat(101)), "431"),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(200_000)), "431"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\nconnection: close\r\n\r\n", "x".repeat(60_000)), "200"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest_of(stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
