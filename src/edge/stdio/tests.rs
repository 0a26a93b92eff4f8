use crate::{
    BoxError, Call, Method, Reply,
    edge::EdgeLayer,
    json::{Json, Params},
    reply::{Ask, Event, Note, Outcome},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex, split},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::{Layer, service_fn};

type Tool = mpsc::UnboundedSender<Result<Event, BoxError>>;

/// What stands behind: a call of a tool is answered as the test says.
#[derive(Clone, Default)]
struct Behind {
    calls: Arc<Mutex<HashMap<String, Tool>>>,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Behind {
    fn reply(&self, call: &Call) -> Reply {
        if call.method.is_notification() {
            self.notices.lock().unwrap().push(call.params.member("n").map(|n| n.to_string()).unwrap_or_default());
            return Reply::single(Outcome::Accepted);
        }
        if call.method == Method::LISTEN {
            let acknowledged = Note::new(Method::LISTEN_ACKNOWLEDGED, Params::empty());
            let changed = Note::new(Method::TOOLS_LIST_CHANGED, Params::empty());
            let notes = stream::iter([acknowledged, changed]).map(|note| Ok(note.into()));
            return Reply::stream(notes.chain(stream::pending()));
        }
        if call.method == Method::DISCOVER {
            let found = r#"{"capabilities":{"tools":{"listChanged":true}}}"#;
            return Reply::single(Outcome::Result(Json::from_static(found)));
        }
        let (sender, mut events) = mpsc::unbounded_channel();
        self.calls.lock().unwrap().insert(call.params.name().unwrap_or_default().into_owned(), sender);
        Reply::stream(stream::poll_fn(move |cx| events.poll_recv(cx)))
    }

    /// The running call of this tool.
    async fn tool(&self, name: &str) -> Tool {
        loop {
            if let Some(tool) = self.calls.lock().unwrap().remove(name) {
                return tool;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A client at the other end of the pipes.
struct Client {
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    serving: JoinHandle<std::io::Result<()>>,
    stop: CancellationToken,
}

impl Client {
    fn new(behind: &Behind) -> Self {
        let behind = behind.clone();
        let edge = EdgeLayer::new().max_request_bytes(4096).layer(service_fn(move |call: Call| {
            let reply = behind.reply(&call);
            async move { Ok::<_, BoxError>(reply) }
        }));
        let (ours, theirs) = duplex(1 << 20);
        let (input, output) = split(theirs);
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move { edge.serve_stdio(input, output, stopped).await });
        let (output, input) = split(ours);
        Self { input, output: BufReader::new(output).lines(), serving, stop }
    }

    async fn say(&mut self, line: impl ToString) {
        self.input.write_all(format!("{}\n", line.to_string()).as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = self.output.next_line().await.unwrap().expect("a message");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn initialize(&mut self) {
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
        self.say(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        assert_eq!(self.hear().await["result"]["protocolVersion"], "2025-11-25");
    }

    /// Closes the client's end and hears the rest.
    async fn leave(mut self) -> Vec<Value> {
        self.input.shutdown().await.unwrap();
        let mut rest = Vec::new();
        while let Some(line) = self.output.next_line().await.unwrap() {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        self.serving.await.unwrap().unwrap();
        rest
    }
}

fn meta() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}})
}

fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    params["_meta"] = meta();
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

fn legacy(id: impl Into<Value>, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": {"name": tool}})
}

fn done(text: &'static str) -> Result<Event, BoxError> {
    Ok(Event::Done(Outcome::Result(Json::from_static(text))))
}

#[tokio::test(start_paused = true)]
async fn calls_of_both_eras_run_side_by_side_and_are_answered_as_they_end() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    client.say(modern("a", "tools/call", json!({"name": "first"}))).await;
    client.initialize().await;
    client.say(legacy(2, "second")).await;
    let (first, second) = (behind.tool("first").await, behind.tool("second").await);
    second.send(done("{}")).unwrap();
    assert_eq!(client.hear().await, json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
    first.send(Ok(Event::from(Note::new(Method::PROGRESS, Params::empty())))).unwrap();
    first.send(done("{\n \"x\": \"a\\nb\"\r\n}")).unwrap();
    assert_eq!(client.hear().await["method"], "notifications/progress");
    let answer = client.hear().await;
    assert_eq!(answer["result"], json!({"resultType": "complete", "x": "a\nb"}), "one line, whatever the server wrote");
    assert!(client.leave().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_taken_back_ends_and_is_not_answered() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    client.initialize().await;
    client.say(modern(1, "tools/call", json!({"name": "modern"}))).await;
    client.say(legacy("1", "legacy")).await;
    let (modern, legacy) = (behind.tool("modern").await, behind.tool("legacy").await);
    for id in [json!(1), json!("1")] {
        client.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})).await;
    }
    modern.closed().await;
    legacy.closed().await;
    assert!(client.leave().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_answered_after_the_client_has_closed_its_end() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    client.initialize().await;
    client.say(modern(1, "tools/call", json!({"name": "modern"}))).await;
    client.say(legacy(2, "legacy")).await;
    client.say(modern(3, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    client.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    let (modern, legacy) = (behind.tool("modern").await, behind.tool("legacy").await);
    let mut left = tokio_test::task::spawn(client.leave());
    assert!(left.poll().is_pending());
    modern.send(done("{}")).unwrap();
    legacy.send(done("{}")).unwrap();
    let rest = left.await;
    let mut answered: Vec<_> = rest.iter().filter_map(|message| message["id"].as_u64()).collect();
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3], "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_session_is_answered_after_it_has_closed_its_end() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    client.say(modern(1, "tools/call", json!({"name": "modern"}))).await;
    let modern = behind.tool("modern").await;
    let mut left = tokio_test::task::spawn(client.leave());
    assert!(left.poll().is_pending());
    tokio::task::yield_now().await;
    modern.send(done("{}")).unwrap();
    assert_eq!(left.await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_tagged_and_its_end_is_said_in_both_ways() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    client.say(modern("l", "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    for method in ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"] {
        let note = client.hear().await;
        assert_eq!(note["method"], method);
        assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
    }
    client.stop.cancel();
    let result = client.hear().await;
    assert_eq!((&result["id"], &result["result"]["resultType"]), (&json!("l"), &json!("complete")));
    assert_eq!(result["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
    let cancelled = client.hear().await;
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], "l");
    client.serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_is_told_of_changed_lists_once_it_is_initialized() {
    let mut client = Client::new(&Behind::default());
    client.initialize().await;
    client.say(json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await;
    assert_eq!(client.hear().await, json!({"jsonrpc": "2.0", "id": 1, "result": {}}), "nothing before");
    client.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!(client.hear().await["method"], "notifications/tools/list_changed");
    assert!(client.leave().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_holds_up_nobody_who_has_left_for_longer_than_it_may() {
    for call in [legacy(1, "hangs"), modern(1, "tools/call", json!({"name": "hangs"}))] {
        let behind = Behind::default();
        let mut client = Client::new(&behind);
        client.initialize().await;
        client.say(call).await;
        let hangs = behind.tool("hangs").await;
        let left = tokio::time::Instant::now();
        assert!(client.leave().await.is_empty());
        assert_eq!(left.elapsed().as_secs(), EdgeLayer::LEAVING.as_secs());
        hangs.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_asked_until_it_closes_its_end() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    client.initialize().await;
    client.say(legacy(1, "asks")).await;
    let asks = behind.tool("asks").await;
    let (ask, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
    asks.send(Ok(ask.into())).unwrap();
    let asked = client.hear().await;
    assert_eq!(asked["method"], "roots/list");
    client.say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}})).await;
    assert!(answer.await.is_some_and(|answer| answer.is_ok()));
    let (ask, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
    asks.send(Ok(ask.into())).unwrap();
    client.hear().await;
    let left = tokio::spawn(client.leave());
    assert!(answer.await.is_none());
    asks.send(done("{}")).unwrap();
    assert_eq!(left.await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn notifications_arrive_in_the_order_they_were_sent() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    client.initialize().await;
    for n in 0..20 {
        let params = if n % 2 == 0 { json!({"n": n}) } else { json!({"n": n, "_meta": meta()}) };
        client.say(json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed", "params": params})).await;
    }
    while behind.notices.lock().unwrap().len() < 20 {
        tokio::task::yield_now().await;
    }
    let expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(*behind.notices.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_is_answered_and_the_next_line_is_taken() {
    let mut client = Client::new(&Behind::default());
    let other = |version: &str| {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": version});
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": meta}}).to_string()
    };
    let refused = [
        ("nonsense".to_owned(), Value::Null, -32700),
        ("[]".into(), Value::Null, -32600),
        ("[1]".into(), Value::Null, -32600),
        ("\u{feff}{}".into(), Value::Null, -32700),
        (format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"x\":\"{}\"}}", "y".repeat(5000)), Value::Null, -32600),
        (json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).to_string(), json!(7), -32600),
        (json!({"jsonrpc": "2.0", "id": 7}).to_string(), json!(7), -32600),
        (other("2099-01-01"), json!(7), -32022),
        (other("2026-07-28"), json!(7), -32602),
        (modern(7, "initialize", json!({})).to_string(), json!(7), -32601),
    ];
    for (line, id, code) in refused {
        client.say(&line).await;
        let answer = client.hear().await;
        assert_eq!((&answer["id"], answer["error"]["code"].as_i64()), (&id, Some(code)), "{line}\n{answer}");
    }
    for unanswered in
        ["", "  ", "{\"jsonrpc\":\"2.0\",\"method\":\"tools/list\"}", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"]
    {
        client.say(unanswered).await;
    }
    client.say(modern(8, "server/discover", json!({}))).await;
    assert_eq!(client.hear().await["id"], 8);
}

#[tokio::test(start_paused = true)]
async fn an_id_in_use_and_a_call_too_many_are_refused() {
    let behind = Behind::default();
    let mut client = Client::new(&behind);
    for id in 0..256 {
        client.say(modern(id, "tools/call", json!({"name": format!("t{id}")}))).await;
    }
    client.say(modern(256, "tools/call", json!({"name": "too many"}))).await;
    assert_eq!(client.hear().await["error"]["code"], 503);
    behind.tool("t0").await.send(done("{}")).unwrap();
    assert_eq!(client.hear().await["id"], 0);
    client.say(modern(1, "tools/call", json!({"name": "twice"}))).await;
    let twice = client.hear().await;
    assert_eq!((&twice["id"], &twice["error"]["code"]), (&json!(1), &json!(-32600)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_taken_apart_in_the_revision_that_has_them() {
    let mut client = Client::new(&Behind::default());
    let params = json!({"protocolVersion": "2025-03-26", "capabilities": {}});
    client.say(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
    assert_eq!(client.hear().await["result"]["protocolVersion"], "2025-03-26");
    let ping = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    client.say(json!([ping(1), 7, ping(2)])).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(client.hear().await["id"].as_u64());
    }
    ids.sort_unstable();
    assert_eq!(ids, [None, Some(1), Some(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_or_a_future_that_is_dropped_cancels_every_call() {
    for by_drop in [true, false] {
        let behind = Behind::default();
        let mut client = Client::new(&behind);
        client.initialize().await;
        client.say(modern(1, "tools/call", json!({"name": "modern"}))).await;
        client.say(legacy(2, "legacy")).await;
        let (modern, legacy) = (behind.tool("modern").await, behind.tool("legacy").await);
        let Client { input, output, serving, stop } = client;
        if by_drop {
            serving.abort();
        } else {
            // The answer to this cannot be written.
            drop((input, output));
            modern.send(done("{}")).unwrap();
            assert!(serving.await.unwrap().is_err());
        }
        modern.closed().await;
        legacy.closed().await;
        drop(stop);
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_behind_may_never_answer_a_notification() {
    let edge = EdgeLayer::new().layer(service_fn(|call: Call| async move {
        match call.method.is_notification() {
            true => pending().await,
            false => Ok::<_, BoxError>(Reply::single(Outcome::Result(Json::from_static("{}")))),
        }
    }));
    let (ours, theirs) = duplex(1 << 20);
    let (input, output) = split(theirs);
    let serving = tokio::spawn(async move { edge.serve_stdio(input, output, pending()).await });
    let (output, mut input) = split(ours);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed", "params": {"_meta": meta()}});
    for _ in 0..200 {
        input.write_all(format!("{note}\n").as_bytes()).await.unwrap();
    }
    input.write_all(format!("{}\n", modern(1, "tools/call", json!({"name": "x"}))).as_bytes()).await.unwrap();
    let mut lines = BufReader::new(output).lines();
    assert!(lines.next_line().await.unwrap().unwrap().contains("\"id\":1"));
    input.shutdown().await.unwrap();
    serving.await.unwrap().unwrap();
}
