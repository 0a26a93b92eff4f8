//! `connect` and `disconnect`: the files of every client, as people have them.

use crate::{command, ends, folder};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Output,
};

/// Each client: its word, the file in a home folder, the member with the servers, and the entry of the gateway.
fn clients(folder: &Path) -> Vec<(&'static str, PathBuf, &'static str, Value)> {
    let programs = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    let url = "http://127.0.0.1:4321/mcp";
    // Without symbolic links, on the way to the target directory, say: so the program writes them.
    let written = |path: &Path| fs::canonicalize(path).unwrap();
    let launch = json!({
        "command": written(env!("CARGO_BIN_EXE_tower-mcp-gateway").as_ref()),
        "args": ["serve", "--stdio", "--config", written(&folder.join("tower-mcp-gateway.json"))],
    });
    vec![
        ("claude-desktop", format!("{programs}/Claude/claude_desktop_config.json").into(), "mcpServers", launch),
        ("claude-code", ".claude.json".into(), "mcpServers", json!({ "type": "http", "url": url })),
        ("cursor", ".cursor/mcp.json".into(), "mcpServers", json!({ "url": url })),
        ("vscode", format!("{programs}/Code/User/mcp.json").into(), "servers", json!({ "type": "http", "url": url })),
        ("windsurf", ".codeium/windsurf/mcp_config.json".into(), "mcpServers", json!({ "serverUrl": url })),
    ]
}

/// What a file may hold; `SERVERS` stands for the member with the servers.
const FIXTURES: [(&str, Option<&str>); 12] = [
    ("missing", None),
    ("empty", Some("")),
    ("blank", Some("\n")),
    ("object", Some("{}")),
    ("without the member", Some("{\n    \"theme\": \"dark\"\n}\n")),
    ("no servers", Some("{\n  \"SERVERS\": {}\n}\n")),
    ("in one line", Some("{\"SERVERS\":{\"a\":{\"command\":\"x\"}},\"b\":[1,2]}")),
    (
        "comments and trailing commas",
        Some(
            "// top\n{\n  // one\n  \"SERVERS\": {\n    /* two */ \"a\": { \"command\": \"x\", }, // three\n    // four\n  },\n  \"z\": 1, // five\n}\n// end\n",
        ),
    ),
    (
        "dots in names",
        Some("{\n\t\"SERVERS\": {\n\t\t\"com.example.files\": {\n\t\t\t\"command\": \"x\"\n\t\t}\n\t}\n}\n"),
    ),
    (
        "a mark and CRLF",
        Some("\u{feff}{\r\n  \"SERVERS\": {\r\n    \"a\": { \"command\": \"x\" }\r\n  },\r\n  \"é\": \"ü\"\r\n}"),
    ),
    ("numbers that are no doubles", Some("{\n  \"n\": 12345678901234567890.10, \"e\": 1E+2,\n  \"SERVERS\": {}\n}\n")),
    (
        "braces in strings",
        Some("{\n  \"x\": \"{ // , } \\\" \\u00e9\",\n  \"SERVERS\": { \"b}\": { \"url\": \"http://x//y\" } }\n}\n"),
    ),
];

struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        fs::write(folder.join("tower-mcp-gateway.json"), "{ \"port\": 4321, \"mcpServers\": {} }").unwrap();
        Self(folder)
    }

    fn run(&self, args: &[&str]) -> Output {
        command(&self.0).env_remove("CLAUDE_CONFIG_DIR").args(args).output().unwrap()
    }

    fn write(&self, file: &Path, text: &str) {
        fs::create_dir_all(self.0.join(file).parent().unwrap()).unwrap();
        fs::write(self.0.join(file), text).unwrap();
    }

    fn read(&self, file: &Path) -> Option<String> {
        fs::read_to_string(self.0.join(file)).ok()
    }

    /// How many files lie beside `file`, itself included.
    fn beside(&self, file: &Path) -> usize {
        fs::read_dir(self.0.join(file).parent().unwrap()).unwrap().count()
    }
}

/// The value of JSON with comments and trailing commas.
fn value(text: &str) -> Value {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = jsonc_parser::cst::CstRootNode::parse(text, &Default::default()).expect("JSON");
    root.to_serde_value().expect("a value")
}

#[test]
fn every_client_is_connected_and_left_as_it_was() {
    for (number, (what, text)) in FIXTURES.into_iter().enumerate() {
        let home = Home::new(&format!("connect-{number}"));
        for (client, file, key, entry) in clients(&home.0) {
            let before = text.map(|text| text.replace("SERVERS", key));
            if let Some(before) = &before {
                home.write(&file, before);
            }
            let files = if before.is_some() { home.beside(&file) } else { 0 };
            ends(&home.run(&["connect", client]), 0, &["is connected: "], &[]);
            let connected = home.read(&file).unwrap();
            assert_eq!(value(&connected)[key]["tower-mcp-gateway"], entry, "{client}, {what}: {connected}");
            let mut rest = connected.chars();
            let mut wanted = before.iter().flat_map(|before| before.chars()).filter(|c| !c.is_whitespace());
            assert!(wanted.all(|c| rest.any(|other| other == c)), "{client}, {what}: all else is there, in its order");
            ends(&home.run(&["connect", client]), 0, &["is connected already"], &[]);
            assert_eq!(home.read(&file).as_ref(), Some(&connected), "{client}, {what}: the second time");

            ends(&home.run(&["disconnect", client]), 0, &["is not connected any more"], &[]);
            assert_eq!(home.read(&file), before, "{client}, {what}");
            if before.is_some() {
                assert_eq!(home.beside(&file), files, "{client}, {what}: nothing is left beside it");
            }
            ends(&home.run(&["disconnect", client]), 0, &["is not connected: "], &[]);
        }
    }
}

#[test]
fn what_was_changed_meanwhile_stays() {
    let home = Home::new("connect-changed");
    for (client, file, key, _) in clients(&home.0) {
        home.write(&file, &format!("{{\n  // mine\n  \"{key}\": {{\n    \"a\": {{ \"command\": \"x\" }}\n  }}\n}}\n"));
        ends(&home.run(&["connect", client]), 0, &["is kept in"], &[]);
        let grown = home.read(&file).unwrap().replace("// mine", "// mine and more");
        home.write(&file, &grown);
        ends(&home.run(&["disconnect", client]), 0, &["is not connected any more"], &[]);
        let text = home.read(&file).unwrap();
        assert_eq!(
            text,
            format!("{{\n  // mine and more\n  \"{key}\": {{\n    \"a\": {{ \"command\": \"x\" }}\n  }}\n}}\n")
        );
        assert!(!home.0.join(format!("{}.before-tower-mcp-gateway", file.display())).exists(), "{client}");
    }
}

#[test]
fn an_entry_that_changes_is_replaced_and_the_way_back_stays() {
    let home = Home::new("connect-again");
    let file = Path::new(".cursor/mcp.json");
    let before = "{\n  \"mcpServers\": {}\n}\n";
    home.write(file, before);
    ends(&home.run(&["connect", "cursor"]), 0, &["is connected"], &[]);
    ends(&home.run(&["connect", "cursor", "--stdio"]), 0, &["is connected"], &[]);
    let entry = value(&home.read(file).unwrap())["mcpServers"]["tower-mcp-gateway"].clone();
    assert_eq!(entry["args"][1], "--stdio");
    let header = ["connect", "cursor", "--url", "https://mcp.example.com/mcp", "--header", "Authorization: Bearer t"];
    ends(&home.run(&header), 0, &["is connected", "https://mcp.example.com/mcp"], &[]);
    let entry = value(&home.read(file).unwrap())["mcpServers"]["tower-mcp-gateway"].clone();
    let expected = json!({ "url": "https://mcp.example.com/mcp", "headers": { "Authorization": "Bearer t" } });
    assert_eq!(entry, expected);
    ends(&home.run(&["disconnect", "cursor"]), 0, &["is not connected any more"], &[]);
    assert_eq!(home.read(file).as_deref(), Some(before));
}

#[test]
fn a_link_stays_one_and_nobody_else_may_read_what_nobody_could() {
    let home = Home::new("connect-link");
    let (file, real) = (Path::new(".cursor/mcp.json"), Path::new("dotfiles/cursor.json"));
    home.write(real, "{}");
    fs::set_permissions(home.0.join(real), fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir_all(home.0.join(".cursor")).unwrap();
    symlink(home.0.join(real), home.0.join(file)).unwrap();
    ends(&home.run(&["connect", "cursor"]), 0, &["is connected"], &[]);
    assert!(home.0.join(file).is_symlink() && home.read(real).unwrap().contains("4321"));
    let mode = |file: &str| fs::metadata(home.0.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("dotfiles/cursor.json"), mode("dotfiles/cursor.json.before-tower-mcp-gateway")), (0o640, 0o640));
    ends(&home.run(&["connect", "windsurf"]), 0, &["is connected"], &[]);
    assert_eq!(mode(".codeium/windsurf/mcp_config.json"), 0o600);
}

#[test]
fn whoever_connects_to_a_gateway_that_knows_its_clients_is_told_of_the_token() {
    let home = Home::new("connect-auth");
    let token = "a-token-of-thirty-two-characters-or-more";
    let config = json!({ "port": 4321, "auth": { "tokens": [{ "name": "ci", "token": token }] }, "mcpServers": {} });
    fs::write(home.0.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    ends(&home.run(&["connect", "cursor"]), 0, &["lets in only whom it knows", "tower-mcp-gateway token"], &[]);
    let header = format!("Authorization: Bearer {token}");
    let known = home.run(&["connect", "cursor", "--header", &header]);
    assert!(!String::from_utf8_lossy(&known.stdout).contains("lets in only"));
}

#[test]
fn who_launches_the_gateway_is_told_of_the_variables_that_it_needs() {
    let home = Home::new("connect-variables");
    let config = json!({
        "mcpServers": {
            "files": { "command": "${HOME}/files", "env": { "KEY": "${FILES_KEY}", "ZONE": "${ZONE:-UTC}" } },
            "far": { "url": "https://${FAR_HOST}/mcp", "headers": { "Authorization": "Bearer ${FILES_KEY}" } },
            "off": { "command": "x", "env": { "K": "${NOWHERE}" }, "disabled": true },
        },
    });
    fs::write(home.0.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let run = |args: &[&str]| {
        let mut command = command(&home.0);
        command.env_remove("CLAUDE_CONFIG_DIR").env("FILES_KEY", "k").env("FAR_HOST", "h").env("ZONE", "CET");
        command.args(args).output().unwrap()
    };
    let told = "needs FAR_HOST, FILES_KEY: start Claude Desktop with these variables, or write them into `env`";
    ends(&run(&["connect", "claude-desktop", "--print"]), 0, &["\"command\""], &[told]);
    ends(&run(&["connect", "claude-desktop"]), 0, &["is connected", told], &[]);
    let connected = run(&["connect", "cursor"]);
    assert!(!String::from_utf8_lossy(&connected.stdout).contains("FILES_KEY"), "the gateway that runs has them");

    let (_, file, key, mut entry) = clients(&home.0).swap_remove(0);
    entry["env"] = json!({ "FILES_KEY": "k", "FAR_HOST": "h" });
    home.write(&file, &json!({ key: { "tower-mcp-gateway": entry } }).to_string());
    ends(&run(&["connect", "claude-desktop"]), 0, &["is connected already"], &[]);
    entry["command"] = "elsewhere".into();
    home.write(&file, &json!({ key: { "tower-mcp-gateway": entry } }).to_string());
    ends(&run(&["connect", "claude-desktop"]), 0, &["is connected: "], &[]);
    let written = value(&home.read(&file).unwrap())[key]["tower-mcp-gateway"].clone();
    assert_eq!((&written["env"], written["command"] == "elsewhere"), (&entry["env"], false));
}

#[test]
fn a_link_to_a_file_that_does_not_exist_yet_stays_one() {
    let home = Home::new("connect-dangling");
    let (file, real) = (Path::new(".cursor/mcp.json"), Path::new("dotfiles/cursor.json"));
    fs::create_dir_all(home.0.join(".cursor")).unwrap();
    fs::create_dir_all(home.0.join("dotfiles")).unwrap();
    symlink("../dotfiles/cursor.json", home.0.join(file)).unwrap();
    ends(&home.run(&["connect", "cursor"]), 0, &["is connected"], &[]);
    assert!(home.0.join(file).is_symlink() && home.read(real).unwrap().contains("4321"));
    ends(&home.run(&["disconnect", "cursor"]), 0, &["is not connected any more"], &[]);
    assert!(home.0.join(file).is_symlink() && home.read(real).is_none());
}

#[test]
fn a_file_that_is_not_understood_is_left_alone() {
    let home = Home::new("connect-broken");
    let file = Path::new(".cursor/mcp.json");
    for (text, reason) in [
        ("{ \"mcpServers\": ", "it is no JSON"),
        ("[]", "it holds no object"),
        ("{ \"mcpServers\": [] }", "`mcpServers` in it is no object"),
        ("{ \"mcpServers\": {}, \"mcpServers\": {} }", "stands in it 2 times"),
    ] {
        home.write(file, text);
        ends(&home.run(&["connect", "cursor"]), 1, &[], &["is left as it is", reason]);
        assert_eq!(home.read(file).as_deref(), Some(text));
        assert_eq!(home.beside(file), 1);
    }
}

#[test]
fn it_only_shows_what_it_would_do_and_refuses_what_makes_no_sense() {
    let home = Home::new("connect-print");
    let shown = home.run(&["connect", "vscode", "--print"]);
    ends(&shown, 0, &["\"servers\"", "\"type\": \"http\""], &["Code/User/mcp.json"]);
    ends(&home.run(&["disconnect", "vscode", "--print"]), 0, &["is not in"], &[]);
    let object = |args: &[&str]| -> Value { serde_json::from_slice(&home.run(args).stdout).unwrap() };
    let shown = object(&["connect", "vscode", "--print", "--json"]);
    assert_eq!(shown["entry"], json!({ "type": "http", "url": "http://127.0.0.1:4321/mcp" }));
    assert_eq!(object(&["disconnect", "vscode", "--print", "--json"])["present"], false);
    assert!(clients(&home.0).iter().all(|(_, file, ..)| !home.0.join(file).exists()));
    ends(&home.run(&["connect", "claude-desktop", "--url", "http://x/mcp"]), 2, &[], &["connects to no address"]);
    ends(&home.run(&["connect", "windsurf", "--project"]), 2, &[], &["no file of a project"]);
    ends(&home.run(&["connect", "cursor", "--url", "nowhere"]), 2, &[], &["must begin with http://"]);
    ends(&home.run(&["connect", "cursr"]), 2, &[], &["'cursor'"]);
    let project = home.run(&["connect", "claude-code", "--project", "--json"]);
    let report: Value = serde_json::from_slice(&project.stdout).unwrap();
    assert_eq!((&report["changed"], &report["file"]), (&json!(true), &json!(".mcp.json")));
    fs::remove_file(home.0.join("tower-mcp-gateway.json")).unwrap();
    ends(&home.run(&["connect", "claude-desktop"]), 2, &[], &["no configuration file"]);
}

#[tokio::test]
async fn what_is_written_for_claude_desktop_is_what_the_sdk_can_launch() {
    use crate::support::clients::{Mode, launch};
    let home = Home::new("connect-launch");
    let config = json!({ "mcpServers": { "files": crate::running::child("both") } });
    fs::write(home.0.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let (client, file, key, _) = clients(&home.0).swap_remove(0);
    ends(&home.run(&["connect", client]), 0, &["is connected"], &[]);
    let entry = value(&home.read(&file).unwrap())[key]["tower-mcp-gateway"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut command = tokio::process::Command::new(text(&entry["command"]));
    command.args(entry["args"].as_array().unwrap().iter().map(text)).current_dir("/").kill_on_drop(true);
    command.env("HOME", &home.0).stderr(std::process::Stdio::null());
    let client = launch(Mode::Initialize, command).await;
    assert_eq!(client.text("who", json!({})).await, "files");
    client.close().await;
}
