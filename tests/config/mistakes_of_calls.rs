//! What can be wrong in what an entry says of its calls, its tools and signing in.

use super::mistakes::{HTTP, NAMED, entry, mistake, named};
use tower_mcp_gateway::config::Config;

#[test]
fn mistakes_of_what_is_said_of_calls_and_tools() {
    let tool = |settings: &str| entry(NAMED, HTTP, &format!(", \"toolSettings\": {{\n{settings}}}"));
    let rate = "must be calls and a unit, such as \"10/s\", \"60/min\" or \"1000/h\", with at most 1000000 calls";
    let cases = [
        (
            entry(NAMED, HTTP, ", \"requestTimeout\": \"5s\""),
            "`servers[0].requestTimeout` at line 5: must be a number without quotes, not a string".to_owned(),
        ),
        (
            entry(NAMED, HTTP, ", \"timeout\": 5"),
            "unknown field `servers[0].timeout` at line 5: write `requestTimeout`, in milliseconds".into(),
        ),
        (
            entry(NAMED, HTTP, ", \"maxInFlight\": 0"),
            "`servers[0].maxInFlight` at line 5: must be a whole number from 1 to 1000000".into(),
        ),
        (entry(NAMED, HTTP, ", \"rate\": \"5\""), format!("`servers[0].rate` at line 5: {rate}")),
        (entry(NAMED, HTTP, ", \"rate\": \"0/s\""), format!("`servers[0].rate` at line 5: {rate}")),
        (entry(NAMED, HTTP, ", \"rate\": \"5/day\""), format!("`servers[0].rate` at line 5: {rate}")),
        (entry(NAMED, HTTP, ", \"rate\": 5"), "`servers[0].rate` at line 5: must be a string in quotes, not a number".into()),
        (
            entry(NAMED, HTTP, ", \"allow\": \"*\""),
            "`servers[0].allow` at line 5: must be a list in `[ ]`, not a string".into(),
        ),
        (entry(NAMED, HTTP, ", \"deny\": [\"\"]"), "`servers[0].deny[0]` at line 5: must not be empty".into()),
        (
            entry(NAMED, HTTP, ", \"toolSettings\": []"),
            "`servers[0].toolSettings` at line 5: must be an object in `{ }`, not a list".into(),
        ),
        (
            entry(NAMED, HTTP, ", \"hidden\": true"),
            "unknown field `servers[0].hidden` at line 5: write it inside `toolSettings`, under the name of the tool".into(),
        ),
        (
            tool("\"\": {}"),
            "`servers[0].toolSettings[\"\"]` at line 6: the key is the name of a tool, or a pattern such as `read_*`".into(),
        ),
        (
            tool("\"t\": {\"timeout\": 5}"),
            "unknown field `servers[0].toolSettings.t.timeout` at line 6: write `requestTimeout`, in milliseconds".into(),
        ),
        (
            tool("\"t\": {\"hiden\": true}"),
            "unknown field `servers[0].toolSettings.t.hiden` at line 6: did you mean `hidden`?".into(),
        ),
        (
            tool("\"t\": {\"hidden\": \"yes\"}"),
            "`servers[0].toolSettings.t.hidden` at line 6: must be `true` or `false`, not a string".into(),
        ),
        (
            tool("\"t\": {\"retry\": \"always\"}"),
            "`servers[0].toolSettings.t.retry` at line 6: unknown value `always`: must be one of `never` and `idempotent`".into(),
        ),
        (
            tool("\"t_*\": {\"rename\": \"x\"}"),
            "`servers[0].toolSettings[\"t_*\"].rename` at line 6: `t_*` may match several tools, which cannot have one name: write the whole name of one".into(),
        ),
        (
            tool("\"t\": {\"rename\": \"two words\"}"),
            "`servers[0].toolSettings.t.rename` at line 6: must be at most 64 letters, digits, `_`, `-` and `.`: models take no other names".into(),
        ),
        (
            tool("\"t\": {\"rename\": \"x\"},\n\"u\": {\"rename\": \"x\"}"),
            "`servers[0].toolSettings.u.rename` at line 7: is the new name of another tool as well: each needs its own".into(),
        ),
        (tool("\"t\": {\"description\": \" \"}"), "`servers[0].toolSettings.t.description` at line 6: must not be empty".into()),
    ];
    for (text, expected) in cases {
        assert_eq!(mistake(&text), expected, "{text}");
    }
}

#[test]
fn mistakes_of_a_sign_in() {
    let auth = |value: &str| entry(NAMED, &format!("{HTTP}, \"auth\": {value}"), "");
    let home = "tokens have nowhere to be kept: set XDG_STATE_HOME or HOME to the path of a folder";
    assert_eq!(mistake(&auth("\"oauth\"")), format!("`servers[0].connection.auth` at line 4: {home}"));
    let cases = [
        ("\"oaut\"", "`servers[0].connection.auth` at line 4: unknown value `oaut`: did you mean `oauth`?"),
        ("{}", "`servers[0].connection.auth.type` at line 4: is missing: write \"oauth\""),
        (
            "{\"type\": \"oauth\", \"clientSecret\": \"hunter2\"}",
            "`servers[0].connection.auth.clientSecret` at line 4: is the secret of nobody: write its `clientId` as well",
        ),
        (
            "{\"type\": \"oauth\", \"scope\": \"a b\"}",
            "unknown field `servers[0].connection.auth.scope` at line 4: write `scopes`, a list",
        ),
        (
            "{\"type\": \"oauth\", \"scopes\": \"a b\"}",
            "`servers[0].connection.auth.scopes` at line 4: must be a list in `[ ]`, not a string",
        ),
    ];
    for (value, expected) in cases {
        let error = Config::parse(&auth(value), |name| (name == "HOME").then(|| "/home/me".into())).unwrap_err();
        let [mistake] = error.all() else { panic!("{value}: {error}") };
        assert_eq!(mistake.to_string(), expected);
    }
    for (url, is_safe) in [
        ("http://mcp.example.com/mcp", false),
        ("http://localhost.example/mcp", false),
        ("https://mcp.example.com/mcp", true),
        ("http://127.0.0.1:1/mcp", true),
        ("http://[::1]:1/mcp", true),
    ] {
        let text = format!("{{\"mcpServers\": {{\"a\": {{\"url\": \"{url}\", \"auth\": \"oauth\"}}}}}}");
        let read = Config::parse(&text, |name| (name == "HOME").then(|| "/home/me".into()));
        let told = read.err().map(|error| error.all()[0].to_string());
        let expected = "`mcpServers.a.url` at line 1: must begin with https://: under \"auth\": \"oauth\" a token is sent there, and over http:// only a loopback address may get one";
        assert_eq!(told.as_deref(), (!is_safe).then_some(expected), "{url}");
    }
    let child = entry(&named("stdio"), "\"type\": \"stdio\", \"command\": \"x\", \"auth\": \"oauth\"", "");
    let expected = "unknown field `servers[0].connection.auth` at line 4: a stdio server signs in nowhere: it gets what it needs in `env`";
    assert_eq!(mistake(&child), expected);
}
