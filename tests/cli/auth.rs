//! Who may come in: what the program demands before it listens, and the tokens it makes.

use crate::{
    command, ends, folder,
    running::{Gateway, child},
    support::{
        clients::{Raw, modern},
        soon,
    },
};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Command, Stdio},
};

#[test]
fn an_address_that_others_can_reach_is_not_listened_on_before_it_is_said_who_may_come_in() {
    let folder = folder("open");
    let remedies = ["nothing says who may come in", "`auth`", "tower-mcp-gateway token", "\"auth\": \"none\""];
    std::fs::write(folder.join("tower-mcp-gateway.json"), r#"{"host": "0.0.0.0", "port": 0}"#).unwrap();
    ends(&command(&folder).output().unwrap(), 2, &[], &remedies);
    std::fs::write(folder.join("tower-mcp-gateway.json"), r#"{"port": 0}"#).unwrap();
    ends(&command(&folder).args(["--host", "0.0.0.0"]).output().unwrap(), 2, &[], &remedies);
    ends(&command(&folder).args(["--host", "::"]).output().unwrap(), 2, &[], &remedies);
    let remedies = ["nothing says who may come in", "`admin.auth`"];
    std::fs::write(folder.join("tower-mcp-gateway.json"), r#"{"port": 0, "admin": {"host": "::"}}"#).unwrap();
    ends(&command(&folder).output().unwrap(), 2, &[], &remedies);
    std::fs::write(folder.join("tower-mcp-gateway.json"), r#"{"admin": {"host": "::", "port": 4001}}"#).unwrap();
    ends(&command(&folder).arg("--stdio").output().unwrap(), 2, &[], &remedies);
    for admin in [":0", ":4001", "0.0.0.0:0"] {
        let host = if admin.starts_with(':') { r#"{"admin": {"host": "0.0.0.0"}}"# } else { "{}" };
        std::fs::write(folder.join("tower-mcp-gateway.json"), host).unwrap();
        ends(&command(&folder).args(["--stdio", "--admin", admin]).output().unwrap(), 2, &[], &remedies);
    }
}

#[tokio::test]
async fn it_listens_everywhere_where_that_was_waived_or_clients_are_known() {
    let secret = "a-token-of-thirty-two-characters-or-more";
    for (name, auth, stranger) in
        [("waived", json!("none"), 200), ("known", json!({"tokens": [{"name": "ci", "token": secret}]}), 401)]
    {
        let config = json!({"host": "0.0.0.0", "auth": auth, "mcpServers": {"files": child("both")}});
        let gateway = Gateway::start(name, &config).await;
        let listed = gateway.post("tools/list", json!({})).await;
        assert_eq!(listed.status, stranger, "{name}");
        let (mut headers, message) = modern(json!(1), "tools/list", json!({}));
        headers.push(("authorization", format!("Bearer {secret}")));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(Raw::post(gateway.address, "/mcp", &headers, &message).await.status, 200, "{name}");
        if stranger == 401 {
            let url = format!("http://127.0.0.1:{}/mcp", gateway.address.port());
            let ask = |headers: &[&str]| {
                let mut command = command(&folder("auth-asking"));
                command.args(["tools", "--url", &url]).args(headers);
                tokio::task::spawn_blocking(move || command.output().unwrap())
            };
            ends(&ask(&[]).await.unwrap(), 1, &[], &["401", "it wants credentials: give them with --header"]);
            let wrong = ask(&["-H", "Authorization: Bearer no-token-of-this-gateway-at-all"]).await.unwrap();
            ends(&wrong, 1, &[], &["401", "it refuses these credentials"]);
        }
        // Probes of an orchestrator have no token.
        assert_eq!(Raw::get(gateway.address, "/healthz", &[]).await.status, 200);
        for path in ["/", "/sse", "/messages?sessionId=x"] {
            let status = Raw::get(gateway.address, path, &[]).await.status;
            assert_eq!(status == 401, stranger == 401, "{path} {status}");
        }
    }
}

#[tokio::test]
async fn what_is_shown_to_operators_is_shown_elsewhere_to_whom_the_configuration_names() {
    let secret = "a-token-of-thirty-two-characters-or-more";
    let auth = json!({"tokens": [{"name": "prometheus", "token": secret}]});
    let config = json!({"admin": {"host": "0.0.0.0", "auth": auth}, "mcpServers": {}});
    let gateway = Gateway::start_shown("admin-auth", &config).await;
    let known = format!("Bearer {secret}");
    for (headers, status) in [
        (vec![("host", "10.0.0.7:4001")], 401),
        (vec![("host", "10.0.0.7:4001"), ("authorization", "Bearer another-token-of-thirty-two-characters")], 401),
        (vec![("host", "10.0.0.7:4001"), ("authorization", &known)], 200),
        (vec![("host", "10.0.0.7:4001"), ("authorization", &known), ("origin", "http://10.0.0.7:4001")], 403),
    ] {
        for path in ["/metrics", "/servers", "/health"] {
            assert_eq!(Raw::get(gateway.admin(), path, &headers).await.status, status, "{path} {headers:?}");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(Raw::get(gateway.admin(), path, &[("host", "10.0.0.7:4001")]).await.status, 200, "{path}");
        let page = [("host", "10.0.0.7:4001"), ("origin", "http://10.0.0.7:4001")];
        assert_eq!(Raw::get(gateway.admin(), path, &page).await.status, 403, "{path}");
    }
    assert_eq!(gateway.post("tools/list", json!({})).await.status, 200, "clients are not concerned");
}

fn token(arguments: &[&str], stdin: &str) -> (Option<i32>, String, String) {
    let folder = folder(&format!("token-{}", arguments.len()));
    let mut command: Command = command(&folder);
    command.arg("token").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn entry(stdout: &str) -> Value {
    serde_json::from_str(&stdout[stdout.find('{').expect("an entry")..]).expect("JSON")
}

#[tokio::test]
async fn a_token_that_was_made_opens_with_the_entry_beside_it() {
    let (code, made, _) = token(&["--name", "ci"], "");
    assert_eq!(code, Some(0));
    let secret = made.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(secret.len() >= 43 && !made.lines().nth(1).unwrap().contains(&secret), "{made}");
    let config = json!({"auth": {"tokens": [entry(&made)]}, "mcpServers": {"files": child("both")}});
    let gateway = Gateway::start("made", &config).await;
    let (mut headers, message) = modern(json!(1), "tools/list", json!({}));
    headers.push(("authorization", format!("Bearer {secret}")));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = soon("an answer", Raw::post(gateway.address, "/mcp", &headers, &message)).await;
    assert_eq!(answer.status, 200);

    let (code, again, _) = token(&["--name", "ci", "--stdin"], &format!("{secret}\n"));
    assert_eq!((code, entry(&again)), (Some(0), entry(&made)));
    assert!(!again.contains(&secret));
    assert_ne!(entry(&token(&[], "").1), entry(&made), "another one each time");
}

#[test]
fn a_token_that_could_be_guessed_is_refused() {
    let (code, out, err) = token(&["--stdin"], "hunter2");
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("32 characters") && !err.contains("hunter2"), "{err}");
}
