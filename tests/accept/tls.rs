//! TLS in front of the accept loop: real handshakes with certificates made on the spot.

use super::{
    NEVER,
    certificates::{Authority, Certificate, connect},
    rest_of,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{
    body::Bytes,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, fs, net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower::service_fn;
use tower_mcp_gateway::{
    cli::accept::{self, Accept, tls::Tls},
    config::TlsFiles,
    metrics::{Count, Metrics},
};

struct Served {
    address: SocketAddr,
    tls: Tls,
    metrics: Metrics,
}

/// An empty folder of its own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("accept-tls").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Answers with the revision of HTTP, over TLS.
async fn serve(files: TlsFiles, tune: impl FnOnce(Accept) -> Accept) -> Served {
    let service = service_fn(|request: Request<accept::Incoming>| async move {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(format!("{:?}", request.version())))))
    });
    let (tls, metrics) = (Tls::load(files).unwrap(), Metrics::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = tune(Accept::new(listener).tls(tls.clone()).metrics(metrics.clone()));
    tokio::spawn(accept.serve(service, std::future::pending()));
    Served { address, tls, metrics }
}

/// One request of HTTP/1.1 on a connection of its own, and what it got.
async fn ask(client: &TlsConnector, address: SocketAddr) -> std::io::Result<String> {
    let mut stream = connect(client, address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

pub(crate) async fn counted(metrics: &Metrics, what: Count, times: u64) {
    let until = async {
        while metrics.get(what) < times {
            tokio::task::yield_now().await;
        }
    };
    timeout(NEVER, until).await.unwrap();
    assert_eq!(metrics.get(what), times);
}

#[tokio::test]
async fn a_client_gets_the_protocol_that_it_asks_for() {
    let authority = Authority::new("one");
    let served = serve(authority.issue().write(&folder("protocols")), |accept| accept).await;
    for (offered, spoken) in [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")] {
        let stream = connect(&authority.client(offered, None), served.address).await.unwrap();
        let request = |uri: &str| Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        let response = if spoken == "HTTP/2.0" {
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            send.send_request(request("https://127.0.0.1/")).await.unwrap()
        } else {
            let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let mut request = request("/");
            request.headers_mut().insert("host", "x".parse().unwrap());
            send.send_request(request).await.unwrap()
        };
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), spoken);
    }
    assert_eq!(served.metrics.get(Count::Tls), 0);
}

#[tokio::test]
async fn plain_http_and_other_noise_is_refused_and_the_next_request_is_served() {
    let authority = Authority::new("one");
    let served = serve(authority.issue().write(&folder("plain")), |accept| accept).await;
    let client = authority.client(&[], None);
    let large = [super::GET, &[b'x'; 20_000]].concat();
    for (n, noise) in [super::GET, &large, b"\x16\x03\x01\x00\x05hello", b"\0\0\0\0\0\0"].into_iter().enumerate() {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(noise).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        if noise.starts_with(b"GET") {
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
        }
        counted(&served.metrics, Count::Tls, n as u64 + 1).await;
        assert!(ask(&client, served.address).await.unwrap().ends_with("HTTP/1.1"));
    }
    // Who only looks whether somebody listens.
    assert_eq!(rest_of(half(&served).await).await, "");
    assert!(ask(&client, served.address).await.unwrap().ends_with("HTTP/1.1"));
    assert_eq!(served.metrics.get(Count::Tls), 4);
}

async fn half(served: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.shutdown().await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_is_counted() {
    let authority = Authority::new("one");
    let served = serve(authority.issue().write(&folder("strangers")), |accept| accept).await;
    assert!(ask(&Authority::new("two").client(&[], None), served.address).await.is_err());
    counted(&served.metrics, Count::Tls, 1).await;
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_heads_deadline_and_delays_nobody() {
    let authority = Authority::new("one");
    let limit = Duration::from_millis(400);
    let tune = |accept: Accept| accept.head_timeout(limit).idle_timeout(NEVER);
    let served = serve(authority.issue().write(&folder("stalled")), tune).await;
    let mut stalled = Vec::new();
    for n in 0..20 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // Nothing at all, or the beginning of a greeting that says it is longer.
        stream.write_all(&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..n % 12]).await.unwrap();
        stalled.push(stream);
    }
    // After a handshake the head has what is left of the time, not as much again.
    let mut silent = connect(&authority.client(&["h2"], None), served.address).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert!(ask(&authority.client(&[], None), served.address).await.unwrap().ends_with("HTTP/1.1"));
    assert!(begun.elapsed() < limit, "it did not wait for the others: {:?}", begun.elapsed());
    for mut stream in stalled {
        let mut rest = Vec::new();
        timeout(NEVER, stream.read_to_end(&mut rest)).await.expect("it is cut").ok();
    }
    timeout(NEVER, silent.read_to_end(&mut Vec::new())).await.expect("it is cut").ok();
    counted(&served.metrics, Count::SlowClient, 21).await;
    assert!(ask(&authority.client(&[], None), served.address).await.unwrap().ends_with("HTTP/1.1"));
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_nobody() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = folder("reload");
    let served = serve(old.issue().write(&folder), |accept| accept).await;
    let mut open = connect(&old.client(&[], None), served.address).await.unwrap();
    let mut goes_on = async || {
        open.write_all(super::GET).await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"HTTP/1.1") || read.len() < 10 {
            assert_ne!(open.read_buf(&mut read).await.unwrap(), 0, "the connection was cut");
        }
    };
    goes_on().await;
    new.issue().write(&folder);
    served.tls.reload().unwrap();
    goes_on().await;
    assert!(ask(&old.client(&[], None), served.address).await.is_err());
    assert!(ask(&new.client(&[], None), served.address).await.unwrap().ends_with("HTTP/1.1"));

    let other = new.issue();
    let pair = new.issue();
    for (cert, key, file, reason) in [
        ("", &*pair.key, "server.pem", "holds no certificate"),
        (&pair.cert[..100], &*pair.key, "server.pem", "PEM"),
        (&*pair.cert, "nothing", "server.key", "holds no private key"),
        (&*pair.cert, &*other.key, "server.key", "is the key of another certificate"),
        (&*pair.key, &*pair.key, "server.pem", "holds no certificate"),
    ] {
        Certificate { cert: cert.into(), key: key.into() }.write(&folder);
        let refused = served.tls.reload().unwrap_err().to_string();
        assert!(refused.contains(file) && refused.contains(reason), "{refused}");
        assert!(!refused.contains(&pair.key[40..80]), "{refused}");
        assert!(ask(&new.client(&[], None), served.address).await.unwrap().ends_with("HTTP/1.1"));
    }
    pair.write(&folder);
    fs::remove_file(folder.join("server.key")).unwrap();
    let refused = served.tls.reload().unwrap_err().to_string();
    assert!(refused.starts_with("`tls.key`: ") && refused.contains("cannot be read"), "{refused}");
    goes_on().await;
}

#[tokio::test]
async fn where_clients_are_known_by_certificates_no_other_gets_through() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let folder = folder("clients");
    fs::write(folder.join("clients.pem"), clients.pem()).unwrap();
    let files = TlsFiles { client_ca: Some(folder.join("clients.pem")), ..servers.issue().write(&folder) };
    let served = serve(files, |accept| accept).await;
    for (n, own) in [None, Some(servers.issue())].iter().enumerate() {
        assert!(ask(&servers.client(&[], own.as_ref()), served.address).await.is_err());
        counted(&served.metrics, Count::Tls, n as u64 + 1).await;
    }
    let known = servers.client(&[], Some(&clients.issue()));
    assert!(ask(&known, served.address).await.unwrap().ends_with("HTTP/1.1"));
}
