//! Which session with a server the calls of a principal go to.

use crate::{
    front::{Client, Front, entry, initialize, only, request},
    support::servers::{Kind, Running},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The sessions with `server` in which `echo` was called with this text.
fn sessions(server: &Running, text: &str) -> BTreeSet<String> {
    let posts = server.peer.ledger.posts().into_iter();
    let of_it = posts.filter(|(_, body)| body["params"]["arguments"]["text"] == text);
    of_it.map(|(headers, _)| headers["mcp-session-id"].to_str().unwrap().to_owned()).collect()
}

fn echo(text: &str) -> Value {
    json!({"name": "echo", "arguments": {"text": text}})
}

#[tokio::test]
async fn two_principals_never_share_a_session_with_a_server() {
    let server = Running::named(Kind::Legacy, "one").await;
    let (alice, bob) = (Client::new("alice"), Client::new("bob"));
    let auth = only(&[&alice, &bob]);
    let front = Front::with(vec![entry("one-1", "one", &server)], |config| config.auth = Some(auth)).await;
    // In turn and at once, so that neither finds the other's session free.
    for _ in 0..5 {
        let (as_alice, as_bob) = ([alice.header()], [bob.header()]);
        let (first, second) = tokio::join!(
            front.ask(&as_alice, "tools/call", echo("alice")),
            front.ask(&as_bob, "tools/call", echo("bob")),
        );
        for (answer, text) in [(first, "alice"), (second, "bob")] {
            assert_eq!(answer.json()["result"]["content"][0]["text"], text);
        }
        assert_eq!(front.ask(&[alice.header()], "tools/call", echo("alice")).await.status, 200);
    }
    let (own, others) = (sessions(&server, "alice"), sessions(&server, "bob"));
    assert_eq!((own.len(), others.len()), (1, 1), "{own:?} {others:?}");
    assert!(own.is_disjoint(&others));
    let calls = server.peer.ledger.calls("echo");
    assert_eq!(calls, 15);

    // A session of the client's own is one more, and that of the other principal yet another.
    for client in [&alice, &bob] {
        let opened = front.post("/mcp", &[client.header()], &initialize()).await;
        let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let headers = [client.header(), ("mcp-session-id", &session)];
        let text = format!("{session:.16} of an earlier revision");
        let answer = front.post("/mcp", &headers, &request(1, "tools/call", echo(&text))).await;
        assert_eq!(answer.json()["result"]["content"][0]["text"], *text);
        let used = sessions(&server, &text);
        assert_eq!(used.len(), 1);
        assert!(used.is_disjoint(&own) && used.is_disjoint(&others), "{used:?}");
        // The gateway's own id never reaches the server, nor the server's the client.
        assert!(!used.contains(&session));
    }
}
