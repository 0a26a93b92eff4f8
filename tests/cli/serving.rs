use crate::{command, folder};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
};

/// A gateway that is serving, killed when the test ends before it does.
struct Serving {
    child: Child,
    /// Kept open: a gateway whose output nobody reads is another case.
    _stdout: BufReader<ChildStdout>,
    /// Host and port.
    address: String,
}

impl Serving {
    /// Starts with this configuration on a free port and waits until it listens.
    fn start(name: &str, config: &str) -> Self {
        let folder = folder(name);
        std::fs::write(folder.join("tower-mcp-gateway.json"), config).unwrap();
        let mut child = command(&folder).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let line = lines(&mut stdout).find(|line| line.contains(" listens on http://")).expect("it listens");
        let address = line.split("http://").nth(1).unwrap().trim_end_matches("/mcp").to_owned();
        Self { child, _stdout: stdout, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stdout: &mut BufReader<ChildStdout>) -> impl Iterator<Item = String> {
    stdout.lines().map(|line| line.unwrap())
}

#[test]
fn it_serves_until_a_signal_asks_it_to_stop() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut serving = Serving::start("serving", "{\"name\": \"front\"}");
        assert!(serving.get("/healthz").ends_with("ok\n"));
        let lost = serving.get("/lost");
        assert!(lost.starts_with("HTTP/1.1 404") && lost.contains("/mcp"), "{lost}");
        serving.signal(signal);
        assert_eq!(serving.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn it_is_ready_once_every_server_has_answered_or_failed() {
    let serving = Serving::start("ready", "{}");
    let begun = tokio::time::Instant::now();
    let mut answers = std::iter::repeat_with(|| serving.get("/readyz"));
    while !answers.next().unwrap().starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it is never ready");
    }
}

#[test]
fn notes_are_told_before_it_listens() {
    let folder = folder("notes");
    std::fs::write(folder.join("tower-mcp-gateway.json"), "{\"inputs\": [], \"port\": 0}").unwrap();
    let mut child = command(&folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let said: Vec<_> = lines(&mut stdout).take(3).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said[0], "note: of no concern to a gateway; ignored: `inputs`");
    assert!(said[1].starts_with("note: no server is configured"), "{said:?}");
    assert!(said[2].starts_with("tower-mcp-gateway listens on http://127.0.0.1:"), "{said:?}");
}
