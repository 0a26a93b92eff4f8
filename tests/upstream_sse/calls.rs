use crate::{find, hop, result, send, stream, tool, transport, wire::Peer};
use futures_util::StreamExt;
use serde_json::json;
use tower_mcp_gateway::{
    Call, Method,
    json::Params,
    reply::{Event, Outcome},
    upstream::{
        OfClient,
        error::{Closed, SessionLost, Status, TooLarge},
    },
};

#[tokio::test]
async fn a_call_goes_to_the_endpoint_and_its_answer_comes_down_the_stream() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = stream(&mut peer, "/message?session=s").await;
    assert_eq!(stream.line(), "GET /sse HTTP/1.1");
    assert_eq!(stream.header("accept"), Some("text/event-stream"));
    assert_eq!(stream.header("authorization"), Some("Bearer own"));
    let hop = hop(&sse).await;
    for status in ["202 Accepted", "200 OK", "204 No Content"] {
        let reply = send(&sse, &hop, tool());
        let mut post = peer.next().await;
        assert_eq!(post.line(), "POST /message?session=s HTTP/1.1");
        assert_eq!(post.header("authorization"), Some("Bearer own"));
        assert_eq!(post.header("content-type"), Some("application/json"));
        assert_eq!(post.json()["method"], "tools/call");
        let id = post.id();
        post.send(format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n")).await;
        drop(post);
        stream.event(&result(id)).await;
        assert!(reply.await.unwrap().unwrap().as_single().is_some(), "{status}");
    }
}

#[tokio::test]
async fn the_answer_may_come_in_the_post_or_before_its_response() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;

    let reply = send(&sse, &hop, tool());
    peer.next().await.result(r#"{"in":"post"}"#).await;
    assert_eq!(reply.await.unwrap().unwrap().as_single().unwrap().result().unwrap().as_str(), r#"{"in":"post"}"#);

    let reply = send(&sse, &hop, tool());
    let post = peer.next().await;
    stream.event(&result(post.id())).await;
    assert!(reply.await.unwrap().unwrap().as_single().is_some());
    post.accept().await;

    // Neither left anything behind that would cancel or answer a later call.
    let reply = send(&sse, &hop, tool());
    let post = peer.next().await;
    assert_eq!(post.json()["method"], "tools/call");
    stream.event(&result(post.id())).await;
    drop(reply.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_refused_post_fails_its_call_alone() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;
    let other = send(&sse, &hop, tool());
    let post = peer.next().await;
    let id = post.id();
    post.accept().await;
    for status in ["400 Bad Request", "302 Found", "500 Internal Server Error"] {
        let reply = send(&sse, &hop, tool());
        peer.next().await.respond(status, "location: /elsewhere\r\n", "no").await;
        let error = reply.await.unwrap().unwrap_err();
        assert_eq!(find::<Status>(&error).0.as_str(), &status[..3]);
    }
    let reply = send(&sse, &hop, tool());
    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#;
    peer.next().await.respond("400 Bad Request", "", body).await;
    assert_eq!(reply.await.unwrap().unwrap().as_single().unwrap().error_code(), Some(-32600));
    stream.event(&result(id)).await;
    drop(other.await.unwrap().unwrap());
    assert!(peer.waiting().is_none(), "no redirect, no cancellation of what was not taken");
}

#[tokio::test]
async fn a_post_to_an_unknown_session_means_that_the_stream_is_dead() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut first = stream(&mut peer, "/message?s=1").await;
    let hop = hop(&sse).await;
    let reply = send(&sse, &hop, tool());
    peer.next().await.respond("404 Not Found", "", "Could not find session").await;
    find::<SessionLost>(&reply.await.unwrap().unwrap_err());
    first.closed().await;
    let mut second = stream(&mut peer, "/message?s=2").await;
    let hop = crate::hop(&sse).await;
    assert_eq!(hop.epoch, 2);
    let reply = send(&sse, &hop, tool());
    let post = peer.next().await;
    assert_eq!(post.line(), "POST /message?s=2 HTTP/1.1");
    second.event(&result(post.id())).await;
    drop(reply.await.unwrap().unwrap());
}

#[tokio::test]
async fn dropping_a_call_cancels_it_at_the_server() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;
    let pending = send(&sse, &hop, tool());
    let post = peer.next().await;
    let id = post.id();
    pending.abort();
    let cancelled = peer.next().await;
    assert_eq!(cancelled.json()["method"], "notifications/cancelled");
    assert_eq!(cancelled.json()["params"]["requestId"], id);
    cancelled.accept().await;
    drop(post);

    let call = json!({"name": "slow", "_meta": {"progressToken": "mine"}});
    let streaming = send(&sse, &hop, Call::new(Method::TOOLS_CALL, Params::from_value(&call).unwrap()));
    let post = peer.next().await;
    let id = post.id();
    post.accept().await;
    let progress = json!({"progressToken": id, "progress": 1});
    stream.event(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}).to_string()).await;
    let mut events = streaming.await.unwrap().unwrap().into_events();
    let Some(Ok(Event::Note(note))) = events.next().await else { panic!("a note") };
    assert_eq!(note.params.member("progressToken").unwrap().as_str(), "\"mine\"");
    drop(events);
    let cancelled = peer.next().await;
    assert_eq!(cancelled.json()["params"]["requestId"], id);
}

#[tokio::test]
async fn a_cancellation_is_followed_by_no_request_whose_answer_would_show_nothing() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let _stream = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;
    let of_client = || {
        let mut call = tool();
        call.extensions.insert(OfClient::default());
        call
    };
    let pending = send(&sse, &hop, of_client());
    let _post = peer.next().await;
    pending.abort();
    let cancelled = peer.next().await;
    assert_eq!(cancelled.json()["method"], "notifications/cancelled");
    cancelled.accept().await;
    let _reply = send(&sse, &hop, of_client());
    assert_eq!(peer.next().await.json()["method"], "tools/call");
}

#[tokio::test]
async fn questions_are_answered_and_notifications_sent_by_post() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;
    stream.event(r#"{"jsonrpc":"2.0","id":"q","method":"ping"}"#).await;
    let answer = peer.next().await;
    assert_eq!(answer.json(), json!({"jsonrpc": "2.0", "id": "q", "result": {}}));
    answer.accept().await;
    let told = send(&sse, &hop, Call::new(Method::INITIALIZED, Params::empty()));
    let post = peer.next().await;
    assert_eq!(post.json()["method"], "notifications/initialized");
    post.accept().await;
    assert!(matches!(told.await.unwrap().unwrap().as_single(), Some(Outcome::Accepted)));
}

#[tokio::test]
async fn what_belongs_to_no_call_goes_to_the_listener() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;
    let listen = send(&sse, &hop, Call::new(Method::LISTEN, Params::empty()));
    let mut events = listen.await.unwrap().unwrap().into_events();
    stream.send(": alive\n\ndata: garbage\n\nevent: other\ndata: {}\n\n").await;
    stream.event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#).await;
    let Some(Ok(Event::Note(note))) = events.next().await else { panic!("a note") };
    assert_eq!(note.method, Method::TOOLS_LIST_CHANGED);
    drop(stream);
    find::<Closed>(&events.next().await.unwrap().unwrap_err());
}

#[tokio::test]
async fn an_answer_above_the_limit_fails_its_own_call_and_no_other() {
    let large = |size: usize| format!("\"{}\"", "x".repeat(size));
    let before = |id: u64, size| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, large(size));
    let behind = |id: u64, size| format!(r#"{{"result":{},"jsonrpc":"2.0","id":{id}}}"#, large(size));
    let lines = |id: u64, size| before(id, size).replacen("xxxx", "x\",\ndata: \"x", 1);
    // The second passes the limit with its last bytes.
    for (at, size) in [(0, 9 << 20), (0, (8 << 20) - 30), (1, 9 << 20), (2, 20 << 20)] {
        let mut peer = Peer::start().await;
        let (sse, _server) = transport(&peer);
        let mut first = stream(&mut peer, "/message").await;
        let hop = hop(&sse).await;
        let (other, guilty) = (send(&sse, &hop, tool()), send(&sse, &hop, tool()));
        let (one, two) = (peer.next().await, peer.next().await);
        let ids = (one.id().min(two.id()), one.id().max(two.id()));
        one.accept().await;
        two.accept().await;
        let answer = match at {
            0 => before(ids.1, size),
            1 => behind(ids.1, size),
            _ => lines(ids.1, size),
        };
        first.event(&answer).await;
        let error = guilty.await.unwrap().unwrap_err();
        find::<TooLarge>(&error);
        first.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, ids.0)).await;
        assert!(other.await.unwrap().unwrap().into_single().unwrap().result().is_some());
    }
}

#[tokio::test]
async fn an_answer_as_large_as_the_limit_is_taken_whole() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = peer.next().await;
    // In chunks, so that the end of the event comes behind all of its data however the network cuts them.
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    stream.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    stream.send(chunk("event: endpoint\ndata: /message\n\n")).await;
    let hop = hop(&sse).await;
    for (above, id) in [(0, "id: 1\n"), (0, ""), (1, "")] {
        let reply = send(&sse, &hop, tool());
        let post = peer.next().await;
        let message = |fill: &str| format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"x":"{fill}"}}}}"#, post.id());
        let answer = message(&"x".repeat((8 << 20) + above - message("").len()));
        post.accept().await;
        stream.send(chunk(&format!("event: message\n{id}data: {answer}"))).await;
        stream.send(chunk("\n\n")).await;
        let reply = reply.await.unwrap();
        assert_eq!(reply.is_ok(), above == 0, "{:?}", reply.err());
    }
}

#[tokio::test]
async fn two_hundred_calls_at_once_get_their_own_answers() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut stream = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;
    let call = |n: u64| Call::new(Method::TOOLS_CALL, Params::from_value(&json!({"n": n})).unwrap());
    let replies: Vec<_> = (0..200).map(|n| send(&sse, &hop, call(n))).collect();
    let mut answers = Vec::new();
    for _ in 0..200 {
        let post = peer.next().await;
        answers.push(format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}}", post.id(), post.json()["params"]));
        post.accept().await;
    }
    for answer in answers.iter().rev() {
        stream.event(answer).await;
    }
    for (n, reply) in replies.into_iter().enumerate() {
        let reply = reply.await.unwrap().unwrap();
        assert_eq!(reply.as_single().unwrap().result().unwrap().as_str(), format!("{{\"n\":{n}}}"));
    }
}
