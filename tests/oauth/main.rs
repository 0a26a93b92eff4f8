//! Signing in at a server that asks for it, against an authorization server on the real wire.
#![cfg(all(feature = "http", feature = "cli"))]

#[path = "../support/authority.rs"]
mod authority;

mod bound;
mod command;
mod refused;
mod renewal;

use authority::Authority;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;
use tower_mcp_gateway::{
    BoxError, Call, Gateway, Method,
    config::Config,
    json::Params,
    oauth::{OAuth, SignIn, error::Failed},
    reply::Outcome,
    route::Route,
};

/// An empty folder for the tokens of one test.
fn state(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oauth").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn tokens(state: &Path) -> PathBuf {
    state.join("tower-mcp-gateway/tokens")
}

/// The only file of tokens.
fn file(state: &Path) -> PathBuf {
    let files = tokens(state).read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    file.clone()
}

fn text(authority: &Authority) -> String {
    let servers = json!({ "hosted": { "url": authority.url(), "auth": "oauth" } });
    json!({ "healthCheckInterval": 30, "admin": { "port": 0 }, "mcpServers": servers }).to_string()
}

/// A gateway before the guarded server, with the tokens in `state`.
async fn gateway(authority: &Authority, state: &Path) -> Gateway {
    let home = state.to_str().unwrap().to_owned();
    let config = Config::parse(&text(authority), |name| (name == "XDG_STATE_HOME").then(|| home.clone())).unwrap();
    let (gateway, driver) = Gateway::from_config(config).unwrap();
    tokio::spawn(driver);
    gateway.registry().tables().settled().await;
    gateway
}

async fn call(gateway: &Gateway) -> Result<String, BoxError> {
    let params = Params::from_value(&json!({"name": "whoami", "arguments": {}})).unwrap();
    let route = <Route>::new(gateway.registry().tables());
    match route.oneshot(Call::new(Method::TOOLS_CALL, params)).await?.outcome().await? {
        Outcome::Result(result) => {
            let value: Value = result.read().unwrap();
            Ok(value["content"][0]["text"].as_str().unwrap().to_owned())
        }
        other => panic!("{other:?}"),
    }
}

/// What a browser does: asks, and goes where it is sent.
async fn browse(url: &str) -> String {
    let mut url = url.to_owned();
    loop {
        let answer = get(&url).await;
        let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
        match location {
            Some(next) => url = next.trim().to_owned(),
            None => return answer,
        }
    }
}

async fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Signs in as a program of one's own does.
async fn sign_in(authority: &Authority, settings: &OAuth) -> Result<(), Failed> {
    let waiting = SignIn::begin("hosted", &authority.url(), settings, 0).await?;
    let page = waiting.page().to_owned();
    let browser = tokio::spawn(async move { browse(&page).await });
    let done = waiting.finish().await;
    browser.await.unwrap();
    done
}
