//! What HTTP/1.1 lets a client do: pipelining, `Expect`, HEAD, version 1.0, bodies that come late or never.

use super::rest_of;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    sync::Arc,
    task::{Poll, ready},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::coop,
};
use tower::service_fn;
use tower_mcp_gateway::cli::accept::{Accept, Incoming};

type Body =
    Either<Full<Bytes>, StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>>;

/// Says what it got: method, path and body, the latter in two frames and of unknown length below `/stream`. Below `/deaf` the
/// body is not looked at.
async fn echo(request: Request<Incoming>, heard: mpsc::UnboundedSender<String>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut said = format!("{} {} ", parts.method, parts.uri);
    heard.send(said.clone()).ok();
    if parts.uri.path() != "/deaf" {
        match body.collect().await {
            Ok(body) => said.push_str(&String::from_utf8_lossy(&body.to_bytes())),
            Err(_) => said.push_str("broken"),
        }
        heard.send(said.clone()).ok();
    }
    let body = if parts.uri.path() == "/stream" {
        let frames = [said.into(), Bytes::from_static(b".")].map(|data| Ok(Frame::data(data)));
        Either::Right(StreamBody::new(futures_util::stream::iter(Vec::from(frames))))
    } else {
        Either::Left(Full::new(said.into()))
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        if parts.method == Method::DELETE { http::StatusCode::NO_CONTENT } else { http::StatusCode::OK };
    Ok(response)
}

async fn serve() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, hears) = mpsc::unbounded_channel();
    let service = service_fn(move |request| echo(request, heard.clone()));
    tokio::spawn(Accept::new(listener).serve(service, std::future::pending()));
    (address, hears)
}

/// The answers to all of `text`, in which the last request closes the connection; without dates.
async fn answers(text: &str) -> String {
    let mut stream = TcpStream::connect(serve().await.0).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    undated(&rest_of(stream).await)
}

fn undated(text: &str) -> String {
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

/// Reads until what has come ends so.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{:?}", String::from_utf8_lossy(&read));
    }
    undated(&String::from_utf8(read).unwrap())
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_their_order() {
    let text = "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\noneGET /stream HTTP/1.1\r\nhost: x\r\n\r\n\
                POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nth\r\n3;a=b\r\nree\r\n0\r\nt: r\r\n\r\n\
                GET /d HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\nGET /e HTTP/1.1\r\nhost: x\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nPOST /a one\
                    HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nc\r\nGET /stream \r\n1\r\n.\r\n0\r\n\r\n\
                    HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nPOST /c three\
                    HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /d ";
    assert_eq!(answers(text).await, expected);
}

#[tokio::test]
async fn an_answer_without_a_body_has_none() {
    let text = "HEAD /a HTTP/1.1\r\nhost: x\r\n\r\nDELETE /b HTTP/1.1\r\nhost: x\r\n\r\n\
                HEAD /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    assert_eq!(answers(text).await, expected);
}

#[tokio::test]
async fn an_old_client_gets_what_it_understands() {
    let text =
        "GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET /stream HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\nGET /a \
                    HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nGET /stream .";
    assert_eq!(answers(text).await, expected);
}

#[tokio::test]
async fn who_asks_before_it_sends_is_told_once_somebody_reads() {
    let (address, _) = serve().await;
    let head = "host: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    for path in ["/a", "/stream"] {
        stream.write_all(format!("POST {path} HTTP/1.1\r\n{head}").as_bytes()).await.unwrap();
        assert_eq!(until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"body").await.unwrap();
        let end = if path == "/a" { "body" } else { "0\r\n\r\n" };
        assert!(until(&mut stream, end).await.contains(&format!("POST {path} body")));
    }
    // Whether a body follows a refusal is the client's choice, so no other request can be told from it.
    stream.write_all(format!("POST /deaf HTTP/1.1\r\n{head}").as_bytes()).await.unwrap();
    let refused = undated(&rest_of(stream).await);
    assert_eq!(refused, "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nPOST /deaf ");
}

#[tokio::test]
async fn an_answer_that_has_begun_holds_no_word_to_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mirror = service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    });
    tokio::spawn(Accept::new(listener).serve(mirror, std::future::pending()));
    let head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"));
    stream.write_all(b"whole").await.unwrap();
    assert_eq!(rest_of(stream).await, "whole");
}

#[tokio::test]
async fn a_body_is_read_however_it_drips() {
    let (address, mut heard) = serve().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (head, body) in [("content-length: 6", "dripped"), ("transfer-encoding: chunked", "6\r\ndriped\r\n0\r\n\r\n")] {
        stream.write_all(format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), "POST / ");
        for byte in body.replace("pp", "p").as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(heard.recv().await.unwrap(), "POST / driped");
        until(&mut stream, "driped").await;
    }
}

#[tokio::test]
async fn a_short_body_that_nobody_reads_is_skipped_and_the_connection_kept() {
    let (address, mut heard) = serve().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /deaf HTTP/1.1\r\nhost: x\r\ncontent-length: 18\r\n\r\n").await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), "POST /deaf ");
    assert!(!until(&mut stream, "POST /deaf ").await.contains("close"));
    stream.write_all(b"GET /no HTTP/1.1\r\n").await.unwrap();
    stream.write_all(b"GET /yes HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until(&mut stream, "GET /yes ").await;
}

#[tokio::test]
async fn a_body_that_ends_early_or_is_none_breaks_the_request() {
    let (address, mut heard) = serve().await;
    for (head, body, ends) in
        [("content-length: 9", "body", true), ("transfer-encoding: chunked", "3\r\nabcd\r\n", false)]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), "POST / ");
        if ends {
            stream.shutdown().await.unwrap();
        }
        let answer = rest_of(stream).await;
        // Who has closed hears nothing; who is still there gets the service's word for it, as the last.
        let expected = if ends { "" } else { "POST / broken" };
        assert!(answer.ends_with(expected) && answer.is_empty() == ends, "{answer}");
        assert!(ends || answer.contains("connection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_piece_of_a_body_leaves_while_nothing_follows_it() {
    let ((started, _heard), rest) = (mpsc::unbounded_channel(), Arc::new(Notify::new()));
    let server = super::Running::start(|accept| accept, started, Arc::clone(&rest)).await;
    let mut stream = server.connect().await;
    stream.write_all(super::GET).await.unwrap();
    until(&mut stream, "5\r\nhead,\r\n").await;
    rest.notify_one();
    assert_eq!(until(&mut stream, "0\r\n\r\n").await, "4\r\ntail\r\n0\r\n\r\n");
}

#[tokio::test]
async fn who_goes_away_drops_what_it_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, mut begins) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<Incoming>| {
        // Held by the answer, and dropped with it.
        let begun = begun.clone();
        async move {
            let (dropped, gone) = tokio::sync::oneshot::channel::<Infallible>();
            begun.send(gone).ok();
            let _held = dropped;
            std::future::pending::<Result<Response<String>, Infallible>>().await
        }
    });
    tokio::spawn(Accept::new(listener).serve(service, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(super::GET).await.unwrap();
    let gone = begins.recv().await.unwrap();
    // What it sends ahead does not hide that it leaves.
    stream.write_all(super::GET).await.unwrap();
    drop(stream);
    gone.await.unwrap_err();
}

#[tokio::test]
async fn a_client_may_leave_an_answer_that_uses_up_each_turn_of_its_task() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (called, mut calls) = mpsc::unbounded_channel::<Arc<()>>();
    let service = service_fn(move |_: Request<Incoming>| {
        let held = Arc::new(());
        called.send(held.clone()).unwrap();
        poll_fn(move |cx| {
            let _held = &held;
            while coop::has_budget_remaining() {
                ready!(coop::poll_proceed(cx)).made_progress();
            }
            cx.waker().wake_by_ref();
            Poll::<Result<Response<Full<Bytes>>, Infallible>>::Pending
        })
    });
    tokio::spawn(Accept::new(listener).serve(service, std::future::pending()));
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let held = calls.recv().await.unwrap();
    drop(stream);
    let dropped = async {
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(8), dropped).await.expect("the answer is dropped");
}
