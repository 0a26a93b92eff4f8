//! The program over TLS: what it demands before it listens, and certificates that change while it serves.

use crate::{
    certificates::{Authority, Certificate, connect},
    command, ends, folder,
    running::{Gateway, child},
    support::{clients::modern, soon},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, path::PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// A folder beside the configurations, which they name relatively.
fn certificates(name: &str) -> (PathBuf, Value) {
    let folder = folder(&format!("{name}-certificates"));
    let beside = |file: &str| format!("../{name}-certificates/{file}");
    (folder, json!({ "cert": beside("server.pem"), "key": beside("server.key") }))
}

/// Calls a tool over TLS, and tells what it said.
async fn call(client: &TlsConnector, address: SocketAddr) -> std::io::Result<String> {
    let mut stream = connect(client, address).await?;
    let (headers, message) = modern(json!(1), "tools/call", json!({ "name": "who" }));
    let (mut head, body) = (
        "POST /mcp HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\n".to_owned(),
        message.to_string(),
    );
    for (name, value) in &headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("host: {address}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn certificate_line(gateway: &mut Gateway) -> String {
    loop {
        let line = gateway.line().await;
        if line.contains("certificate") {
            return line;
        }
    }
}

#[tokio::test]
async fn a_call_over_tls_and_a_certificate_that_is_replaced_while_the_program_serves() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (folder, tls) = certificates("tls");
    old.issue().write(&folder);
    let config = json!({ "tls": tls, "admin": { "port": 0 }, "mcpServers": { "files": child("both") } });
    let mut gateway = Gateway::start("tls", &config).await;
    assert!(gateway.line().await.contains(" connected "));
    let answer = soon("an answer", call(&old.client(&[], None), gateway.address)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("files"), "{answer}");

    // The files of the certificate are watched.
    let issued = new.issue();
    issued.write(&folder);
    let line = certificate_line(&mut gateway).await;
    assert_eq!(line, "the certificate was reloaded: new connections get it");
    assert!(call(&old.client(&[], None), gateway.address).await.is_err());
    assert!(call(&new.client(&[], None), gateway.address).await.unwrap().contains("files"));

    // A broken one is told in one line, and the old one stays.
    Certificate { cert: issued.cert.clone(), key: "nothing".into() }.write(&folder);
    let line = certificate_line(&mut gateway).await;
    assert!(line.starts_with("the certificate was not reloaded, the old one stays: `tls.key`: "), "{line}");
    assert!(call(&new.client(&[], None), gateway.address).await.unwrap().contains("files"));

    // SIGHUP reads it again without a change, too.
    gateway.signal(Signal::SIGHUP);
    let line = certificate_line(&mut gateway).await;
    assert!(line.contains("holds no private key"), "{line}");
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.code().await, Some(0));
}

#[tokio::test]
async fn the_commands_find_the_gateway_that_runs_over_tls() {
    let (folder, tls) = certificates("tls-commands");
    // Nobody but this configuration knows the certificate, and it is for another name.
    Authority::new("nobody").issue().write(&folder);
    let mut config = json!({ "tls": tls, "admin": { "port": 0 }, "mcpServers": { "files": child("both") } });
    let mut gateway = Gateway::start("tls-commands", &config).await;
    assert!(gateway.line().await.contains(" connected "));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli/tls-commands");
    // The port that it took, for the commands.
    let port = gateway.address.port();
    config["port"] = json!(port);
    std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let tools = {
        let folder = folder.clone();
        // It could not start the server itself, so that what it lists comes from the gateway that runs.
        tokio::task::spawn_blocking(move || command(&folder).arg("tools").env("PROGRAM", "/nowhere").output().unwrap())
    };
    ends(&soon("the tools", tools).await.unwrap(), 0, &["who"], &[]);
    let entry = command(&folder).args(["connect", "cursor", "--print"]).env("PROGRAM", "x").output().unwrap();
    let printed = String::from_utf8_lossy(&entry.stdout).into_owned();
    assert!(printed.contains(&format!("\"https://127.0.0.1:{port}/mcp\"")), "{printed}");
}

#[test]
fn files_that_cannot_be_used_are_told_before_anything_is_served() {
    let folder = folder("tls-wrong");
    let tls = json!({ "cert": "server.pem", "key": "server.key" });
    fs::write(folder.join("tower-mcp-gateway.json"), json!({ "port": 0, "tls": tls }).to_string()).unwrap();
    let told = |parts: &[&str]| {
        for arguments in [&["serve"][..], &["check"]] {
            ends(&command(&folder).args(arguments).output().unwrap(), 2, &[], parts);
        }
    };
    told(&["`tls.cert`: ", "server.pem: cannot be read", "relative to the folder"]);
    let (own, other) = (Authority::new("one").issue(), Authority::new("two").issue());
    Certificate { cert: String::new(), key: own.key.clone() }.write(&folder);
    told(&["`tls.cert`: ", "holds no certificate", "BEGIN CERTIFICATE"]);
    Certificate { cert: own.cert.clone(), key: String::new() }.write(&folder);
    told(&["`tls.key`: ", "holds no private key", "passphrase"]);
    Certificate { cert: own.cert, key: other.key }.write(&folder);
    told(&["`tls.key`: ", "is the key of another certificate", "server.pem"]);
}

#[tokio::test]
async fn of_a_server_with_which_tls_cannot_be_spoken_it_is_told_why() {
    let (folder, tls) = certificates("tls-upstream");
    Authority::new("nobody").issue().write(&folder);
    let stranger = Gateway::start("tls-upstream", &json!({ "tls": tls, "mcpServers": {} })).await;
    let plain = Gateway::start("tls-upstream-plain", &json!({ "mcpServers": {} })).await;
    let folder = crate::folder("tls-downstream");
    let entry = |gateway: &Gateway| json!({ "url": format!("https://{}/mcp", gateway.address) });
    let config = json!({ "port": 0, "mcpServers": { "stranger": entry(&stranger), "plain": entry(&plain) } });
    fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = command(&folder);
        command.args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let (untrusted, no_tls) =
        ("the TLS handshake failed: its certificate is not accepted", "what answers there speaks no TLS");
    let remedies = ["correct the host name in `url`, or have the certificate renewed", "write `http://` in `url`"];
    let checked = soon("the check", run(&["check"])).await.unwrap();
    ends(&checked, 1, &[&[untrusted, no_tls][..], &remedies].concat(), &[]);
    let called = soon("the call", run(&["call", "echo"])).await.unwrap();
    ends(&called, 1, &[], &["without the tools of stranger: ", untrusted, "without the tools of plain: ", no_tls]);
}
