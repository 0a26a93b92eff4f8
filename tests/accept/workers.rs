//! Connections that go from one thread to another, over real sockets.

use super::{
    NEVER,
    certificates::{Authority, connect},
    tls::folder,
};
use http::{Request, Response};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, thread, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tower::service_fn;
use tower_mcp_gateway::cli::accept::{Accept, Incoming, Workers, tls::Tls};

/// How many connections the first thread has before the second gets one.
const FILL: usize = 4;

/// Serves the name of the thread that answers, which works for so long on each request.
async fn serve(
    work: Duration,
    tune: impl FnOnce(Accept) -> Accept,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let service = service_fn(move |_: Request<Incoming>| async move {
        let begun = Instant::now();
        while begun.elapsed() < work {
            std::hint::spin_loop();
        }
        Ok::<_, Infallible>(Response::new(thread::current().name().unwrap_or_default().to_owned()))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let workers = Arc::new(Workers::start(2).unwrap());
    let accept = tune(Accept::new(listener)).workers(workers);
    (address, stop, tokio::spawn(accept.serve(service, async { stopped.await.unwrap_or_default() })))
}

/// Asks which thread answers.
async fn ask(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    loop {
        assert_ne!(client.read_buf(&mut read).await.unwrap(), 0, "{:?}", String::from_utf8_lossy(&read));
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && head.contains(&format!("content-length: {}", body.len()))
        {
            return body.to_owned();
        }
    }
}

/// Clients that have each been answered once, the last one by the second thread if there are enough of them.
async fn clients(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for number in 0..count {
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut client).await, if number < FILL { "worker-0" } else { "worker-1" });
        clients.push(client);
    }
    clients
}

/// Asks now and then, as one who leaves the threads idle most of the time, until the first thread answers.
async fn gathered(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while ask(client).await != "worker-0" {
        pace.tick().await;
    }
}

#[tokio::test]
async fn who_asks_seldom_is_served_by_the_first_thread_and_keeps_its_connection_and_its_deadlines() {
    let (address, stop, served) = serve(Duration::ZERO, |accept| accept.idle_timeout(Duration::from_secs(1))).await;
    let mut clients = clients(address, FILL + 1).await;
    let last = clients.last_mut().unwrap();
    timeout(NEVER, gathered(last)).await.unwrap();
    assert_eq!(last.read(&mut [0; 1]).await.unwrap(), 0, "it is closed when it has been idle for long");
    stop.send(()).unwrap();
    served.await.unwrap();
}

#[tokio::test]
async fn a_connection_moves_with_its_encryption() {
    let authority = Authority::new("workers");
    let tls = Tls::load(authority.issue().write(&folder("workers"))).unwrap();
    let (address, _stop, _) = serve(Duration::ZERO, |accept| accept.tls(tls)).await;
    let client = authority.client(&["http/1.1"], None);
    let mut clients = Vec::new();
    for number in 0..FILL + 1 {
        let mut stream = connect(&client, address).await.unwrap();
        assert_eq!(ask(&mut stream).await, if number < FILL { "worker-0" } else { "worker-1" });
        clients.push(stream);
    }
    let last = clients.last_mut().unwrap();
    timeout(NEVER, gathered(last)).await.unwrap();
    assert_eq!(ask(last).await, "worker-0");
}

#[tokio::test]
async fn a_connection_that_has_moved_ends_with_the_others() {
    let (address, stop, served) = serve(Duration::ZERO, |accept| accept.idle_timeout(NEVER).grace(NEVER)).await;
    let mut clients = clients(address, FILL + 1).await;
    let last = clients.last_mut().unwrap();
    timeout(NEVER, gathered(last)).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(last.read(&mut [0; 1]).await.unwrap(), 0);
    served.await.unwrap();
}

#[tokio::test]
async fn a_thread_that_has_too_much_to_do_parts_with_what_another_has_time_for() {
    let (address, stop, served) = serve(Duration::from_millis(5), |accept| accept).await;
    let mut clients = clients(address, 2).await;
    let [one, other] = &mut clients[..] else { unreachable!() };
    let parted = async {
        loop {
            let (one, other) = tokio::join!(ask(one), ask(other));
            if one != other {
                break;
            }
        }
    };
    timeout(NEVER, parted).await.unwrap();
    stop.send(()).unwrap();
    served.await.unwrap();
}
