//! Where the browser comes back to.

use super::error::Failed;
use std::{collections::HashMap, net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// The path of the redirect.
const PATH: &str = "/callback";
/// The longest request line and headers that are read.
const MAX_HEAD: usize = 16 << 10;
/// How long one connection may take to say what it wants: browsers open some that they never use.
const HEAD: Duration = Duration::from_secs(5);

/// A port of this machine that waits for one answer.
pub(super) struct Loopback(TcpListener);

impl Loopback {
    /// Opens this port, 0 for a free one.
    pub(super) async fn open(port: u16) -> Result<Self, Failed> {
        Ok(Self(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?))
    }

    pub(super) fn redirect(&self) -> Result<String, Failed> {
        Ok(format!("http://127.0.0.1:{}{PATH}", self.0.local_addr()?.port()))
    }

    /// The parameters of the redirect that carries `state`; others are somebody else's and are turned away.
    pub(super) async fn answer(&self, state: &str) -> Result<HashMap<String, String>, Failed> {
        loop {
            let (mut stream, _) = self.0.accept().await?;
            let Ok(Some(target)) = timeout(HEAD, target(&mut stream)).await else { continue };
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let query: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let is_ours = path == PATH && query.get("state").is_some_and(|given| given == state);
            let (status, text) = match (is_ours, query.contains_key("error")) {
                (true, false) => ("200 OK", "You are signed in. This page can be closed."),
                (true, true) => ("200 OK", "The sign-in was refused. This page can be closed."),
                (false, _) => ("404 Not Found", "Nothing is here."),
            };
            let _ = timeout(HEAD, say(&mut stream, status, text)).await;
            if is_ours {
                return Ok(query);
            }
        }
    }
}

/// The target of a GET request.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let line = std::str::from_utf8(&head).ok()?.lines().next()?;
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    Some(target.to_owned())
}

async fn say(stream: &mut TcpStream, status: &str, text: &str) -> std::io::Result<()> {
    let page = format!("<!doctype html><meta charset=utf-8><title>tower-mcp-gateway</title><p>{text}</p>");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all((head + &page).as_bytes()).await?;
    stream.shutdown().await
}
