//! Servers that write faster than they are read.

use crate::{at, find, legacy, tool, transport, wire::Peer};
use futures_util::StreamExt;
use std::{
    future::poll_fn,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::time::timeout;
use tower::{ServiceExt, service_fn};
use tower_mcp_gateway::{
    BoxError, Call,
    timeout::{
        Timeout,
        error::{Elapsed, Limit},
    },
    upstream::{Hop, Outbound},
};

const IDLE: Duration = Duration::from_millis(200);
const TOTAL: Duration = Duration::from_millis(400);
/// Far above what either takes; only a failure waits for so long.
const PATIENCE: Duration = Duration::from_secs(8);
/// What a server writes in the end, in bytes: far more than is read before a deadline, and a few seconds' worth.
const ALL: usize = 2 << 30;

/// Answers one request with as many of these messages as are taken; says how many bytes it wrote.
fn flood(message: impl Fn(u64) -> String + Send + 'static) -> (SocketAddr, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let flooding = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let event = format!("data: {}\n\n", message(id(&mut stream)));
        let many = event.repeat((1 << 20) / event.len());
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").unwrap();
        let mut written = 0;
        while written < ALL && stream.write_all(many.as_bytes()).is_ok() {
            written += many.len();
        }
        written
    });
    (address, flooding)
}

/// Reads a request, for its id.
fn id(stream: &mut TcpStream) -> u64 {
    let mut text = String::new();
    let mut room = [0; 4096];
    loop {
        let read = stream.read(&mut room).unwrap();
        text.push_str(std::str::from_utf8(&room[..read]).unwrap());
        let body =
            text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str::<serde_json::Value>(body).ok());
        if let Some(body) = body {
            return body["id"].as_u64().unwrap();
        }
    }
}

/// How a call ends that such a server answers, while its reply is read.
async fn ended(address: SocketAddr, hop: Arc<Hop>, call: Call) -> BoxError {
    let transport = at(&format!("http://{address}/mcp"));
    let service = service_fn(move |call: Call| transport.clone().oneshot(Outbound { call, hop: hop.clone() }));
    let reply = match timeout(PATIENCE, Timeout::new(service, IDLE, TOTAL).oneshot(call)).await.expect("a deadline") {
        Ok(reply) => reply,
        Err(error) => return error,
    };
    let mut events = reply.into_events();
    let reading = async {
        loop {
            if let Err(error) = events.next().await.expect("an end") {
                return error;
            }
            tokio::task::coop::consume_budget().await;
        }
    };
    timeout(PATIENCE, reading).await.expect("a deadline")
}

#[tokio::test]
async fn messages_that_mean_nothing_are_silence_however_many_they_are() {
    for filler in [10, 200_000] {
        let note = move |_| {
            let filler = "x".repeat(filler);
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"?{filler}","progress":1}}}}"#
            )
        };
        let (address, flooding) = flood(note);
        let error = ended(address, legacy(), tool()).await;
        assert_eq!(find::<Elapsed>(&error).limit(), Limit::Silence);
        assert!(flooding.join().unwrap() < ALL, "nobody reads on");
    }
}

#[tokio::test]
async fn progress_without_a_pause_keeps_no_call_alive_beyond_its_total() {
    let call = crate::call(
        tower_mcp_gateway::Method::TOOLS_CALL,
        serde_json::json!({"name": "search", "_meta": {"progressToken": "t"}}),
    );
    let note = |id| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":1}}}}"#
        )
    };
    let (address, flooding) = flood(note);
    let error = ended(address, legacy(), call).await;
    assert_eq!(find::<Elapsed>(&error).limit(), Limit::Total);
    assert!(flooding.join().unwrap() < ALL, "nobody reads on");
}

#[tokio::test]
async fn many_messages_that_came_together_are_not_read_at_one_go() {
    let mut peer = Peer::start().await;
    let reply = transport(&peer).oneshot(Outbound { call: tool(), hop: legacy() });
    let polls = Arc::new(AtomicUsize::new(0));
    let reading = tokio::spawn({
        let (polls, mut reply) = (polls.clone(), Box::pin(reply));
        poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            reply.as_mut().poll(cx)
        })
    });
    let request = peer.next().await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id());
    request.json_response(&format!("{}{answer}", format!("{note}\n").repeat(32 * 200))).await;
    assert!(reading.await.unwrap().unwrap().as_single().is_some());
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls >= 200, "{polls} turns");
}
