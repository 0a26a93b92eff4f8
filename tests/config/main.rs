//! Configuration files: what is read from them, and how each mistake in one is named.

mod desktop;
mod mistakes;
mod mistakes_of_calls;
mod schema;

use std::time::Duration;
use tower_mcp_gateway::{
    auth::AuthLayer,
    balance::policy::Strategy,
    catalog::Naming,
    config::{Config, ConfigError},
    pin::Pin,
    registry::{Connection, Resend, Server, Sessions},
    seal::Purpose,
};

/// Parses with the variables `TOKEN`, `PORT` and `EMPTY` set.
fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, |name| match name {
        "TOKEN" => Some("hunter2".into()),
        "PORT" => Some("4100".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    })
}

#[test]
fn an_empty_object_is_the_documented_defaults() {
    let config = parse("{}").unwrap();
    assert_eq!((config.host.to_string().as_str(), config.port), ("127.0.0.1", 4000));
    assert_eq!(config.balancer, Strategy::RoundRobin);
    assert_eq!(config.naming, Naming::Auto);
    let ms = Duration::from_millis;
    assert_eq!((config.health_check_interval, config.request_timeout), (ms(15_000), ms(30_000)));
    assert_eq!((config.connect_timeout, config.start_timeout, config.start_patience), (ms(2000), ms(60_000), ms(5000)));
    assert!(config.servers.is_empty());
    assert_eq!(config.notes.len(), 1, "{:?}", config.notes);
}

#[test]
fn the_first_key_of_the_list_seals_and_the_others_open() {
    let [old, new] = ["an-old-secret-of-thirty-two-characters", "a-new-secret-of-more-than-thirty-two-characters"];
    let keys = |list: &str| parse(&format!("{{\"keys\": [{list}]}}")).unwrap().keys.unwrap();
    let (before, after) = (keys(&format!("\"{old}\"")), keys(&format!("\"{new}\", \"{old}\"")));
    let token = before.seal(Purpose::Session, b"who");
    assert_eq!(after.open(Purpose::Session, &token).as_deref(), Some(&b"who"[..]));
    assert_eq!(before.open(Purpose::Session, &after.seal(Purpose::Session, b"who")), None);
    assert!(parse("{}").unwrap().keys.is_none());
}

#[test]
fn every_documented_field_is_read() {
    let config = parse(
        r#"{
            "$schema": "./schema.json",
            "name": "edge", "host": "0.0.0.0", "port": "${PORT}", "balancer": "least-connections",
            "naming": "prefixed", "pin": "block", "healthCheckInterval": 1000, "requestTimeout": 2000,
            "connectTimeout": 300, "startTimeout": 4000, "startPatience": 500,
            "admin": {"port": 0},
            "tls": {"cert": "a.pem", "key": "${EMPTY}/b.key", "clientCa": "ca.pem"},
            "limits": {
                "fall": 2, "rise": 3, "maxInFlight": 4, "maxInFlightPerServer": 5, "maxStreams": 6, "maxSessions": 7,
                "maxRequestBytes": 8192, "maxMessageBytes": 9216, "maxTotal": 10000, "askTimeout": 11, "idleTimeout": 12,
                "headTimeout": 15, "bodyTimeout": 16, "connectionIdleTimeout": 17, "stallTimeout": 18,
                "stopGrace": 13, "killGrace": 14, "drainTimeout": "${PORT}",
            },
            "auth": {"tokens": [
                {"name": "a", "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
                {"name": "b", "token": "${TOKEN}-and-enough-more-to-be-a-secret"},
                
            ]},
            "policies": {"readers": {"servers": ["s"], "tools": ["read_*"], "deny": ["x"], "requests": "10/s", "maxInFlight": 3}},
            "principals": {"*": "readers"},
            "keys": ["${TOKEN}-and-enough-more-to-be-a-secret", "0123456789abcdef0123456789abcdef"],
            "servers": [
                {"id": "s-1", "name": "s", "transport": "sse", "sessions": "shared", "pin": "off",
                 "connection": {"type": "sse", "url": "http://localhost:3510", "headers": {"Authorization": "Bearer ${TOKEN}"}},
                 "metadata": {"weight": 3, "zone": ["${EMPTY}", {"a": "${TOKEN}"}, 1, true, null]}},
                {"id": "h-1", "name": "h", "transport": "http", "connection": {"type": "http", "url": "https://h/mcp"},
                 "requestTimeout": 5000, "maxInFlight": 7, "rate": "60/min", "allow": ["read_*", "find"], "deny": ["*_all"],
                 "toolSettings": {
                    "find": {"rename": "search_notes", "description": "Finds notes.", "retry": "idempotent", "rate": "2/s"},
                    "read_*": {"requestTimeout": 9000, "maxInFlight": 1, "retry": "never"},
                    "read_me": {"hidden": true},
                 }},
                {"id": "c-1", "name": "c", "transport": "stdio", "sessions": "per-client", "retry": "idempotent",
                 "connection": {"type": "stdio", "command": "c", "args": ["-x", ""], "cwd": "/tmp", "env": {"K": "${TOKEN}"}},
                 "tools": [{"name": "${NOT_LOOKED_INTO}"}], "status": "connected", "lastHealthCheck": {}},
            ],
        }"#,
    )
    .unwrap();
    assert_eq!((config.name.as_str(), config.port, config.naming), ("edge", 4100, Naming::Prefixed));
    let pins: Vec<_> = config.servers.iter().filter_map(Server::pin_of).collect();
    assert_eq!((config.pin, &pins[..]), (Pin::Block, &[Pin::Off, Pin::Block, Pin::Block][..]));
    assert_eq!((config.host.to_string().as_str(), config.balancer), ("0.0.0.0", Strategy::LeastConnections));
    assert_eq!(config.health_check_interval, Duration::from_secs(1));
    assert_eq!(config.start_patience, Duration::from_millis(500));
    assert_eq!(config.admin.port, Some(0));
    let tls = config.tls.as_ref().unwrap();
    assert_eq!((tls.cert.to_str(), tls.key.to_str()), (Some("a.pem"), Some("/b.key")));
    assert_eq!(tls.client_ca.as_ref().and_then(|file| file.to_str()), Some("ca.pem"));
    let limits = &config.limits;
    assert_eq!((limits.thresholds.fall.get(), limits.thresholds.rise.get()), (2, 3));
    assert_eq!((limits.max_in_flight, limits.max_in_flight_per_server), (4, 5));
    assert_eq!((limits.max_streams, limits.max_sessions), (6, 7));
    assert_eq!((limits.max_request_bytes, limits.max_message_bytes), (8192, 9216));
    let times = [limits.max_total, limits.ask_timeout, limits.idle_timeout, limits.stop_grace, limits.kill_grace];
    assert_eq!(times.map(|time| time.as_millis()), [10_000, 11, 12, 13, 14]);
    let times = [limits.head_timeout, limits.body_timeout, limits.connection_idle_timeout, limits.stall_timeout];
    assert_eq!(times.map(|time| time.as_millis()), [15, 16, 17, 18]);
    assert_eq!(limits.drain_timeout.as_millis(), config.port.into());
    assert!(config.auth.as_ref().is_some_and(AuthLayer::is_required));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2-and") && !shown.contains("9f86d0"), "{shown}");
    assert!(!parse("{\"auth\": \"none\"}").unwrap().auth.unwrap().is_required());
    assert!(parse("{}").unwrap().auth.is_none());
    assert_eq!(format!("{:?}", config.keys), "Some(2 keys)");
    let [sse, http, child] = &config.servers[..] else { panic!("{:?}", config.servers) };
    let Connection::Sse { url, headers } = sse.connection() else { panic!("{sse:?}") };
    assert_eq!(
        (url.to_string(), headers["authorization"].to_str().unwrap()),
        ("http://localhost:3510/".into(), "Bearer hunter2")
    );
    assert!(headers["authorization"].is_sensitive());
    assert_eq!((sse.weight_of(), sse.sessions_of()), (3, Sessions::Shared));
    let zone = serde_json::json!(["", {"a": "hunter2"}, 1, true, null]);
    assert_eq!(sse.metadata_of()["zone"], zone);
    let resend = [sse, http, child].map(Server::resend_of);
    assert_eq!(resend, [Resend::Never, Resend::Never, Resend::Idempotent]);
    assert_eq!((http.weight_of(), http.connection().transport()), (1, "http"));
    settings_of_tools(http);
    let Connection::Stdio { command, args, cwd, env } = child.connection() else { panic!("{child:?}") };
    assert_eq!((command.as_str(), &args[..], env["K"].as_str()), ("c", &["-x".into(), String::new()][..], "hunter2"));
    assert_eq!((cwd.as_deref(), child.sessions_of()), (Some("/tmp".as_ref()), Sessions::PerClient));
    let [note] = &config.notes[..] else { panic!("{:?}", config.notes) };
    assert_eq!(note, "servers[2]: the gateway finds out `tools`, `status` and `lastHealthCheck` itself; ignored");
}

fn settings_of_tools(server: &Server) {
    assert_eq!((server.request_timeout_of(), server.max_in_flight_of()), (Some(Duration::from_secs(5)), Some(7)));
    assert_eq!(server.rate_of().unwrap().to_string(), "60 calls per minute");
    let tools = server.tools_of();
    let find = tools.of("find").unwrap();
    assert_eq!((find.rename.as_deref(), find.description.as_deref()), (Some("search_notes"), Some("Finds notes.")));
    assert_eq!((find.resend, find.rate.unwrap().calls()), (Some(Resend::Idempotent), 2));
    let read = tools.of("read_file").unwrap();
    assert_eq!((read.request_timeout, read.max_in_flight), (Some(Duration::from_secs(9)), Some(1)));
    assert_eq!(read.resend, Some(Resend::Never));
    for gone in ["read_me", "read_all", "write"] {
        assert!(tools.of(gone).is_none(), "{gone}");
    }
}

#[test]
fn what_one_replica_says_of_its_tools_need_not_be_said_by_the_others() {
    let replica = |id: &str, says: &str| {
        format!(
            r#"{{"id": "{id}", "name": "s", "transport": "http", "connection": {{"type": "http", "url": "http://a"}}{says}}}"#
        )
    };
    let [plain, says] = [replica("s-1", ""), replica("s-2", r#", "deny": ["x"], "maxInFlight": 3"#)];
    let same = replica("s-3", r#", "deny": ["x"]"#);
    let text = format!("{{\"servers\": [{plain}, {says}, {same}]}}");
    assert_eq!(parse(&text).unwrap().servers.len(), 3);
    let other = replica("s-4", ",\n\"deny\": [\"y\"]");
    let error = parse(&format!("{{\"servers\": [{says}, {other}]}}")).unwrap_err().to_string();
    assert!(error.contains("`servers[1].deny` at line 2: `servers[0]` is a replica of s and says"), "{error}");
}

#[test]
fn replicas_must_agree_on_what_may_be_sent_again() {
    let replica = |id: &str, says: &str| {
        format!(
            r#"{{"id": "{id}", "name": "s", "transport": "http", "connection": {{"type": "http", "url": "http://a"}}{says}}}"#
        )
    };
    let [plain, never, twice] =
        [replica("s-1", ""), replica("s-2", r#", "retry": "never""#), replica("s-3", r#", "retry": "idempotent""#)];
    let both = |one: &str, other: &str| parse(&format!("{{\"servers\": [{one},\n{other}]}}"));
    assert_eq!(both(&plain, &never).unwrap().servers.len(), 2);
    assert_eq!(both(&twice, &twice.replace("s-3", "s-4")).unwrap().servers.len(), 2);
    let must = "all entries of a name must have the same";
    for (one, other, expected) in [
        (
            &plain,
            &twice,
            format!("`servers[1].retry` at line 2: `servers[0]` is a replica of s and has `never`: {must}"),
        ),
        (
            &twice,
            &plain,
            format!(
                "`servers[1].retry` at line 2: is missing: `servers[0]` is a replica of s and has `idempotent`: {must}"
            ),
        ),
    ] {
        let error = both(one, other).unwrap_err();
        let [mistake] = error.all() else { panic!("{error}") };
        assert_eq!(mistake.to_string(), expected);
    }
}

#[test]
fn a_timeout_that_the_longest_total_cuts_is_noted() {
    let text = r#"{"mcpServers": {"a": {"command": "a", "toolSettings": {"slow": {"requestTimeout": 300001}}}}}"#;
    let [note] = &parse(text).unwrap().notes[..] else { panic!("one note") };
    assert_eq!(note, "a: a `requestTimeout` is above `limits.maxTotal`, 300000 ms, at which calls end");
}

#[test]
fn a_header_that_cannot_be_configured_is_noted() {
    let text = r#"{"mcpServers": {"a": {
        "url": "https://a",
        "headers": {"Cache-Control": "no-store", "X-Key": "k", "content-TYPE": "text/plain", "Authorization": "Bearer t"}AUTH
    }}}"#;
    let own = "mcpServers.a.headers.content-TYPE: the gateway writes this header itself; ignored";
    assert_eq!(parse(&text.replace("AUTH", "")).unwrap().notes, [own]);
    let signed_in = "mcpServers.a.headers.Authorization: `auth` says whose token is sent; ignored";
    let text = text.replace("AUTH", r#", "auth": "oauth""#);
    let config = Config::parse(&text, |name| (name == "HOME").then(|| "/h".into()));
    assert_eq!(config.unwrap().notes, [own, signed_in]);
}

#[test]
fn replicas_share_a_name_and_order_is_kept() {
    let config = parse(
        r#"{"mcpServers": {"z": {"command": "z"}, "a": {"command": "a"}},
            "servers": [
                {"id": "s-2", "name": "s", "transport": "http", "connection": {"type": "http", "url": "http://a"}},
                {"id": "s-1", "name": "s", "transport": "stdio", "connection": {"type": "stdio", "command": "s"}}]}"#,
    )
    .unwrap();
    let ids: Vec<_> = config.servers.iter().map(|server| server.id().as_str()).collect();
    assert_eq!(ids, ["s-2", "s-1", "z", "a"]);
}

#[test]
fn a_file_is_read_and_named_in_its_errors() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("config-read.json");
    std::fs::write(&file, "{\n  \"port\": 1, // one\n}").unwrap();
    assert_eq!(Config::from_file(&file).unwrap().port, 1);
    std::fs::write(&file, "{\n  \"prot\": 1,\n}").unwrap();
    let error = Config::from_file(&file).unwrap_err();
    let expected = format!("{}: unknown field `prot` at line 2: did you mean `port`?", file.display());
    assert_eq!((error.to_string(), error.file()), (expected, Some(file.as_path())));
    let error = Config::from_file(file.with_extension("absent")).unwrap_err();
    assert!(error.to_string().contains("config-read.absent: cannot be read"), "{error}");
    std::fs::write(&file, b"{\"name\": \"\xff\"}").unwrap();
    assert!(Config::from_file(&file).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn the_file_of_a_token_is_found_beside_the_configuration() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("config-token");
    std::fs::create_dir_all(folder.join("secrets")).unwrap();
    std::fs::write(folder.join("secrets/ci"), "a-token-of-thirty-two-characters-or-more\n").unwrap();
    let file = folder.join("gateway.json");
    let auth = |named: &str| format!(r#"{{"tokens": [{{"name": "ci", "file": "{named}"}}]}}"#);
    let (known, absolute) = (auth("secrets/ci"), auth(folder.join("secrets/ci").to_str().unwrap()));
    std::fs::write(&file, format!(r#"{{"auth": {known}, "admin": {{"auth": {absolute}}}}}"#)).unwrap();
    let config = Config::from_file(&file).unwrap();
    assert!([config.auth, config.admin.auth].iter().flatten().all(AuthLayer::is_required));
    std::fs::write(&file, format!(r#"{{"admin": {{"auth": {}}}}}"#, auth("ci"))).unwrap();
    let error = Config::from_file(&file).unwrap_err().to_string();
    let expected = "`admin.auth.tokens[0].file` at line 1: cannot be read: No such file or directory (os error 2); the \
                    path is relative to the folder of the configuration";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn no_text_makes_the_parser_panic() {
    use proptest::prelude::*;
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"servers\"",
        "\"mcpServers\"",
        "\"id\"",
        "\"a\"",
        "\"url\"",
        "\"command\"",
        "\"connection\"",
        "\"metadata\"",
        "\"weight\"",
        "1",
        "-0.5e999",
        "null",
        "true",
        "\"${\"",
        "\"\\ud800\"",
        "//",
        "\n",
        "/*",
        "*/",
        "é",
        "\"type\"",
        "\"http\"",
        "\"transport\"",
        "\"headers\"",
    ]);
    proptest!(|(parts in prop::collection::vec(pieces, 0..30))| {
        let _ = parse(&parts.concat());
    });
}
