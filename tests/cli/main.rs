//! The command as a user meets it: what it prints and how it ends.
#![cfg(feature = "cli")]

mod auth;
mod call;
#[path = "../support/certificates.rs"]
mod certificates;
mod check;
mod connect;
mod descriptors;
mod events;
mod idle;
mod init;
mod killed;
mod pins;
mod reload;
mod replicas;
mod running;
mod secrets;
mod serving;
mod stdio;
#[path = "../support/mod.rs"]
mod support;
mod tls;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// An empty folder of its own, in which the command finds no configuration.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-mcp-gateway"));
    command.current_dir(folder).env("HOME", folder).env_remove("RUST_LOG");
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
    command
}

#[track_caller]
fn ends(output: &Output, code: i32, stdout: &[&str], stderr: &[&str]) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    for part in stdout {
        assert!(out.contains(part), "{part:?} is not in\n{out}");
    }
    for part in stderr {
        assert!(err.contains(part), "{part:?} is not in\n{err}");
    }
    assert_eq!((stdout.is_empty(), stderr.is_empty()), (out.is_empty(), err.is_empty()), "{out}\n{err}");
}

#[test]
fn help_and_version() {
    let folder = folder("help");
    let help = command(&folder).arg("--help").output().unwrap();
    ends(&help, 0, &["--config", "--listen", "--port", "serve", "check", "mcpServers", "RUST_LOG", "Exit codes"], &[]);
    for command in [
        "serve",
        "init",
        "check",
        "tools",
        "call",
        "connect",
        "disconnect",
        "login",
        "logout",
        "schema",
        "token",
        "pins",
        "completions",
    ] {
        let help = crate::command(&folder).args([command, "--help"]).output().unwrap();
        ends(&help, 0, &["Examples:", &format!("tower-mcp-gateway {command}")], &[]);
        let text = String::from_utf8(help.stdout).unwrap();
        let mut examples =
            text.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| !line.is_empty());
        // What is wider than a terminal goes on in a line that cannot be copied.
        assert!(examples.all(|line| line.contains("tower-mcp-gateway")), "{text}");
    }
    let version = command(&folder).arg("--version").output().unwrap();
    ends(&version, 0, &[concat!("tower-mcp-gateway ", env!("CARGO_PKG_VERSION"))], &[]);
}

#[test]
fn without_a_configuration_it_says_what_to_write() {
    let folder = folder("missing");
    let home = folder.join(".config/tower-mcp-gateway/tower-mcp-gateway.json");
    let output = command(&folder).output().unwrap();
    ends(
        &output,
        2,
        &[],
        &["no configuration file", &home.display().to_string(), "init --import", "\"mcpServers\": {"],
    );
    for line in ["serve", "check", "tools", "call echo", "connect cursor", "connect claude-desktop", "login a"] {
        let output = command(&folder).args(line.split(' ')).args(["--config", "nowhere.json"]).output().unwrap();
        let said = ["nowhere.json: cannot be read", "; `tower-mcp-gateway init --config nowhere.json` makes one"];
        ends(&output, 2, &[], &said);
    }
    let output = command(&folder).arg("fly").output().unwrap();
    ends(&output, 2, &[], &["fly"]);
}

#[test]
fn programs_read_failures_as_objects() {
    let folder = folder("failures");
    for (line, code) in [("check -c nowhere.json", 2), ("call x -c nowhere.json", 2), ("connect cursor --project", 1)] {
        // A file where a folder must be, so that nothing can be written.
        std::fs::write(folder.join(".cursor"), "").unwrap();
        let output = command(&folder).args(line.split(' ')).arg("--json").output().unwrap();
        ends(&output, code, &[], &["{"]);
        let failure: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(failure["exitCode"], code, "{line}: {failure}");
        assert!(failure["error"].as_str().is_some_and(|error| !error.is_empty()), "{line}: {failure}");
    }
}

#[test]
fn a_command_line_that_is_not_understood_is_an_object_for_programs() {
    let folder = folder("misunderstood");
    for line in ["fly --json", "--json check --no-such-option", "check --json --port 7"] {
        let output = command(&folder).args(line.split(' ')).output().unwrap();
        ends(&output, 2, &[], &["{"]);
        let failure: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(failure["exitCode"], 2, "{line}: {failure}");
    }
    let help = command(&folder).args(["--json", "--help"]).output().unwrap();
    ends(&help, 0, &["Usage:"], &[]);
}

#[test]
fn what_serve_refuses_is_no_good_configuration_for_check_either() {
    let folder = folder("open-check");
    std::fs::write(folder.join("tower-mcp-gateway.json"), r#"{ "host": "0.0.0.0", "mcpServers": {} }"#).unwrap();
    ends(&command(&folder).arg("check").output().unwrap(), 2, &[], &["0.0.0.0 can be reached from other machines"]);
    let output = command(&folder).args(["pins", "--config", "nowhere.json"]).output().unwrap();
    ends(&output, 2, &[], &["nowhere.json: No such file"]);
}

#[test]
fn every_mistake_of_a_configuration_is_told() {
    let folder = folder("mistakes");
    std::fs::write(folder.join("tower-mcp-gateway.json"), "{\n\"prot\": 1,\n\"balancer\": \"fair\",\n}").unwrap();
    let output = command(&folder).output().unwrap();
    let lines = [
        "tower-mcp-gateway.json: unknown field `prot` at line 2: did you mean `port`?",
        "tower-mcp-gateway.json: `balancer` at line 3: unknown value `fair`",
    ];
    ends(&output, 2, &[], &lines);
}

#[test]
fn a_configuration_may_be_an_open_descriptor() {
    let folder = folder("descriptor");
    std::fs::write(folder.join("c.json"), r#"{"port": "four thousand"}"#).unwrap();
    let mut shell = Command::new("sh");
    shell.current_dir(&folder).args(["-c", r#"exec "$0" serve --config /dev/fd/7 7<c.json"#]);
    let output = shell.arg(env!("CARGO_BIN_EXE_tower-mcp-gateway")).output().unwrap();
    ends(&output, 2, &[], &["`port`", "/dev/fd/7"]);
}

#[test]
fn the_file_in_the_users_folder_is_found() {
    let folder = folder("home");
    let home = folder.join("xdg/tower-mcp-gateway");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("tower-mcp-gateway.json"), "{\"prot\": 1}").unwrap();
    let output = command(&folder).env("XDG_CONFIG_HOME", folder.join("xdg")).output().unwrap();
    ends(&output, 2, &[], &["did you mean `port`?"]);
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let folder = folder("port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    std::fs::write(folder.join("tower-mcp-gateway.json"), "{}").unwrap();
    let output = command(&folder).args(["--port", &port]).output().unwrap();
    ends(&output, 1, &[], &[&format!("port {port} on 127.0.0.1 is in use"), "--listen"]);
}

#[test]
fn every_shell_gets_its_completions() {
    let folder = folder("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = command(&folder).args(["completions", shell]).output().unwrap();
        ends(&output, 0, &["tower-mcp-gateway", "check", "listen"], &[]);
    }
    ends(&command(&folder).args(["completions", "csh"]).output().unwrap(), 2, &[], &["possible values"]);
}

#[test]
fn a_typing_error_is_understood() {
    let folder = folder("typo");
    ends(&command(&folder).arg("chekc").output().unwrap(), 2, &[], &["'check'"]);
    ends(&command(&folder).args(["--stdio", "check"]).output().unwrap(), 2, &[], &["belong to `serve`"]);
    ends(&command(&folder).args(["check", "--log", "a=b=c"]).output().unwrap(), 2, &[], &["--log: "]);
    ends(&command(&folder).args(["--listen", "nowhere"]).output().unwrap(), 2, &[], &["127.0.0.1:4000"]);
}
