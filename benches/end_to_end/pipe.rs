//! The least that a program with HTTP in front and a child process behind can do: it copies lines, unread, and takes
//! answers to come in the order of their requests.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    collections::VecDeque,
    convert::Infallible,
    env,
    process::Stdio,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, Command},
    sync::oneshot,
};

struct Pipe {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Mutex<VecDeque<oneshot::Sender<Vec<u8>>>>,
}

/// Serves on a free port, which it prints, until it is killed.
pub(crate) async fn run() {
    let mut child = Command::new(env::current_exe().expect("a program"));
    child.arg("child").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = child.spawn().expect("a child");
    let pipe = Arc::new(Pipe {
        input: tokio::sync::Mutex::new(child.stdin.take().expect("a pipe")),
        waiting: Mutex::default(),
    });
    let (mut output, answered) = (BufReader::new(child.stdout.take().expect("a pipe")), pipe.clone());
    tokio::spawn(async move {
        loop {
            let mut line = Vec::new();
            output.read_until(b'\n', &mut line).await.expect("a child that answers");
            let waiting = answered.waiting.lock().expect("nobody panics").pop_front().expect("somebody who waits");
            let _ = waiting.send(line);
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let pipe = pipe.clone();
        let service = service_fn(move |request| exchange(pipe.clone(), request));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn exchange(pipe: Arc<Pipe>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let mut line = Vec::with_capacity(body.len() + 1);
    line.extend_from_slice(&body);
    line.push(b'\n');
    let mut input = pipe.input.lock().await;
    // Notifications are not answered.
    let waits = memchr::memmem::find(&body, b"\"id\":").is_some();
    let answer = waits.then(|| {
        let (tell, told) = oneshot::channel();
        pipe.waiting.lock().expect("nobody panics").push_back(tell);
        told
    });
    input.write_all(&line).await.expect("a child that reads");
    drop(input);
    let Some(answer) = answer else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::ACCEPTED;
        return Ok(response);
    };
    let mut response = Response::new(Full::from(answer.await.expect("a child that answers")));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}
