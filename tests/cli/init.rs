//! `init`: a configuration to begin with, and the servers that clients know.

use crate::{command, ends, folder};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};
use tower_mcp_gateway::config::Config;

fn init(home: &Path, args: &[&str]) -> Output {
    let work = home.join("work");
    fs::create_dir_all(&work).unwrap();
    let mut command = command(home);
    command.env_remove("CLAUDE_CONFIG_DIR").current_dir(work).arg("init").args(args).output().unwrap()
}

fn config(file: PathBuf) -> Config {
    Config::from_file(file).unwrap()
}

fn ids(config: &Config) -> Vec<&str> {
    config.servers.iter().map(|server| server.id().as_str()).collect()
}

#[test]
fn it_writes_a_configuration_with_its_schema_once() {
    let home = folder("init");
    let file = home.join("work/tower-mcp-gateway.json");
    ends(&init(&home, &[]), 0, &["is written", "tower-mcp-gateway check"], &[]);
    assert_eq!(ids(&config(file.clone())).len(), 0);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"$schema\": \"./tower-mcp-gateway.schema.json\""));
    let schema = fs::read_to_string(file.with_file_name("tower-mcp-gateway.schema.json")).unwrap();
    assert_eq!(schema, tower_mcp_gateway::config::SCHEMA);
    fs::write(&file, "{}").unwrap();
    ends(&init(&home, &[]), 1, &[], &["is there already", "--force"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    ends(&init(&home, &["--force"]), 0, &["is written", "tower-mcp-gateway.json.before-init"], &[]);
    // What others could read may now hold keys.
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read_to_string(file.with_file_name("tower-mcp-gateway.json.before-init"));
    assert_eq!(before.unwrap(), "{}", "nothing else has what was replaced");
    ends(&init(&home, &["--force"]), 0, &["tower-mcp-gateway.json.before-init-2"], &[]);
    let before = fs::read_to_string(file.with_file_name("tower-mcp-gateway.json.before-init"));
    assert_eq!(before.unwrap(), "{}", "the first stays");
    ends(&init(&home, &["--user"]), 0, &[".config/tower-mcp-gateway/tower-mcp-gateway.json is written"], &[]);
    ends(&init(&home, &["--config", "mine.json"]), 0, &["mine.json is written", "check --config mine.json"], &[]);
    ends(&init(&home, &["--config", "nowhere/mine.json"]), 1, &[], &["cannot be written"]);
}

/// A home in which every client knows servers.
fn furnished(name: &str) -> PathBuf {
    let home = folder(name);
    let programs = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    let work = home.join("work");
    let here = work.canonicalize().unwrap_or_else(|_| work.clone());
    let write = |file: &str, text: String| {
        let file = home.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    let desktop = "{ \"mcpServers\": { \"files\": { \"command\": \"files\", \"args\": [\"${HOME}\"] } } }";
    write(&format!("{programs}/Claude/claude_desktop_config.json"), desktop.into());
    let code = json!({
        "mcpServers": { "issues": { "type": "http", "url": "https://mcp.example.com/mcp", "headers": { "A": "${NOT_SET_HERE}" } },
                        "socket": { "type": "ws", "url": "ws://x" },
                        "default": { "url": "${NOT_SET_HERE_EITHER:-https://api.example.com}/mcp" },
                        "everything": { "url": "http://localhost:4000/mcp" } },
        "projects": { here.to_str().unwrap(): { "mcpServers": { "mine": { "command": "mine" } } },
                      "/elsewhere": { "mcpServers": { "theirs": { "command": "theirs" } } } },
    });
    write(".claude.json", code.to_string());
    write("work/.mcp.json", "{ \"mcpServers\": { \"mine\": { \"command\": \"mine\" } } }".into());
    let cursor = "\u{feff}{\r\n // c\r\n \"mcpServers\": { \"files\": { \"command\": \"others\", \"env\": { \"H\": \"${userHome}\" } }, \"tower-mcp-gateway\": { \"url\": \"http://127.0.0.1:4000/mcp\" }, },\r\n}";
    write(".cursor/mcp.json", cursor.into());
    let vscode = "{ \"servers\": { \"hub\": { \"type\": \"stdio\", \"command\": \"hub\", \"env\": { \"T\": \"${input:hub-token}\" } } } }";
    write(&format!("{programs}/Code/User/mcp.json"), vscode.into());
    let settings =
        "{ \"editor.fontSize\": 12, // big\n \"mcp\": { \"servers\": { \"older\": { \"command\": \"older\" } } } }";
    write(&format!("{programs}/Code/User/settings.json"), settings.into());
    write(
        "work/.vscode/mcp.json",
        "{ \"servers\": { \"near\": { \"command\": \"${workspaceFolder}/near\" } } }".into(),
    );
    write(
        ".codeium/windsurf/mcp_config.json",
        "{ \"mcpServers\": { \"far\": { \"serverUrl\": \"https://far.example.com/mcp\" } } }".into(),
    );
    home
}

#[test]
fn the_servers_of_every_client_are_taken_over() {
    let home = furnished("init-import");
    let output = init(&home, &["--import", "--yes"]);
    let notes = [
        "issues is switched off until NOT_SET_HERE is set",
        "hub is switched off until HUB_TOKEN is set",
        "socket in",
        "`type`: unknown value `ws`",
        "it is this gateway, which would call itself",
        "everything in",
        "this gateway serves at port 4000",
    ];
    ends(&output, 0, &notes, &[]);
    let config = config(home.join("work/tower-mcp-gateway.json"));
    assert_eq!(ids(&config), ["files", "default", "mine", "files-cursor", "older", "near", "far"]);
    let connection = |id: &str| {
        use tower_mcp_gateway::registry::Connection;
        let server = config.servers.iter().find(|server| server.id().as_str() == id).unwrap();
        match server.connection().clone() {
            Connection::Stdio { command, args, env, .. } => (command, args, env.into_values().collect::<Vec<_>>()),
            other => panic!("{other:?}"),
        }
    };
    // Claude Desktop has no variables, Cursor names the home folder, VS Code the project's.
    assert_eq!(connection("files").1, ["${HOME}"]);
    assert_eq!(connection("files-cursor").2, [home.display().to_string()]);
    assert!(connection("near").0.ends_with("/work/near"));
    let text = fs::read_to_string(home.join("work/tower-mcp-gateway.json")).unwrap();
    assert!(text.contains("\"T\": \"${HUB_TOKEN}\""), "{text}");
}

#[test]
fn one_client_alone_is_asked_by_name_and_nobody_is_asked_without_a_terminal() {
    let home = furnished("init-from");
    ends(&init(&home, &["--import"]), 2, &[], &["--yes", "--from CLIENT"]);
    assert!(!home.join("work/tower-mcp-gateway.json").exists());
    let output = init(&home, &["--from", "windsurf", "--from", "claude-desktop", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["servers"], json!(["far", "files"]), "{report}");
    let config = config(home.join("work/tower-mcp-gateway.json"));
    assert_eq!(ids(&config), ["far", "files"]);
    let bare = folder("init-bare");
    ends(
        &init(&bare, &["--import", "--yes"]),
        0,
        &["no servers of Claude Desktop, Claude Code", "without servers"],
        &[],
    );
}
