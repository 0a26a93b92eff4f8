//! What the program says while it serves, for programs: one object a line.

use crate::{
    command, folder,
    support::{clients::Raw, soon},
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
};

/// The next event of this kind.
async fn event(lines: &mut Lines<BufReader<ChildStdout>>, kind: &str) -> Value {
    loop {
        let line = soon("an event", lines.next_line()).await.unwrap().expect("a line");
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if event["event"] == kind {
            return event;
        }
    }
}

/// Puts another content into a folder as an orchestrator does with what it mounts: in one step, behind links.
fn mount(folder: &Path, version: &str, config: &Value) {
    fs::create_dir_all(folder.join(version)).unwrap();
    fs::write(folder.join(version).join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let _ = fs::remove_file(folder.join("..next"));
    symlink(version, folder.join("..next")).unwrap();
    fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
}

#[tokio::test]
async fn a_mounted_folder_is_followed_and_programs_read_what_a_reload_did() {
    let folder = folder("events");
    let nowhere = |more: Value| {
        let servers = json!({ "one": { "command": "no-such-program" }, "two": more });
        json!({ "admin": { "port": 0 }, "mcpServers": servers })
    };
    mount(&folder, "..1", &nowhere(json!({ "command": "no-such-program" })));
    symlink("..data/tower-mcp-gateway.json", folder.join("tower-mcp-gateway.json")).unwrap();
    let mut gateway = Command::from(command(&folder));
    let gateway =
        gateway.args(["--port", "0", "--admin", "127.0.0.1:0", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = gateway.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let admin = event(&mut lines, "admin").await;
    let address = admin["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(Raw::get(address, "/healthz", &[]).await.status, 200, "{admin}");
    let listening = event(&mut lines, "listening").await;
    assert!(listening["url"].as_str().unwrap().ends_with("/mcp"), "{listening}");
    let server = event(&mut lines, "server").await;
    assert_eq!((&server["status"], &server["tools"]), (&json!("error"), &Value::Null), "{server}");

    let mut next = nowhere(json!({ "command": "no-such-program", "rate": "1/s" }));
    next["requestTimeout"] = 1000.into();
    next["mcpServers"]["three"] = json!({ "command": "no-such-program" });
    mount(&folder, "..2", &next);
    let told = event(&mut lines, "reload").await;
    let of = |field: &str| told[field].clone();
    assert_eq!((of("ok"), of("added"), of("changed")), (json!(true), json!(["three"]), json!(["two"])), "{told}");
    assert_eq!((of("removed"), of("unchanged"), of("restart")), (json!([]), json!(1), json!(["requestTimeout"])));

    fs::write(folder.join("..2/tower-mcp-gateway.json"), "{").unwrap();
    let told = event(&mut lines, "reload").await;
    assert_eq!(told["ok"], false, "{told}");
    assert!(told["message"].as_str().unwrap().contains("the file ends too early"), "{told}");
}
