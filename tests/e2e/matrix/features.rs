//! What a client does with a server, each as a test of its own that is the same for every pair.

use serde_json::{Value, json};

use super::caller::{Caller, Kind, Said};
use crate::support::{
    asking::{LEVELS, PAGE},
    peer::{ERROR, LISTENING, Peer},
    servers::{Kind as Server, Running},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    List,
    Call,
    Progress,
    Failure,
    Error,
    Prompts,
    Resources,
    Templates,
    Completion,
    ListChanged,
    Elicitation,
    UrlElicitation,
    Sampling,
    Roots,
    Logging,
    Subscription,
    Cancel,
    AskAfterCancel,
}

impl Feature {
    pub(crate) const ALL: [Feature; 18] = [
        Feature::List,
        Feature::Call,
        Feature::Progress,
        Feature::Failure,
        Feature::Error,
        Feature::Prompts,
        Feature::Resources,
        Feature::Templates,
        Feature::Completion,
        Feature::ListChanged,
        Feature::Elicitation,
        Feature::UrlElicitation,
        Feature::Sampling,
        Feature::Roots,
        Feature::Logging,
        Feature::Subscription,
        // Last: where nothing else tells whose question it is, no other client is asked for a moment after a cancellation.
        Feature::AskAfterCancel,
        Feature::Cancel,
    ];

    /// Tries the feature; `server` is the one that the client meets, named `one`.
    pub(crate) async fn check(self, kind: Kind, caller: &mut Caller, server: &Running) {
        let peer = &server.peer;
        match self {
            Feature::List => list(caller, peer).await,
            Feature::Call => assert_eq!(text(&call(caller, "echo", json!({ "text": "héllo" })).await), "héllo"),
            Feature::Progress => progress(caller).await,
            Feature::Failure => assert_eq!(call(caller, "fail", json!({})).await.answer["result"]["isError"], true),
            Feature::Error => {
                let said = call(caller, "error", json!({})).await;
                assert_eq!(said.answer["error"]["code"], ERROR.0, "{}", said.answer);
                assert_eq!(said.answer["error"]["data"]["peer"], "one", "{}", said.answer);
            }
            Feature::Prompts => prompts(caller).await,
            Feature::Resources => resources(kind, caller).await,
            Feature::Templates => templates(caller).await,
            Feature::Completion => completion(caller).await,
            Feature::ListChanged => list_changed(caller, peer).await,
            Feature::Elicitation => {
                let question = asked(caller, "ask", "elicitation/create", "teal").await;
                assert_eq!(question["requestedSchema"]["required"], json!(["colour"]), "{question}");
            }
            Feature::UrlElicitation => {
                let question = asked(caller, "visit", "elicitation/create", "accept").await;
                assert_eq!(question["url"], PAGE, "{question}");
            }
            Feature::Sampling => {
                let question = asked(caller, "sample", "sampling/createMessage", "Mauve.").await;
                assert_eq!(question["maxTokens"], 10, "{question}");
            }
            Feature::Roots => drop(asked(caller, "roots", "roots/list", "file:///home/one").await),
            Feature::Logging => logging(kind, caller).await,
            Feature::Subscription => subscription(caller).await,
            Feature::Cancel => cancel(caller, peer).await,
            Feature::AskAfterCancel => {
                cancel(caller, peer).await;
                // Over HTTP+SSE nothing tells clients without sessions from each other, nor when the server has heard.
                while kind.is_modern()
                    && server.kind == Server::Sse
                    && call(caller, "ask", json!({})).await.questions.is_empty()
                {}
                drop(asked(caller, "ask", "elicitation/create", "teal").await);
            }
        }
    }
}

async fn call(caller: &mut Caller, tool: &str, arguments: Value) -> Said {
    caller.request("tools/call", json!({ "name": tool, "arguments": arguments })).await
}

#[track_caller]
fn text(said: &Said) -> String {
    let text = said.answer.pointer("/result/content/0/text").and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text in {}", said.answer)).to_owned()
}

async fn names(caller: &mut Caller) -> Vec<Value> {
    let (mut names, mut params) = (Vec::new(), json!({}));
    loop {
        let said = caller.request("tools/list", params).await;
        let tools = said.answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{}", said.answer));
        names.extend(tools.iter().map(|tool| tool["name"].clone()));
        match said.answer["result"].get("nextCursor") {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => return names,
        }
    }
}

async fn list(caller: &mut Caller, peer: &Peer) {
    let wanted: Vec<_> = peer.tools().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names(caller).await, wanted);
}

async fn progress(caller: &mut Caller) {
    let params = json!({ "name": "slow", "arguments": { "steps": 5 }, "_meta": { "progressToken": "mine" } });
    let said = caller.request("tools/call", params).await;
    let notes: Vec<_> = said.notes.iter().map(|note| &note["params"]).collect();
    assert!(notes.iter().all(|note| note["progressToken"] == "mine"), "{notes:?}");
    assert_eq!(notes.iter().map(|note| note["progress"].as_u64()).collect::<Vec<_>>(), [1, 2, 3, 4, 5].map(Some));
    assert_eq!(text(&said), "5 steps");
}

async fn prompts(caller: &mut Caller) {
    let listed = caller.request("prompts/list", json!({})).await;
    assert_eq!(listed.answer["result"]["prompts"][0]["name"], "one-greet", "{}", listed.answer);
    let got = caller.request("prompts/get", json!({ "name": "one-greet", "arguments": { "who": "Ada" } })).await;
    let words = got.answer.pointer("/result/messages/0/content/text");
    assert_eq!(words, Some(&json!("Greet Ada for one")), "{}", got.answer);
}

async fn resources(kind: Kind, caller: &mut Caller) {
    let listed = caller.request("resources/list", json!({})).await;
    assert_eq!(listed.answer["result"]["resources"][0]["uri"], "test://one/fixed", "{}", listed.answer);
    assert_eq!(read(caller, "test://one/fixed").await.pointer("/result/contents/0/text"), Some(&json!("one at fixed")));
    let missing = read(caller, "test://one/missing").await;
    let code = if kind.is_modern() { -32602 } else { -32002 };
    assert_eq!(missing["error"]["code"], code, "{missing}");
    assert_eq!(missing["error"]["data"]["uri"], "test://one/missing", "{missing}");
}

async fn templates(caller: &mut Caller) {
    let listed = caller.request("resources/templates/list", json!({})).await;
    let template = listed.answer.pointer("/result/resourceTemplates/0/uriTemplate");
    assert_eq!(template, Some(&json!("test://one/any/{+path}")), "{}", listed.answer);
    let found = read(caller, "test://one/any/a/b").await;
    assert_eq!(found.pointer("/result/contents/0/text"), Some(&json!("one at any/a/b")), "{found}");
}

async fn read(caller: &mut Caller, uri: &str) -> Value {
    caller.request("resources/read", json!({ "uri": uri })).await.answer
}

async fn completion(caller: &mut Caller) {
    let reference = json!({ "type": "ref/prompt", "name": "one-greet" });
    let params = json!({ "ref": reference, "argument": { "name": "who", "value": "ada" } });
    let said = caller.request("completion/complete", params).await;
    assert_eq!(said.answer["result"]["completion"]["values"], json!(["ada-one", "ada-two"]), "{}", said.answer);
}

async fn cancel(caller: &mut Caller, peer: &Peer) {
    let (begun, over) = (peer.ledger.calls("hang"), peer.ledger.abandoned());
    let running = caller.begin("tools/call", json!({ "name": "hang", "arguments": {} }));
    peer.ledger.until(|counts| counts.calls.get("hang").is_some_and(|calls| *calls > begun)).await;
    caller.cancel(running).await;
    peer.ledger.until(|counts| counts.abandoned > over).await;
    assert_eq!(text(&call(caller, "who", json!({})).await), "one", "the client goes on");
}

async fn list_changed(caller: &mut Caller, peer: &Peer) {
    caller.listen(&[]).await;
    peer.ledger.until(|counts| counts.methods.contains_key(LISTENING)).await;
    peer.add_tool("later");
    caller.hear("notifications/tools/list_changed").await;
    assert!(names(caller).await.contains(&json!("later")), "told only after the list has it");
}

/// Calls a tool that asks, and gives back the parameters of its one question.
async fn asked(caller: &mut Caller, tool: &str, method: &str, wanted: &str) -> Value {
    let said = call(caller, tool, json!({})).await;
    assert_eq!(said.questions.len(), 1, "{said:?}");
    assert_eq!(said.questions[0]["method"], method, "{said:?}");
    assert!(text(&said).contains(wanted), "{said:?}");
    said.questions[0]["params"].clone()
}

async fn logging(kind: Kind, caller: &mut Caller) {
    let mut params = json!({ "name": "log", "arguments": {} });
    if kind.is_modern() {
        let silent = caller.request("tools/call", params.clone()).await;
        assert!(silent.notes.is_empty(), "nobody asked: {silent:?}");
        params["_meta"] = json!({ "io.modelcontextprotocol/logLevel": LEVELS[1] });
    } else {
        let set = caller.request("logging/setLevel", json!({ "level": LEVELS[1] })).await;
        assert_eq!(set.answer["result"], json!({}), "{}", set.answer);
    }
    let said = caller.request("tools/call", params).await;
    let levels: Vec<_> = said.notes.iter().map(|note| note["params"]["level"].clone()).collect();
    assert_eq!(levels, LEVELS[1..], "{said:?}");
}

async fn subscription(caller: &mut Caller) {
    const URI: &str = "test://one/fixed";
    caller.listen(&[URI]).await;
    assert_eq!(text(&call(caller, "touch", json!({})).await), "touched");
    let note = caller.hear("notifications/resources/updated").await;
    assert_eq!(note["params"]["uri"], URI, "{note}");
}
