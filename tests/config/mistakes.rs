use crate::parse;

/// The text of the only mistake in `text`.
#[track_caller]
pub(super) fn mistake(text: &str) -> String {
    let error = parse(text).expect_err(text);
    let [mistake] = error.all() else { panic!("{text}\n{error}") };
    mistake.to_string()
}

const TOP_LEVEL: &[(&str, &str)] = &[
    (
        "{\n\"port\": 1,\n\"helthCheckInterval\": 1}",
        "unknown field `helthCheckInterval` at line 3: did you mean `healthCheckInterval`?",
    ),
    (
        "{\"command\": \"x\"}",
        "unknown field `command` at line 1: it belongs to a server: write it inside an entry of `servers` or `mcpServers`",
    ),
    ("{\"balancer\": \"roundrobin\"}", "`balancer` at line 1: unknown value `roundrobin`: did you mean `round-robin`?"),
    (
        "{\"balancer\": \"fair\"}",
        "`balancer` at line 1: unknown value `fair`: must be one of `round-robin`, `least-connections`, `weighted`, `random` and `peak-ewma`",
    ),
    ("{\"pin\": \"blok\"}", "`pin` at line 1: unknown value `blok`: did you mean `block`?"),
    ("{\"naming\": \"prefix\"}", "`naming` at line 1: unknown value `prefix`: did you mean `prefixed`?"),
    ("{\"port\": 65536}", "`port` at line 1: must be a whole number from 0 to 65535"),
    ("{\"port\": -1}", "`port` at line 1: must be a whole number from 0 to 65535"),
    ("{\"port\": \"4000\"}", "`port` at line 1: must be a number without quotes, not a string"),
    ("{\"port\": \"${TOKEN}\"}", "`port` at line 1: must be a whole number from 0 to 65535"),
    ("{\"admin\": {\"port\": -1}}", "`admin.port` at line 1: must be a whole number from 0 to 65535"),
    (
        "{\"admin\": {\"host\": \"everywhere\"}}",
        "`admin.host` at line 1: must be an IP address without a port: 127.0.0.1 for this machine only, 0.0.0.0 for every network",
    ),
    (
        "{\"admin\": {\"auth\": {}}}",
        "`admin.auth` at line 1: lets nobody in: add `tokens` or `oauth`, or write `\"none\"` to let everybody in",
    ),
    ("{\"requestTimeout\": 0}", "`requestTimeout` at line 1: must be a whole number from 1 to 86400000 (milliseconds)"),
    (
        "{\"healthCheckInterval\": 0}",
        "`healthCheckInterval` at line 1: must be a whole number from 1 to 86400000 (milliseconds)",
    ),
    (
        "{\"connectTimeout\": 1.5}",
        "`connectTimeout` at line 1: must be a whole number from 1 to 86400000 (milliseconds)",
    ),
    ("{\"startTimeout\": 1e400}", "`startTimeout` at line 1: must be a whole number from 1 to 86400000 (milliseconds)"),
    ("{\"limits\": 5}", "`limits` at line 1: must be an object in `{ }`, not a number"),
    (
        "{\"limits\": {\n\"maxInflight\": 5}}",
        "unknown field `limits.maxInflight` at line 2: did you mean `maxInFlight`?",
    ),
    ("{\"limits\": {\"maxInFlight\": 0}}", "`limits.maxInFlight` at line 1: must be a whole number from 1 to 1000000"),
    ("{\"limits\": {\"fall\": 0}}", "`limits.fall` at line 1: must be a whole number from 1 to 100"),
    (
        "{\"limits\": {\"maxMessageBytes\": 8}}",
        "`limits.maxMessageBytes` at line 1: must be a whole number from 1024 to 1073741824 (bytes)",
    ),
    (
        "{\"limits\": {\"headTimeout\": \"10s\"}}",
        "`limits.headTimeout` at line 1: must be a number without quotes, not a string",
    ),
    (
        "{\"limits\": {\"bodyTimeout\": 0}}",
        "`limits.bodyTimeout` at line 1: must be a whole number from 1 to 86400000 (milliseconds)",
    ),
    (
        "{\"limits\": {\"connectionIdleTimeout\": -1}}",
        "`limits.connectionIdleTimeout` at line 1: must be a whole number from 1 to 86400000 (milliseconds)",
    ),
    (
        "{\"limits\": {\"stallTimeout\": 86400001}}",
        "`limits.stallTimeout` at line 1: must be a whole number from 1 to 86400000 (milliseconds)",
    ),
    (
        "{\"limits\": {\"maxTotal\": 0}}",
        "`limits.maxTotal` at line 1: must be a whole number from 1 to 86400000 (milliseconds)",
    ),
    ("{\"startPatience\": null}", "`startPatience` at line 1: must be a number without quotes, not null"),
    ("{\"name\": \" \"}", "`name` at line 1: must not be empty"),
    ("{\"name\": \"\\ud800\"}", "`name` at line 1: must be a string in quotes, not text with half a surrogate pair"),
    (
        "{\"host\": \"example.com\"}",
        "`host` at line 1: must be an IP address without a port: 127.0.0.1 for this machine only, 0.0.0.0 for every network",
    ),
    ("{\"port\": 1,\n\"port\": 2}", "`port` at line 2: stands here a second time: remove one of the two"),
    (
        "{\"name\": \"${NOWHERE}\"}",
        "`name` at line 1: the environment variable `NOWHERE` is not set: set it, or give a default as in `${NOWHERE:-…}`",
    ),
    ("{\"tls\": true}", "`tls` at line 1: must be an object in `{ }`, not a boolean"),
    ("{\"tls\": {\"cert\": \"a\"}}", "`tls.key` at line 1: is missing: the PEM file of the certificate's private key"),
    (
        "{\"tls\": {\"key\": \"a\"}}",
        "`tls.cert` at line 1: is missing: the PEM file of the certificate that clients are shown",
    ),
    ("{\"tls\": {\"cert\": \" \", \"key\": \"a\"}}", "`tls.cert` at line 1: must not be empty"),
    (
        "{\"tls\": {\"cert\": \"a\", \"key\": \"b\",\n\"clientCA\": \"c\"}}",
        "unknown field `tls.clientCA` at line 2: did you mean `clientCa`?",
    ),
    (
        "{\"tls\": {\"cert\": \"a\", \"key\": \"b\", \"clientCa\": 1}}",
        "`tls.clientCa` at line 1: must be a string in quotes, not a number",
    ),
    ("{\"keys\": \"x\"}", "`keys` at line 1: must be a list in `[ ]`, not a string"),
    ("{\"keys\": []}", "`keys` at line 1: at least one key is needed"),
    (
        "{\"keys\": [\"0123456789abcdef0123456789abcdef\",\n\"${TOKEN}\"]}",
        "`keys[1]` at line 2: must have at least 32 characters: `openssl rand -base64 32` prints a good one",
    ),
    (
        "{\"keys\": [\"${UNSET}\"]}",
        "`keys[0]` at line 1: the environment variable `UNSET` is not set: set it, or give a default as in `${UNSET:-…}`",
    ),
    ("{\"auth\": \"off\"}", "`auth` at line 1: unknown value `off`: must be one of `none`"),
    ("{\"auth\": true}", "`auth` at line 1: must be an object in `{ }`, not a boolean"),
    (
        "{\"auth\": {}}",
        "`auth` at line 1: lets nobody in: add `tokens` or `oauth`, or write `\"none\"` to let everybody in",
    ),
    ("{\"auth\": {\"token\": []}}", "unknown field `auth.token` at line 1: did you mean `tokens`?"),
    (
        "{\"auth\": {\"tokens\": []}}",
        "`auth.tokens` at line 1: is empty: `tower-mcp-gateway token --name ci` prints an entry",
    ),
    (
        "{\"auth\": {\"tokens\": [{\"name\": \"ci\"}]}}",
        "`auth.tokens[0].sha256` at line 1: is missing: write exactly one of `sha256`, `token` and `file`",
    ),
    (
        "{\"auth\": {\"tokens\": [{\"sha256\": \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}]}}",
        "`auth.tokens[0].name` at line 1: is missing: whose token it is",
    ),
    (
        "{\"auth\": {\"tokens\": [{\"name\": \"ci\", \"token\": \"${TOKEN}\"}]}}",
        "`auth.tokens[0].token` at line 1: must have at least 32 characters: `tower-mcp-gateway token` prints a good one",
    ),
    (
        "{\"auth\": {\"tokens\": [{\"name\": \"ci\", \"sha256\": \"${TOKEN}\"}]}}",
        "`auth.tokens[0].sha256` at line 1: a SHA-256 digest is written as 64 hexadecimal digits",
    ),
    (
        "{\"auth\": {\"tokens\": [{\"name\": \"ci\", \"file\": \"nowhere\"}]}}",
        "`auth.tokens[0].file` at line 1: cannot be read: No such file or directory (os error 2)",
    ),
    (
        "{\"auth\": {\"oauth\": {\"issuer\": \"https://a\"}}}",
        "`auth.oauth.resource` at line 1: is missing: the URL under which clients know this gateway",
    ),
    (
        "{\"auth\": {\"oauth\": {\"issuer\": \"a\", \"resource\": \"https://b\"}}}",
        "`auth.oauth.issuer` at line 1: the issuer must be an absolute http or https URL, as its tokens have it in `iss`",
    ),
    (
        "{\"auth\": {\"oauth\": {\"issuer\": \"https://a\", \"resource\": \"https://b\", \"algorithms\": [\"HS256\"]}}}",
        "`auth.oauth.algorithms[0]` at line 1: unknown value `HS256`: did you mean `RS256`?",
    ),
    (
        "{\"auth\": {\"oauth\": {\"issuer\": \"https://a\", \"resource\": \"https://b\", \"scopes\": [\"a b\"]}}}",
        "`auth.oauth.scopes[0]` at line 1: a scope is one word without spaces, quotes and backslashes",
    ),
    (
        "{\"policies\": {\"a\": {}}}",
        "`policies` at line 1: is for nobody: name in `principals` who has which policy, as in `{ \"*\": \"readers\" }`",
    ),
    (
        "{\"policies\": {\"a\": {}}, \"principals\": {\"*\": \"a\"}}",
        "`principals` at line 1: nobody says who they are: principals are known by `auth`",
    ),
    ("{\"servers\": 1}", "`servers` at line 1: must be a list in `[ ]`, not a number"),
    ("{\"mcpServers\": []}", "`mcpServers` at line 1: must be an object in `{ }`, not a list"),
    ("", "line 1: the file is empty: the least it needs is `{ }`"),
    ("\n/* ", "line 2: a comment begins with `/*` and never ends with `*/`"),
    ("// a\n{\n,}", "line 3: no valid JSON at column 1: key must be a string"),
    ("{}\n}", "line 2: no valid JSON at column 1: trailing characters"),
    ("{ \"mcpServers\": {", "line 1: the file ends too early: a `}`, a `]` or a quote is missing"),
];

#[test]
fn top_level_mistakes() {
    for (text, expected) in TOP_LEVEL {
        assert_eq!(mistake(text), *expected, "{text}");
    }
}

#[test]
fn depth_has_a_limit() {
    let nested = |n: usize| {
        format!(
            "{{\"mcpServers\": {{\"a\": {{\"command\": \"x\",\n\"metadata\": {{\"x\": {}{}}}}}}}}}",
            "[".repeat(n),
            "]".repeat(n)
        )
    };
    assert!(parse(&nested(100)).is_ok());
    assert_eq!(mistake(&nested(100_000)), "line 2: nested deeper than 128 levels");
}

/// A file with one server of the list form: the lines are 2 for the entry, 3 for what comes before the connection,
/// 4 for the connection, 5 for what comes after.
pub(super) fn entry(before: &str, connection: &str, after: &str) -> String {
    format!("{{\"servers\": [\n{{\n{before}\n\"connection\": {{{connection}}}\n{after}}}]}}")
}

pub(super) const NAMED: &str = r#""id": "a", "name": "a", "transport": "http","#;
pub(super) const HTTP: &str = r#""type": "http", "url": "http://a""#;

/// What names a server, with this transport.
pub(super) fn named(transport: &str) -> String {
    format!("\"id\": \"a\", \"name\": \"a\", \"transport\": \"{transport}\",")
}

#[test]
fn mistakes_of_a_server() {
    let cases = [
        (
            entry("\"name\": \"a\", \"transport\": \"http\",", HTTP, ""),
            "`servers[0].id` at line 2: is missing: every server needs a unique id, such as \"search-1\"",
        ),
        (
            entry("\"id\": \"a\", \"transport\": \"http\",", HTTP, ""),
            "`servers[0].name` at line 2: is missing: servers of the same name are replicas, such as \"search\"",
        ),
        (
            entry("\"id\": \"a\", \"name\": \"a\",", HTTP, ""),
            "`servers[0].transport` at line 2: is missing: write \"stdio\", \"sse\" or \"http\"",
        ),
        (entry(&named("htp"), HTTP, ""), "`servers[0].transport` at line 3: unknown value `htp`: did you mean `http`?"),
        (
            entry(&named("sse"), HTTP, ""),
            "`servers[0].connection.type` at line 4: is `http`, but `transport` is `sse`: both must be the same",
        ),
        (
            entry(NAMED, "\"url\": \"http://a\"", ""),
            "`servers[0].connection.type` at line 4: is missing: write \"http\" as in `transport`",
        ),
        (
            entry(NAMED, "\"type\": \"http\"", ""),
            "`servers[0].connection.url` at line 4: is missing: write the server's address, such as \"http://localhost:3510\"",
        ),
        (
            entry(NAMED, "\"type\": \"http\", \"url\": \"localhost:3510\"", ""),
            "`servers[0].connection.url` at line 4: must begin with http:// or https:// and name a host, such as http://localhost:3510",
        ),
        (
            entry(NAMED, "\"type\": \"http\", \"url\": \"http://a\", \"command\": \"x\"", ""),
            "unknown field `servers[0].connection.command` at line 4: only a stdio server has one",
        ),
        (
            entry(&named("stdio"), "\"type\": \"stdio\", \"command\": \" \"", ""),
            "`servers[0].connection.command` at line 4: must not be empty",
        ),
        (
            entry(&named("stdio"), "\"type\": \"stdio\", \"comand\": \"x\", \"command\": \"x\"", ""),
            "unknown field `servers[0].connection.comand` at line 4: did you mean `command`?",
        ),
        (
            entry(&named("stdio"), "\"type\": \"stdio\", \"command\": \"x\", \"args\": [\"a\", 1]", ""),
            "`servers[0].connection.args[1]` at line 4: must be a string in quotes, not a number",
        ),
        (
            entry(&named("stdio"), "\"type\": \"stdio\", \"command\": \"x\", \"env\": {\"A=B\": \"\"}", ""),
            "`servers[0].connection.env[\"A=B\"]` at line 4: no variable can have this name",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(mistake(&text), expected, "{text}");
    }
}

#[test]
fn mistakes_of_what_goes_with_a_server() {
    let cases = [
        (
            entry(NAMED, HTTP, ", \"metadata\": {\"weight\": 0}"),
            "`servers[0].metadata.weight` at line 5: must be a whole number from 1 to 1000",
        ),
        (
            entry(NAMED, HTTP, ", \"metadata\": {\"weight\": 1001}"),
            "`servers[0].metadata.weight` at line 5: must be a whole number from 1 to 1000",
        ),
        (
            entry(NAMED, HTTP, ", \"metadata\": {\"weight\": 1.5}"),
            "`servers[0].metadata.weight` at line 5: must be a whole number from 1 to 1000",
        ),
        (
            entry(NAMED, HTTP, ", \"metadata\": {\"a\": 1, \"a\": 2}"),
            "`servers[0].metadata.a` at line 5: stands here a second time: remove one of the two",
        ),
        (
            entry(NAMED, HTTP, ", \"metadata\": {\"a\": 1e400}"),
            "`servers[0].metadata.a` at line 5: is a number too large to keep",
        ),
        (
            entry(NAMED, HTTP, ", \"metadata\": 1"),
            "`servers[0].metadata` at line 5: must be an object in `{ }`, not a number",
        ),
        (
            entry(NAMED, HTTP, ", \"sessions\": \"each\""),
            "`servers[0].sessions` at line 5: unknown value `each`: must be one of `shared` and `per-client`",
        ),
        (
            entry(NAMED, HTTP, ", \"metadata\": {\"weight\": \"${NOWHERE}\"}"),
            "`servers[0].metadata.weight` at line 5: the environment variable `NOWHERE` is not set: set it, or give a default as in `${NOWHERE:-…}`",
        ),
        (
            entry(NAMED, HTTP, ", \"weight\": 2"),
            "unknown field `servers[0].weight` at line 5: write it inside `metadata`",
        ),
        (
            entry(NAMED, HTTP, ", \"url\": \"x\""),
            "unknown field `servers[0].url` at line 5: write it inside `connection`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(mistake(&text), expected, "{text}");
    }
}

#[test]
fn mistakes_between_servers() {
    let cases: [(String, &str); 4] = [
        (
            "{\"servers\": [{\"id\": \"a\", \"name\": \"a\", \"transport\": \"http\"}]}".into(),
            "`servers[0].connection` at line 1: is missing: write `{ \"type\": …, \"command\": … }` or `{ \"type\": …, \"url\": … }`",
        ),
        ("{\"servers\": [7]}".into(), "`servers[0]` at line 1: must be an object in `{ }`, not a number"),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\"}},\n\"servers\": [{\"id\": \"b\", \"name\": \"b\", \"transport\": \"stdio\", \"connection\": {\"type\": \"stdio\", \"command\": \"x\"}},\n{\"id\": \"b\", \"name\": \"b\", \"transport\": \"stdio\", \"connection\": {\"type\": \"stdio\", \"command\": \"x\"}}]}".into(),
            "`servers[1].id` at line 3: `b` is already the id of `servers[0]`: ids are unique",
        ),
        (
            "{\"servers\": [{\"id\": \"b\", \"name\": \"b\", \"transport\": \"stdio\", \"connection\": {\"type\": \"stdio\", \"command\": \"x\"}}],\n\"mcpServers\": {\n\"b\": {\"command\": \"x\"}}}".into(),
            "`mcpServers.b` at line 3: `b` is already the id of `servers[0]`: ids are unique",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(mistake(&text), expected, "{text}");
    }
}

#[test]
fn one_run_tells_every_mistake_in_the_order_of_the_lines() {
    let text = entry("\"id\": \"\", \"transport\": \"sse\",", HTTP, ", \"metadata\": {\"weight\": 0}");
    let text = text.replacen('{', "{\"port\": 70000, ", 1);
    let error = parse(&text).unwrap_err();
    let fields: Vec<_> = error.all().iter().map(|mistake| (mistake.line, mistake.field.as_str())).collect();
    let expected = [
        (1, "port"),
        (2, "servers[0].name"),
        (3, "servers[0].id"),
        (4, "servers[0].connection.type"),
        (5, "servers[0].metadata.weight"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(error.to_string().lines().count(), 5);
}

#[test]
fn no_secret_is_part_of_an_error() {
    let texts = [
        r#"{"mcpServers": {"a": {"url": "http://u:hunter2@ /?k=hunter2"}}}"#,
        r#"{"mcpServers": {"a": {"url": "u:${TOKEN}@h"}}}"#,
        r#"{"mcpServers": {"a": {"url": "http://h", "headers": {"Authorization": "${TOKEN}\n"}}}}"#,
        r#"{"mcpServers": {"a": {"url": "http://h", "headers": {"Bad Name": "hunter2"}}}}"#,
        r#"{"mcpServers": {"a": {"command": "c", "env": {"K": "hunter2${NOWHERE}"}}}}"#,
        r#"{"mcpServers": {"a": {"command": "c", "env": {"K": "hunter2${"}}}}"#,
        r#"{"mcpServers": {"a": {"command": "c", "env": {"K": ["hunter2"]}}}}"#,
        r#"{"mcpServers": {"a": {"command": "c", "args": ["hunter2\u0000"]}}}"#,
        r#"{"balancer": "${TOKEN}"}"#,
        r#"{"host": "${TOKEN}", "port": "${TOKEN}"}"#,
        "{\"mcpServers\": {\"a\": {\"command\": \"c\", \"env\": {\"K\": \"hunter2\n\"}}}}",
    ];
    for text in texts {
        let error = parse(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
