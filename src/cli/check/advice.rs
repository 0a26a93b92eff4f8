use crate::registry::Connection;

/// What an operator can do about a failure, by the words the gateway has for it; `again` is the command line of the check.
pub(super) fn remedy(what: &str, connection: Option<&Connection>, again: &str) -> String {
    let has = |phrase: &str| what.contains(phrase);
    if let Some(Connection::Stdio { command, .. }) = connection {
        return child(what, command, again);
    }
    // Before what is said of servers: it is another that cannot be reached.
    let plain = if has("the authorization server") || has("another gateway") {
        "no need to sign in again: it is tried again by itself; look at the authorization server, and at what is between"
    } else if has("Connection refused") || has("connection was refused") {
        "start the server, or correct the host and port in `url`"
    } else if has("host name was not found") {
        "correct the host name in `url`"
    } else if has("nobody is signed in") {
        "sign in with that command: it opens a browser"
    } else if has("401") || has("403") {
        "the server wants credentials, or others: write them in `headers`, such as \"Authorization\": \"Bearer ${TOKEN}\"; or \"auth\": \"oauth\" and `tower-mcp-gateway login`"
    } else if has("404") || has("405") || has("501") {
        "the server is there, but not at this path: correct it in `url` (often /mcp; /sse with \"type\": \"sse\")"
    } else if has("HTTP status 3") {
        "the server is somewhere else by now: write the address that it redirects to in `url`"
    } else if has("HTTP status 429") {
        "the server has enough of requests for now: it is tried again by itself; ask its operator for more"
    } else if has("HTTP status 5") {
        "the server itself is in trouble: read its log"
    } else if has("speaks no TLS") {
        "what answers there speaks plain HTTP: write `http://` in `url`, or the port that speaks TLS"
    } else if has("certificate") || has("TLS") {
        "the server's certificate is not accepted: correct the host name in `url`, or have the certificate renewed"
    } else if has("broke the protocol") || has("refused the handshake") {
        "whatever answers there speaks no MCP that is known here: correct `url`, or `type` (\"http\", \"sse\")"
    } else if has("did not start") || has("no answer within") || has("not answer") || has("timed out") {
        "the server takes the connection and says nothing, or a firewall swallows it: look at the server, or correct `url`"
    } else {
        return format!("run `{again} --log debug` to see what was sent and answered");
    };
    plain.into()
}

fn child(what: &str, command: &str, again: &str) -> String {
    let has = |phrase: &str| what.contains(phrase);
    if has("command was not found") && command.contains(' ') {
        return format!(
            "write only the program in `command`, and what follows it in {command:?} into `args`, each word by itself"
        );
    }
    if has("command was not found") {
        return format!(
            "install {command:?}, or write its full path in `command` (`which {command}` prints it): PATH is that of the \
             gateway, not that of your shell"
        );
    }
    let plain = if has("cannot start") {
        "correct `command` and `cwd`: the program must be there and executable"
    } else if has("did not start") || has("no answer within") {
        "run the command in a terminal to see what it waits for; if it only needs longer, raise `startTimeout`"
    } else if has("went away") || has("ended") || has("exited") {
        return format!("run the command in a terminal, or `{again} --log info`, to see what it says before it ends");
    } else if has("broke the protocol") || has("refused the handshake") {
        "the program is no MCP server on stdin and stdout, or prints other lines there: look at `args`"
    } else {
        return format!("run `{again} --log debug` to see what it says");
    };
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::causes,
        oauth::error::{NotRenewed, SignedOut},
        registry::Server,
        upstream::error::{Closed, Connect, NotStarted, Protocol, Status},
    };
    use std::{error::Error, time::Duration};

    #[test]
    fn every_failure_has_a_remedy_of_its_own() {
        let web = Server::http("a", "a", "http://localhost/mcp").unwrap();
        let child = Server::stdio("a", "a", "npx");
        let line = Server::stdio("a", "a", "npx files-server");
        let told = |error: &(dyn Error + 'static), server: &Server| {
            remedy(&causes(error), Some(server.connection()), "tower-mcp-gateway check --config mine.json")
        };
        let status = |code| Status(http::StatusCode::from_u16(code).unwrap());
        let refused = Connect(std::io::Error::from_raw_os_error(111).into());
        // A name that leads to several addresses.
        let refused_everywhere = Connect("the connection was refused".into());
        let absent = Connect("cannot start \"npx\": the command was not found".into());
        let away = "the authorization server cannot be asked: tcp connect error: Connection refused (os error 111)";
        let away = Connect(NotRenewed { why: away.into() }.into());
        let signed_out = Connect(SignedOut { server: "a".into() }.into());
        let all = [
            (told(&away, &web), "no need to sign in again"),
            (told(&signed_out, &web), "sign in with that command"),
            (told(&refused, &web), "start the server"),
            (told(&refused_everywhere, &web), "start the server"),
            (told(&status(401), &web), "Authorization"),
            (told(&status(404), &web), "path"),
            (told(&status(501), &web), "path"),
            (told(&status(503), &web), "read its log"),
            (told(&status(302), &web), "redirects"),
            (told(&status(429), &web), "has enough of requests"),
            (told(&Protocol("no JSON".into()), &web), "no MCP"),
            (told(&absent, &child), "which npx"),
            (told(&absent, &line), "into `args`"),
            (told(&Connect("the TLS handshake failed: what answers there speaks no TLS".into()), &web), "http://"),
            (told(&Connect("the TLS handshake failed".into()), &web), "certificate"),
            (told(&NotStarted(Duration::from_secs(1)), &child), "startTimeout"),
            (told(&Closed { sent: true }, &child), "`tower-mcp-gateway check --config mine.json --log info`"),
            (told(&Protocol("no JSON".into()), &child), "args"),
        ];
        for (remedy, expected) in all {
            assert!(remedy.contains(expected), "{expected}: {remedy}");
        }
    }
}
