//! What of a client's credentials reaches a server, and what of its sessions reaches another client.

use crate::wire::Peer as Wire;
use crate::{
    front::{Client, Front, entry, initialize, only, request},
    support::{
        clients::Raw,
        peer::Peer,
        servers::{Kind, Running},
        soon,
    },
};
use serde_json::json;
use tower_mcp_gateway::registry::Server;

const SECRETS: [(&str, &str); 5] = [
    ("cookie", "session=secret"),
    ("proxy-authorization", "Basic secret"),
    ("proxy-connection", "keep-alive, secret"),
    ("x-api-key", "secret"),
    ("set-cookie", "secret"),
];

#[tokio::test]
async fn no_credential_of_a_client_reaches_a_server() {
    for kind in [Kind::Legacy, Kind::LegacySessionless, Kind::Modern] {
        let server = Running::named(kind, "one").await;
        let own = entry("one-1", "one", &server).header("authorization", "Bearer of-the-configuration").unwrap();
        let ci = Client::new("ci");
        let front = Front::with(vec![own], |config| config.auth = Some(only(&[&ci]))).await;
        let mut headers = vec![ci.header()];
        headers.extend(SECRETS);
        let said = front.ask(&headers, "tools/call", json!({"name": "who"})).await;
        assert_eq!(said.status, 200);
        let opened = front.post("/mcp", &headers, &initialize()).await;
        let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
        headers.push(("mcp-session-id", &session));
        let said =
            front.post("/mcp", &headers, &request(1, "tools/call", json!({"name": "who", "arguments": {}}))).await;
        assert_eq!(said.status, 200, "{:?}", String::from_utf8_lossy(&said.body));
        let posts = server.peer.ledger.posts();
        assert!(posts.iter().filter(|(_, body)| body["method"] == "tools/call").count() == 2);
        for (headers, body) in posts {
            for (name, value) in &headers {
                let value = value.to_str().unwrap();
                assert!(!value.contains("secret") && !value.contains(&ci.header), "{name}: {value} went with {body}");
                assert!(!value.contains(&session), "{name}: {value} went with {body}");
            }
            assert_eq!(headers["authorization"], "Bearer of-the-configuration");
            assert!(!body.to_string().contains(&ci.header[7..]));
        }
    }
}

/// The old transport, byte by byte: neither its stream nor its posts carry anything of the client.
#[tokio::test]
async fn no_credential_of_a_client_reaches_a_server_of_the_old_transport() {
    let mut peer = Wire::start().await;
    let ci = Client::new("ci");
    let server = Server::sse("one-1", "one", &peer.url("")).unwrap();
    let front = Front::with(vec![server], |config| config.auth = Some(only(&[&ci]))).await;
    let headers: Vec<_> = [ci.header()].into_iter().chain(SECRETS).collect();
    let asked = front.ask(&headers, "tools/list", json!({}));
    let served = async {
        let mut stream = soon("the stream", peer.next()).await;
        stream.stream().await;
        stream.send("event: endpoint\ndata: /messages\n\n").await;
        let mut heads = vec![stream.head.clone()];
        loop {
            let message = soon("a message", peer.next()).await;
            heads.push(message.head.clone());
            let (json, id) = (message.json(), message.json()["id"].clone());
            message.accept().await;
            let result = match json["method"].as_str() {
                Some("initialize") => json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "w", "version": "1"}}),
                Some("tools/list") => json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}),
                _ => json!({}),
            };
            if !id.is_null() {
                stream.event(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()).await;
            }
            if json["method"] == "tools/list" {
                return (heads, stream);
            }
        }
    };
    let (answer, (heads, _stream)) = tokio::join!(asked, served);
    assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body));
    for head in heads {
        assert!(!head.contains("secret") && !head.contains(&ci.header[7..]), "{head}");
    }
}

#[tokio::test]
async fn a_session_of_somebody_else_is_none() {
    let server = Running::start(Kind::Legacy, Peer::new("one")).await;
    let (alice, bob) = (Client::new("alice"), Client::new("bob"));
    let auth = only(&[&alice, &bob]);
    let front = Front::with(vec![entry("one-1", "one", &server)], |config| config.auth = Some(auth)).await;
    let opened = front.post("/mcp", &[alice.header()], &initialize()).await;
    let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let guessed = "a".repeat(session.len());
    let ping = request(1, "ping", json!({}));
    let mut answers = Vec::new();
    for id in [&*session, &guessed] {
        let answer = front.post("/mcp", &[bob.header(), ("mcp-session-id", id)], &ping).await;
        let mut headers = answer.headers.clone();
        headers.remove("date");
        answers.push((answer.status, headers, answer.body));
        let ended = Raw::request(front.address, "DELETE /mcp", &[bob.header(), ("mcp-session-id", id)], b"").await;
        assert_eq!(ended.status, 404);
        let stream = Raw::get(front.address, "/mcp", &[bob.header(), ("mcp-session-id", id)]).await;
        assert_eq!(stream.status, 404);
    }
    assert_eq!(answers[0].0, 404);
    assert_eq!(answers[0], answers[1], "nobody learns that the session of another exists");
    let own = front.post("/mcp", &[alice.header(), ("mcp-session-id", &session)], &ping).await;
    assert_eq!(own.status, 200, "and it is alive");
    let unknown = front.post("/mcp", &[("mcp-session-id", &session)], &ping).await;
    assert_eq!(unknown.status, 401);
}

#[tokio::test]
async fn messages_for_the_stream_of_somebody_else_go_nowhere() {
    let server = Running::start(Kind::Modern, Peer::new("one")).await;
    let (alice, bob) = (Client::new("alice"), Client::new("bob"));
    let auth = only(&[&alice, &bob]);
    let front = Front::with(vec![entry("one-1", "one", &server)], |config| config.auth = Some(auth)).await;
    let mut stream = Raw::get(front.address, "/sse", &[alice.header()]).await;
    let (_, endpoint) = stream.event().await.unwrap();
    let foreign = front.post(&endpoint, &[bob.header()], &initialize()).await;
    let guessed = format!("{}{}", endpoint.split_once('=').unwrap().0, "=00000000000000000000000000000000");
    let unknown = front.post(&guessed, &[bob.header()], &initialize()).await;
    assert_eq!((foreign.status, &foreign.body), (unknown.status, &unknown.body));
    assert_eq!(foreign.status, 404);
    assert_eq!(front.post(&endpoint, &[alice.header()], &initialize()).await.status, 202);
    assert_eq!(stream.message().await.unwrap()["id"], 0);
}
