use crate::of;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

const CONFIG: &str = "{ \"mcpServers\": {} }";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn lines() -> impl Iterator<Item = &'static str> {
    of(&["sh"]).flat_map(str::lines)
}

/// A folder with the `mcp.json` that the commands name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mcp.json"), CONFIG).unwrap();
    fs::write(folder.join("tower-mcp-gateway.json"), CONFIG).unwrap();
    folder
}

/// A gateway started as the README says, but on a free port.
struct Started(Child, #[expect(dead_code, reason = "kept open")] BufReader<ChildStdout>, String);

impl Started {
    fn by(arguments: &[&str]) -> Self {
        let folder = folder("started");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tower-mcp-gateway"));
        // The port is the system's choice, whatever the line says.
        let arguments: Vec<_> = arguments.iter().map(|word| if *word == ":4100" { ":0" } else { word }).collect();
        let free: &[_] = if arguments.contains(&":0") { &[] } else { &["--port", "0"] };
        command.args(&arguments).args(free).current_dir(&folder).env("HOME", &folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "{arguments:?} does not listen");
            if let Some((_, address)) = line.trim().split_once(" listens on http://") {
                break address.trim_end_matches("/mcp").to_owned();
            }
        };
        Self(child, stdout, address)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_command_is_one() {
    let mut seen = Vec::new();
    for line in lines() {
        let words: Vec<_> = line.split_whitespace().skip_while(|word| word.contains('=')).collect();
        seen.push(words[0]);
        match words[..] {
            ["curl", ..] => {}
            ["cargo", "test" | "build" | "install", ..] => {}
            ["cargo", "run", ref rest @ ..] => {
                let example = rest.iter().skip_while(|word| **word != "--example").nth(1).expect(line);
                let examples = root().join("examples");
                let (file, folder) = (examples.join(format!("{example}.rs")), examples.join(example).join("main.rs"));
                assert!(file.is_file() || folder.is_file(), "{line}");
            }
            ["tower-mcp-gateway"] => drop(Started::by(&[])),
            ["tower-mcp-gateway", first, ..] if first.starts_with('-') => drop(Started::by(&words[1..])),
            ["tower-mcp-gateway", command, ..] => ends(command, line),
            [script, ..] if root().join(script).is_file() => is_a_program(script),
            _ => panic!("teach this test what to do with: {line}"),
        }
    }
    for command in ["curl", "cargo", "tower-mcp-gateway"] {
        assert!(seen.contains(&command), "{command} is not in {seen:?}");
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
    // The tools that the README names are those of a server that is not installed here.
    let unknown = err.contains("there is no tool `read_text_file`");
    assert!(output.status.success() || (output.status.code() == Some(1) && unknown), "{line}\n{out}\n{err}");
    assert!(unknown || !out.is_empty(), "{line} says nothing");
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
    let answers: Vec<_> = lines()
        .filter(|line| line.starts_with("curl "))
        .map(|line| {
            // `localhost` may be another address first; the gateway is at one.
            let line = line.replace("localhost:4000", &gateway.2).replacen(
                "curl ",
                "curl --fail --retry 20 --retry-delay 0 ",
                1,
            );
            let output = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    assert_eq!(answers[0], "ready\n");
    let list: serde_json::Value = serde_json::from_str(&answers[1]).unwrap();
    assert_eq!(list["result"]["tools"], serde_json::json!([]));
}
