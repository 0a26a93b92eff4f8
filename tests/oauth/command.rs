//! `login` and `logout`.

use crate::{authority::Authority, browse, call, file, gateway, state, text, tokens};
use std::{os::unix::fs::PermissionsExt, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

fn command(state: &Path, config: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-mcp-gateway"));
    command.args(words).arg("--config").arg(config).env("XDG_STATE_HOME", state);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_person_signs_in_once_and_the_gateway_is_let_in_until_they_sign_out() {
    let (authority, state) = (Authority::start(None).await, state("command"));
    let config = state.join("mcp.json");
    std::fs::write(&config, text(&authority)).unwrap();

    let mut login = command(&state, &config, &["login", "hosted", "--no-browser"]).spawn().unwrap();
    let mut lines = BufReader::new(login.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "Sign in at:");
    let page = lines.next_line().await.unwrap().unwrap();
    // A request that was not waited for changes nothing.
    let redirect = page.split("redirect_uri=").nth(1).unwrap().split('&').next().unwrap();
    let redirect = redirect.replace("%3A", ":").replace("%2F", "/");
    assert!(browse(&format!("{redirect}?state=guess&code=x")).await.starts_with("HTTP/1.1 404"));
    let shown = browse(page.trim()).await;
    assert!(shown.contains("You are signed in"), "{shown}");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "Signed in at hosted.");
    assert!(login.wait().await.unwrap().success());
    assert_eq!(authority.scope().as_deref(), Some("tools more offline_access"));

    let file = file(&state);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(tokens(&state).metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let names = tokens(&state).read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_str().unwrap().starts_with('.')), "no draft is left");
    assert_eq!(call(&gateway(&authority, &state).await).await.unwrap(), "somebody");

    for said in ["Signed out of hosted.\n", "Nobody was signed in at hosted.\n"] {
        let output = command(&state, &config, &["logout", "hosted"]).output().await.unwrap();
        assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(0), said));
    }
    assert!(!file.exists() && !authority.has_tokens());
}

#[tokio::test]
async fn a_sign_in_that_is_interrupted_ends_as_every_command_does() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let (authority, state) = (Authority::start(None).await, state("interrupted"));
    let config = state.join("mcp.json");
    std::fs::write(&config, text(&authority)).unwrap();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut login = command(&state, &config, &["login", "hosted", "--no-browser"]).spawn().unwrap();
        let mut lines = BufReader::new(login.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "Sign in at:");
        kill(Pid::from_raw(login.id().unwrap().try_into().unwrap()), signal).unwrap();
        assert_eq!(login.wait().await.unwrap().code(), Some(code), "{signal}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_signed_in_at_is_said_with_what_to_do() {
    let state = state("absent");
    let config = state.join("mcp.json");
    std::fs::write(&config, r#"{"mcpServers": {"open": {"url": "http://127.0.0.1:9/mcp"}}}"#).unwrap();
    for (id, reason) in [
        ("open", "nobody signs in at open, because its entry has no `\"auth\": \"oauth\"`: write that first\n"),
        ("typo", "there is no server \"typo\"; none of the configuration has `\"auth\": \"oauth\"`\n"),
    ] {
        let output = command(&state, &config, &["login", id]).output().await.unwrap();
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(2), reason));
    }
}
