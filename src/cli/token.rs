use crate::auth::Token;
use std::io::{self, Read, Write};

pub(super) const EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway token --name ci
  tower-mcp-gateway token --name ci --stdin < token.txt   the entry of a token that exists
  tower-mcp-gateway token --json | jq .entry

Exit codes: 0 made, 2 the token on stdin or the name is none.";

/// Prints a bearer token for a client and the entry of `auth.tokens` that lets it in; of a token that is read from stdin
/// only the entry.
pub(super) fn run(name: &str, from_stdin: bool, json: bool) -> Result<(), String> {
    if name.is_empty() {
        return Err("--name must not be empty: write who the client is".into());
    }
    let secret = if from_stdin { read()? } else { Token::generate().map_err(|error| error.to_string())? };
    let token =
        Token::new(name, &secret).map_err(|invalid| format!("{invalid}: leave --stdin out to get a new one"))?;
    let entry = serde_json::json!({"name": name, "sha256": token.sha256()});
    let out = if json {
        format!("{}\n", serde_json::json!({"token": (!from_stdin).then_some(&secret), "entry": entry}))
    } else if from_stdin {
        format!("Its entry in `auth.tokens`:  {entry}\n")
    } else {
        format!("The client's token, shown this once:  {secret}\nIts entry in `auth.tokens`:           {entry}\n")
    };
    io::stdout().write_all(out.as_bytes()).map_err(|error| format!("stdout: {error}"))
}

fn read() -> Result<String, String> {
    let mut secret = String::new();
    let read = io::stdin().take(Token::MAX_BYTES as u64).read_to_string(&mut secret);
    read.map_err(|error| format!("stdin: {error}"))?;
    Ok(secret)
}
