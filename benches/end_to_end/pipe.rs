//! The least that a program with HTTP in front and a child process behind can do: it copies lines, and reads nothing of them
//! but their ids.
//!
//! Clients number their requests as they like, all of them from 1, and a server answers in whatever order it likes. So each
//! request goes on under an id of this program's own, by which its answer is known, and the answer goes back under the
//! client's: a program without that would be no less than one that works.
//!
//! It has a thread for each processor it may run on, connections are theirs in turn, and the pipe is read by one of them, as
//! in the gateway: an answer for a connection of another thread has to wake that one, here as there. Held on one processor
//! neither has that cost, and both are measured in that way too.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    convert::Infallible,
    env,
    future::pending,
    ops::Range,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{ChildStdin, ChildStdout, Command},
    runtime::{Builder, Handle},
    sync::oneshot,
};

struct Pipe {
    input: tokio::sync::Mutex<ChildStdin>,
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Vec<u8>>>>,
}

/// Serves on a free port, which it prints, until it is killed.
pub(crate) async fn run() {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<Handle> = (0..threads).map(|_| worker()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let pipe = workers[0].spawn(async { open() }).await.expect("a child");
    for worker in workers.iter().cycle() {
        let (stream, _) = listener.accept().await.expect("a connection");
        worker.spawn(serve(stream.into_std().expect("a socket"), pipe.clone()));
    }
}

/// A thread with a runtime of its own.
fn worker() -> Handle {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(pending::<()>()));
    handle
}

/// Starts the child, whose answers are read on the runtime at hand.
fn open() -> Arc<Pipe> {
    let mut child = Command::new(env::current_exe().expect("a program"));
    let mut child = child.arg("child").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child");
    let input = child.stdin.take().expect("a pipe");
    let pipe = Arc::new(Pipe { input: input.into(), last: AtomicU64::new(0), waiting: Mutex::default() });
    tokio::spawn(copy(BufReader::new(child.stdout.take().expect("a pipe")), pipe.clone()));
    pipe
}

/// Hands each line to whoever waits for its id.
async fn copy(mut output: BufReader<ChildStdout>, pipe: Arc<Pipe>) {
    loop {
        let mut line = Vec::new();
        // The child ends when its stdin does, which this program takes along.
        if output.read_until(b'\n', &mut line).await.expect("a pipe") == 0 {
            return;
        }
        let at = id(&line).expect("an answer");
        let id = std::str::from_utf8(&line[at]).expect("a number").parse().expect("an id of this program's own");
        let waiting = pipe.waiting.lock().expect("nobody panics").remove(&id).expect("somebody who waits");
        let _ = waiting.send(line);
    }
}

async fn serve(stream: std::net::TcpStream, pipe: Arc<Pipe>) {
    let stream = TcpStream::from_std(stream).expect("a socket");
    stream.set_nodelay(true).expect("a socket");
    let service = service_fn(move |request| exchange(pipe.clone(), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn exchange(pipe: Arc<Pipe>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    // Notifications have no id, and are not answered.
    let Some(at) = id(&body) else {
        pipe.write(&[&body[..], b"\n"].concat()).await;
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::ACCEPTED;
        return Ok(response);
    };
    let own = pipe.last.fetch_add(1, Relaxed) + 1;
    let (tell, told) = oneshot::channel();
    pipe.waiting.lock().expect("nobody panics").insert(own, tell);
    let line = [&body[..at.start], own.to_string().as_bytes(), &body[at.end..], b"\n"].concat();
    pipe.write(&line).await;
    let mut answer = told.await.expect("a child that answers");
    let of_own = id(&answer).expect("an answer");
    answer.splice(of_own, body[at].iter().copied());
    let mut response = Response::new(Full::from(answer));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Pipe {
    async fn write(&self, line: &[u8]) {
        self.input.lock().await.write_all(line).await.expect("a child that reads");
    }
}

/// Where a message's id stands: whoever writes messages here writes it before anything that could look like one.
fn id(message: &[u8]) -> Option<Range<usize>> {
    let begin = memchr::memmem::find(message, b"\"id\":")? + 5;
    let end = memchr::memchr2(b',', b'}', &message[begin..])? + begin;
    Some(begin..end)
}
