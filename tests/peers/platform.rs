//! The servers of the example platform, without the gateway.

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};

use crate::{
    analytics::Analytics,
    files::Files,
    kit::{Request, Server, rpc},
    search::Search,
    support::peer::Peer,
};

async fn ask<S: Server>(server: &S, method: &str, params: Value) -> (Value, Vec<Value>) {
    let (notes, mut noted) = tokio::sync::mpsc::unbounded_channel();
    let request = Request { method: method.into(), params, notes };
    let answer = rpc::response(&json!(1), rpc::answer(server, request).await);
    let mut told = Vec::new();
    while let Ok(note) = noted.try_recv() {
        told.push(note);
    }
    (answer, told)
}

async fn call<S: Server>(server: &S, tool: &str, arguments: Value) -> Value {
    ask(server, "tools/call", json!({ "name": tool, "arguments": arguments })).await.0
}

fn text(answer: &Value) -> &str {
    answer.pointer("/result/content/0/text").and_then(Value::as_str).unwrap_or_else(|| panic!("no text in {answer}"))
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("peers-test-{:016x}", fastrand::u64(..)));
        fs::create_dir_all(path.join("root/sub dir")).expect("a folder");
        fs::write(path.join("secret.txt"), "secret").expect("a file");
        fs::write(path.join("root/plain.txt"), "plain").expect("a file");
        fs::write(path.join("root/sub dir/ä.txt"), "umlaut").expect("a file");
        Self(path)
    }

    fn root(&self) -> std::path::PathBuf {
        self.0.join("root")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn search_says_which_replica_answers() {
    let search = Search::new("search-7");
    let found = call(&search, "search", json!({ "query": "GATEWAY" })).await;
    assert_eq!(text(&found), r#"search-7: 2 for "GATEWAY": rivers, gateways"#);
    assert_eq!(found["result"]["structuredContent"]["replica"], "search-7");
    assert_eq!(text(&call(&search, "search_reindex", json!({})).await), "search-7: index 2 holds 5 documents");
    assert_eq!(call(&search, "search", json!({})).await["error"]["code"], -32602);
    assert_eq!(call(&search, "other", json!({})).await["error"]["code"], -32602);
}

#[tokio::test]
async fn aggregate_reports_progress_only_to_who_asks() {
    let arguments = json!({ "numbers": [3, 1, 4.5] });
    let silent = json!({ "name": "aggregate", "arguments": arguments });
    let (answer, notes) = ask(&Analytics, "tools/call", silent).await;
    assert_eq!(text(&answer), "count 3, sum 8.5, least 1, greatest 4.5, mean 2.8333333333333335");
    assert!(notes.is_empty());
    let asked = json!({ "name": "aggregate", "arguments": arguments, "_meta": { "progressToken": "t" } });
    let (_, notes) = ask(&Analytics, "tools/call", asked).await;
    let progress: Vec<_> = notes.iter().map(|note| note["params"]["progress"].as_u64().expect("a number")).collect();
    assert_eq!(progress, [1, 2, 3]);
    for numbers in [json!([]), json!("3"), json!([1, "2"]), Value::Null] {
        assert_eq!(call(&Analytics, "aggregate", json!({ "numbers": numbers })).await["error"]["code"], -32602);
    }
}

#[tokio::test]
async fn files_are_tools_and_resources() {
    let folder = Folder::new();
    let files = Files::new(&folder.root()).expect("the folder exists");
    assert_eq!(text(&call(&files, "list_files", json!({})).await), "plain.txt\nsub dir/ä.txt");
    assert_eq!(text(&call(&files, "read_file", json!({ "path": "plain.txt" })).await), "plain");

    let (listed, _) = ask(&files, "resources/list", json!({})).await;
    let uris: Vec<_> = listed["result"]["resources"].as_array().expect("a list").iter().map(|r| &r["uri"]).collect();
    assert_eq!(uris, ["file:///plain.txt", "file:///sub%20dir/%C3%A4.txt"]);
    for (uri, wanted) in uris.iter().zip(["plain", "umlaut"]) {
        let (read, _) = ask(&files, "resources/read", json!({ "uri": uri })).await;
        assert_eq!(read.pointer("/result/contents/0/text"), Some(&json!(wanted)));
    }
    let (templates, _) = ask(&files, "resources/templates/list", json!({})).await;
    assert_eq!(templates.pointer("/result/resourceTemplates/0/uriTemplate"), Some(&json!("file:///{path}")));
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let folder = Folder::new();
    std::os::unix::fs::symlink(folder.0.join("secret.txt"), folder.root().join("link.txt")).expect("a link");
    let files = Files::new(&folder.root()).expect("the folder exists");
    let outside = folder.0.join("secret.txt");
    let paths =
        ["../secret.txt", "sub dir/../../secret.txt", "link.txt", "", ".", "none.txt", outside.to_str().unwrap()];
    for path in paths {
        let read = call(&files, "read_file", json!({ "path": path })).await;
        assert_eq!(read["result"]["isError"], true, "{path}: {read}");
    }
    let uris =
        ["file:///../secret.txt", "file:///%2e%2e/secret.txt", "file:///%2E%2E%2Fsecret.txt", "file:///%zz", "x:y"];
    for uri in uris {
        let (read, _) = ask(&files, "resources/read", json!({ "uri": uri })).await;
        assert_eq!(read["error"]["code"], -32002, "{uri}: {read}");
    }
    assert!(Files::new(Path::new("/no/such/folder")).is_err());
    assert!(!text(&call(&files, "list_files", json!({})).await).contains("link"), "links are not listed");
}

#[tokio::test]
async fn a_revision_nobody_speaks_is_answered_with_the_newest_known() {
    for (asked, given) in
        [("2024-11-05", "2024-11-05"), ("2025-06-18", "2025-06-18"), ("2026-07-28", "2025-11-25"), ("x", "2025-11-25")]
    {
        let (answer, _) = ask(&Analytics, "initialize", json!({ "protocolVersion": asked })).await;
        assert_eq!(answer["result"]["protocolVersion"], given);
    }
}

#[tokio::test]
async fn a_cancelled_request_is_never_answered() {
    let peer = Peer::new("one");
    let (dialogue, mut told) = rpc::Dialogue::new(Arc::clone(&peer));
    dialogue.hear(json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": { "name": "hang" } }));
    peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
    let cancelled = json!({ "method": "notifications/cancelled", "params": { "requestId": "a" } });
    dialogue.hear(cancelled);
    peer.ledger.until(|counts| counts.abandoned == 1).await;
    dialogue.hear(json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }));
    assert_eq!(told.recv().await.expect("an answer")["id"], 2);
}
