//! Tools, listed and called as a client does.

mod content;
mod progress;
mod question;
mod tool;

use self::{progress::Progress, question::Prompt, tool::Tool};
use super::{
    args::Common,
    client::{Client, Refused, Target},
    error::{Failure, plain},
    print,
    signal::{Stop, interrupted},
};
use crate::json::{Json, object::each_member};
use clap::Args;
use serde_json::{Value, json, value::RawValue};
use std::{
    io::{Read, Write},
    process::ExitCode,
};

pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway tools
  tower-mcp-gateway tools search                     what it does and what arguments it takes
  tower-mcp-gateway tools --url https://mcp.example.com/mcp -H 'Authorization: Bearer …'
  tower-mcp-gateway tools --json | jq -r '.[].name'

Exit codes: 0 listed, 1 no gateway or server answers, or there is no such tool, 2 wrong command line or configuration.";

pub(super) const CALL_EXAMPLES: &str = "\
Examples:
  tower-mcp-gateway call echo '{ \"message\": \"hello\" }'
  tower-mcp-gateway call search__reindex --no-input
  echo '{ \"path\": \".\" }' | tower-mcp-gateway call list_files - --json | jq .content

Progress and questions of the server go to stderr, the answers to questions are read from stdin, the result goes to \
stdout: its text, or with --json all of it.
Exit codes: 0 the tool did it, 1 it could not be called, 2 wrong command line or configuration, 3 it says that it failed.";

/// Rounds of questions for one call, as many as the gateway itself goes along with.
const MAX_ROUNDS: usize = 10;

/// The most that is read of arguments on stdin: what the gateway takes in one request.
const MAX_ARGUMENTS: u64 = 4 << 20;

#[derive(Clone, Debug, Args)]
pub(super) struct Tools {
    /// Only this tool, in full; otherwise each tool in one line
    name: Option<String>,

    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Call {
    /// The tool, as `tools` lists it
    name: String,

    /// Its arguments as a JSON object, in single quotes so that the shell leaves them alone; `-` reads them from stdin
    #[arg(default_value = "{}")]
    arguments: String,

    /// Cancel every question of the server instead of asking for an answer
    #[arg(long)]
    no_input: bool,

    #[command(flatten)]
    target: Target,
}

/// Prints the tools that clients see.
pub(super) async fn list(tools: Tools, common: Common) -> Result<ExitCode, Failure> {
    interruptible(
        async |client| {
            let listed = client.tools().await.map_err(|refused| Failure::failed(refused.to_string()))?;
            let all: Vec<Tool> = listed.iter().filter_map(|tool| Tool::read(tool)).collect();
            warn(client);
            let Some(name) = &tools.name else {
                return print(if common.json { tool::as_json(&listed) } else { tool::as_table(&all) }.as_bytes());
            };
            match all.iter().position(|tool| tool.name == *name) {
                Some(at) if common.json => print(format!("{}\n", listed[at]).as_bytes()),
                Some(at) => print(all[at].in_full().as_bytes()),
                None => Err(Failure::failed(unknown(name, &all))),
            }
        },
        tools.target.clone(),
        &common,
    )
    .await
}

/// Calls a tool and prints what it says.
pub(super) async fn call(call: Call, common: Common) -> Result<ExitCode, Failure> {
    let arguments = arguments(&call.arguments)?;
    interruptible(async |client| {
        client.elicits();
        let prompt = Prompt::new(&call.name, !call.no_input && call.arguments != "-");
        let result = match exchange(client, &call.name, arguments, &prompt).await.inspect_err(|_| warn(client)) {
            Ok(result) => result,
            // What the gateway says of an unknown name does not know what was meant.
            Err(Refused::Rpc { code, message }) if message.starts_with("unknown tool") => {
                let listed = client.tools().await.unwrap_or_default();
                let all: Vec<Tool> = listed.iter().filter_map(|tool| Tool::read(tool)).collect();
                let unknown = unknown(&call.name, &all);
                // With any other code it names a server that may have the tool, and of which nothing is known yet.
                return Err(Failure::failed(if code == -32602 { unknown } else { format!("{message}\n{unknown}") }));
            }
            Err(Refused::Rpc { code: -32021, message }) => return Err(Failure::failed(format!(
                "{message}\nThe tool wants something of its client that a command line has not, such as a model to ask \
                 (sampling): call it from a client that has it."
            ))),
            Err(refused) => return Err(Failure::failed(refused.to_string())),
        };
        let failed = result.value["isError"] == true;
        print(if common.json { format!("{}\n", result.raw) } else { content::text(&result.value) }.as_bytes())?;
        Ok(if failed { ExitCode::from(Failure::TOOL) } else { ExitCode::SUCCESS })
    }, call.target.clone(), &common)
    .await
}

/// The call itself, with its progress shown and every question put to whoever sits there.
async fn exchange(
    client: &mut Client,
    name: &str,
    arguments: Value,
    prompt: &Prompt,
) -> Result<super::client::Answer, Refused> {
    let first = json!({ "name": name, "arguments": arguments });
    let mut params = first.clone();
    for _ in 0..MAX_ROUNDS {
        let mut progress = Progress::begin();
        let result = client.request("tools/call", params, |method, params| progress.hear(method, params)).await?;
        progress.end();
        if result.value["resultType"] != "input_required" {
            return Ok(result);
        }
        params = first.clone();
        let mut answers = serde_json::Map::new();
        for (key, question) in result.value["inputRequests"].as_object().into_iter().flatten() {
            let path = ["inputRequests", key, "params", "requestedSchema", "properties"];
            answers.insert(key.clone(), prompt.answer(question, names(&result.raw, &path)).await?);
        }
        params["inputResponses"] = answers.into();
        if let Some(state) = result.value.get("requestState") {
            params["requestState"] = state.clone();
        }
    }
    Err(Refused::Gone(format!("the tool asked {MAX_ROUNDS} times in a row and still does not answer")))
}

/// The members of the object at `path` in the order in which they were written; a map of values has none.
fn names(json: &RawValue, path: &[&str]) -> Vec<String> {
    let mut object = Json::parse(json.get().to_owned()).ok();
    for key in path {
        object = object.and_then(|object| object.member(key));
    }
    let mut names = Vec::new();
    if let Some(object) = object {
        // Whatever is no object has no members.
        let _ = each_member(object.as_bytes(), |name, _| names.push(name.to_owned()));
    }
    names
}

/// Works with a client that is closed in order afterwards, also if a signal comes first.
async fn interruptible(
    work: impl AsyncFnOnce(&mut Client) -> Result<ExitCode, Failure>,
    target: Target,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let mut stop = Stop::listen().map_err(|error| Failure::failed(error.to_string()))?;
    let mut client = tokio::select! {
        client = target.open(common) => client?,
        code = stop.next() => return Ok(interrupted(code)),
    };
    let done = tokio::select! {
        done = work(&mut client) => done,
        code = stop.next() => Ok(interrupted(code)),
    };
    client.close().await;
    done
}

/// Names the servers whose tools are missing.
fn warn(client: &Client) {
    for (id, error) in client.troubles() {
        // Nobody can be told that stderr is closed.
        let _ = writeln!(std::io::stderr(), "without the tools of {id}: {}", plain(&error));
    }
}

fn arguments(text: &str) -> Result<Value, Failure> {
    let mut read = String::new();
    let text = if text == "-" {
        let taken = std::io::stdin().take(MAX_ARGUMENTS).read_to_string(&mut read);
        taken.map_err(|error| Failure::usage(format!("the arguments on stdin cannot be read: {error}")))?;
        &read
    } else {
        text
    };
    let example = "write an object in single quotes, such as '{ \"message\": \"hello\" }'";
    match serde_json::from_str(text) {
        Ok(arguments @ Value::Object(_)) => Ok(arguments),
        Ok(_) => Err(Failure::usage(format!("the arguments are no JSON object: {example}"))),
        Err(error) => Err(Failure::usage(format!("the arguments are no JSON: {error}: {example}"))),
    }
}

fn unknown(name: &str, all: &[Tool]) -> String {
    let names: Vec<_> = all.iter().map(|tool| tool.name.as_str()).collect();
    match crate::nearest::nearest(name, &names) {
        Some(meant) => format!("there is no tool `{name}` in the list: did you mean `{meant}`?"),
        None => format!("there is no tool `{name}` among the {} that `tower-mcp-gateway tools` lists", all.len()),
    }
}
