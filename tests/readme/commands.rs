use crate::pages::{of, root};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Every command line of the pages, once.
fn lines() -> Vec<String> {
    let mut lines = Vec::new();
    for block in of(&["sh"]) {
        // A remark behind a command is none; of several in a row each is one.
        let commands = block.text.lines().map(|line| line.split(" # ").next().unwrap_or(line));
        for line in commands.flat_map(|line| line.split(" && ")).map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') && !lines.iter().any(|seen| seen == line) {
                lines.push(line.to_owned());
            }
        }
    }
    lines
}

/// A folder with the `mcp.json` that the commands name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme").join(name);
    fs::create_dir_all(&folder).unwrap();
    for file in ["mcp.json", "tower-mcp-gateway.json"] {
        fs::write(folder.join(file), r#"{ "admin": { "port": 0 }, "mcpServers": {} }"#).unwrap();
    }
    folder
}

/// A gateway started as the pages say, but on a free port.
pub(crate) struct Started {
    pub(crate) child: Child,
    _stdout: BufReader<ChildStdout>,
    pub(crate) address: String,
    /// Where servers, health and counts are shown.
    pub(crate) admin: String,
}

impl Started {
    pub(crate) fn by(arguments: &[&str]) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let folder = folder(&format!("started-{}", STARTED.fetch_add(1, Ordering::Relaxed)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tower-mcp-gateway"));
        // The port is the system's choice, whatever the line says.
        let arguments: Vec<_> = arguments.iter().map(|word| if *word == ":4100" { ":0" } else { word }).collect();
        let free: &[_] = if arguments.contains(&":0") { &[] } else { &["--port", "0"] };
        command.args(&arguments).args(free).args(["--admin", ":0"]).current_dir(&folder).env("HOME", &folder);
        Self::as_told(command)
    }

    /// Waits until it listens.
    pub(crate) fn as_told(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut admin = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "{command:?} does not listen");
            if let Some((_, address)) = line.trim().split_once(" are shown at http://") {
                admin = address.to_owned();
            }
            if let Some((_, address)) = line.trim().split_once(" listens on http://") {
                break address.trim_end_matches("/mcp").to_owned();
            }
        };
        Self { child, _stdout: stdout, address, admin }
    }
}

/// What is answered to a `GET`, head and body.
pub(crate) fn http(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_command_is_one() {
    let mut seen = Vec::new();
    for line in lines() {
        let line = line.as_str();
        let words: Vec<_> = line.split_whitespace().skip_while(|word| word.contains('=')).collect();
        seen.push(words[0].to_owned());
        match words[..] {
            // Sent below.
            ["curl", ..] => {}
            ["cargo", "test" | "build" | "install" | "run" | "bench" | "clippy" | "fmt" | "doc", ref rest @ ..] => {
                // The program itself takes what is behind the two dashes.
                let of_cargo: Vec<_> = rest.iter().copied().take_while(|word| *word != "--").collect();
                of_cargo.windows(2).for_each(|pair| exists(line, pair));
            }
            ["tower-mcp-gateway"] => drop(Started::by(&[])),
            ["tower-mcp-gateway", first, ..] if first.starts_with('-') => drop(Started::by(&words[1..])),
            ["tower-mcp-gateway", command, ..] => ends(command, line),
            [script, ..] if root().join(script).is_file() => is_a_program(script),
            _ => panic!("teach this test what to do with: {line}"),
        }
    }
    for command in ["curl", "cargo", "tower-mcp-gateway"] {
        assert!(seen.iter().any(|one| one == command), "{command} is not in {seen:?}");
    }
}

/// Runs a command that ends by itself, in a home folder where nothing is but a configuration.
fn ends(command: &str, line: &str) {
    let folder = folder(command);
    // Nobody sits here to be asked which servers are wanted, and a file is there already.
    let line = line.replace("init --import", "init --import --yes --force");
    let path = Path::new(env!("CARGO_BIN_EXE_tower-mcp-gateway")).parent().unwrap().display();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("PATH={path}:$PATH; {line}")]).current_dir(&folder).env("HOME", &folder);
    let output = shell.env_remove("XDG_CONFIG_HOME").stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // The tools and servers that the pages name are not installed here.
    let unknown = err.contains("there is no tool `read_text_file`");
    assert!(output.status.success() || (output.status.code() == Some(1) && unknown), "{line}\n{out}\n{err}");
    assert!(unknown || !out.is_empty(), "{line} says nothing");
}

/// Whether there is what a line of cargo names.
fn exists(line: &str, pair: &[&str]) {
    let folder = match pair[0] {
        "--test" => "tests",
        "--example" => "examples",
        "--bench" => "benches",
        _ => return,
    };
    let target = root().join(folder).join(pair[1]);
    assert!(
        target.with_extension("rs").is_file() || target.join("main.rs").is_file(),
        "{line}: there is no such target"
    );
}

fn is_a_program(script: &str) {
    use std::os::unix::fs::PermissionsExt;
    assert!(root().join(script).metadata().unwrap().permissions().mode() & 0o111 != 0, "{script}");
}

#[test]
fn every_request_is_answered() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl here");
        return;
    }
    let gateway = Started::by(&["--config", "mcp.json"]);
    let mut answered = 0;
    for line in lines().iter().filter(|line| line.starts_with("curl ")) {
        // `localhost` may be another address first; the gateway is at one.
        let sent = line.replace("localhost:4000", &gateway.address).replace("localhost:4001", &gateway.admin);
        let sent = sent.replacen("curl ", "curl --fail --retry 20 --retry-delay 0 ", 1);
        assert!(!sent.contains("localhost:"), "{line} asks nobody");
        let output = Command::new("sh").args(["-c", &sent]).output().unwrap();
        assert!(output.status.success(), "{sent}\n{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        match line {
            line if line.contains("tools/list") => {
                let list: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(list["result"]["tools"], serde_json::json!([]));
            }
            line if line.contains("4000/readyz") => assert_eq!(text, "ready\n"),
            _ => assert!(!text.is_empty(), "{line} is answered with nothing"),
        }
        answered += 1;
    }
    assert!(answered > 2, "{answered} requests");
}
