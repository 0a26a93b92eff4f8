use crate::parse;
use tower_mcp_gateway::{config::Config, registry::Connection};

/// Id and transport of each server.
fn servers(config: &Config) -> Vec<(&str, &'static str)> {
    config.servers.iter().map(|server| (server.id().as_str(), server.connection().transport())).collect()
}

#[test]
fn the_file_of_claude_desktop() {
    let config = parse(
        r#"{
            "globalShortcut": "Ctrl+Space",
            "mcpServers": {
                "filesystem": {
                    "command": "npx",
                    "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"]
                },
                "github": {
                    "command": "npx",
                    "args": ["-y", "@modelcontextprotocol/server-github"],
                    "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "${TOKEN}" }
                }
            }
        }"#,
    )
    .unwrap();
    assert_eq!(servers(&config), [("filesystem", "stdio"), ("github", "stdio")]);
    assert_eq!(config.servers[0].name().as_str(), "filesystem");
    let Connection::Stdio { args, env, .. } = config.servers[1].connection() else { panic!() };
    assert_eq!((args.len(), env["GITHUB_PERSONAL_ACCESS_TOKEN"].as_str()), (2, "hunter2"));
    assert_eq!(config.notes, ["of no concern to a gateway; ignored: `globalShortcut`"]);
}

#[test]
fn the_file_of_cursor_and_its_relatives() {
    let config = parse(
        r#"{
            "mcpServers": {
                "local": { "command": "python", "args": ["server.py"], "env": { "KEY": "${env:TOKEN}" }, "type": "stdio" },
                "remote": { "url": "https://example.com/mcp", "headers": { "Authorization": "Bearer ${env:TOKEN}" } },
                "old": { "url": "http://localhost:3001/sse" },
                "cline": { "url": "http://localhost:3002", "type": "streamableHttp", "disabled": false,
                           "autoApprove": ["search"], "timeout": 60 },
                "roo": { "url": "http://localhost:3003/sse?x=1", "type": "streamable-http", "alwaysAllow": [] },
                "windsurf": { "serverUrl": "https://example.com/sse/", "disabledTools": [] },
                "off": { "command": "x", "disabled": true, "env": { "K": "${NOWHERE}" } },
                "goose": { "command": "x", "enabled": false }
            }
        }"#,
    )
    .unwrap();
    let expected = [
        ("local", "stdio"),
        ("remote", "http"),
        ("old", "sse"),
        ("cline", "http"),
        ("roo", "http"),
        ("windsurf", "sse"),
    ];
    assert_eq!(servers(&config), expected);
    let expected = [
        "mcpServers.cline: `autoApprove` and `timeout`: of no concern to a gateway; ignored",
        "mcpServers.roo: `alwaysAllow`: of no concern to a gateway; ignored",
        "mcpServers.windsurf: `disabledTools`: of no concern to a gateway; ignored",
        "mcpServers.off: switched off in the file; skipped",
        "mcpServers.goose: switched off in the file; skipped",
    ];
    assert_eq!(config.notes, expected);
}

#[test]
fn the_file_of_vs_code() {
    let config = parse(
        r#"{
            // .vscode/mcp.json
            "inputs": [{ "type": "promptString", "id": "key", "password": true }],
            "servers": {
                "github": { "type": "http", "url": "https://api.githubcopilot.com/mcp/" },
                "playwright": { "command": "npx", "args": ["-y", "@microsoft/mcp-server-playwright"], "dev": { "watch": "x" } },
            },
        }"#,
    )
    .unwrap();
    assert_eq!(servers(&config), [("github", "http"), ("playwright", "stdio")]);
    assert!(config.notes[0].contains("`inputs`"), "{:?}", config.notes);
}

#[test]
fn an_entry_may_say_what_only_a_gateway_knows() {
    let config =
        parse(r#"{"mcpServers": {"a": {"url": "http://a", "metadata": {"weight": 2}, "sessions": "shared"}}}"#);
    assert_eq!(config.unwrap().servers[0].weight_of(), 2);
}

#[test]
fn an_address_that_is_written_for_several_programs_is_one() {
    let config = parse(
        r#"{"mcpServers": {"a": {"url": "http://a", "serverUrl": "http://a", "httpUrl": "", "args": [], "env": {}}}}"#,
    );
    assert_eq!(servers(&config.unwrap()), [("a", "http")]);
}

#[test]
fn mistakes_name_field_line_and_remedy() {
    let cases = [
        (
            "{\"servers\": {\"a\": {\"url\": \"http://a\", \"headers\": {\n\"K\": \"${input:key}\"}}}}",
            "`servers.a.headers.K` at line 2: `${input:key}` asks a person in VS Code, which a gateway cannot: set an environment variable and write its name instead",
        ),
        (
            "{\"mcpServers\": {\"a\":\n{}}}",
            "`mcpServers.a.command` at line 2: is missing: write `command` for a program to start, or `url` for a server to reach",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\",\n\"envFile\": \".env\"}}}",
            "unknown field `mcpServers.a.envFile` at line 2: it is not read: write its variables in `env`",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"url\": \"http://a\"}}}",
            "`mcpServers.a.command` at line 1: stands beside an address: a server is either started or reached, so remove one of the two",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"type\": \"ws\", \"url\": \"http://a\"}}}",
            "`mcpServers.a.type` at line 1: unknown value `ws`: must be one of `stdio`, `http`, `sse`, `streamable-http` and `streamableHttp`",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"type\": \"stdio\", \"url\": \"http://a\"}}}",
            "`mcpServers.a.command` at line 1: is missing: write the program to start",
        ),
        (
            "{\"mcpServers\": {\"a b\": {\"comand\": \"x\", \"command\": \"x\"}}}",
            "unknown field `mcpServers[\"a b\"].comand` at line 1: did you mean `command`?",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\"},\n\"a\": {\"command\": \"y\"}}}",
            "`mcpServers.a` at line 2: stands here a second time: remove one of the two",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"disabled\": \"no\"}}}",
            "`mcpServers.a.disabled` at line 1: must be `true` or `false`, not a string",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"args\": [], \"headers\": {\"K\": \"hunter2\"}}}}",
            "`mcpServers.a.headers` at line 1: is for a server that is reached by `url`, and this one is started: remove it, or write its value in `env` or `args`",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"url\": \"http://a\", \"args\": [], \"env\": {\"K\": \"hunter2\"}}}}",
            "`mcpServers.a.env` at line 1: is for a server that is started by `command`, and this one is reached: remove it, or write its value in `headers`",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"url\": \"http://a\", \"httpUrl\": \"http://b\"}}}",
            "`mcpServers.a.httpUrl` at line 1: another address than `url`: remove one of the two",
        ),
        (
            "{\"mcpServers\": {\"\": {\"command\": \"x\"}}}",
            "`mcpServers[\"\"]` at line 1: the key is the server's id and name and must not be empty",
        ),
    ];
    for (text, expected) in cases {
        let error = parse(text).expect_err(text);
        let [mistake] = error.all() else { panic!("{text}\n{error}") };
        assert_eq!(mistake.to_string(), expected, "{text}");
    }
}
