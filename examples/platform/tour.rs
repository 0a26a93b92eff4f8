//! A client's way through the platform: every tool, a resource, and a search replica that dies and returns.

use std::{collections::BTreeSet, time::Duration};

use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, ReadResourceRequestParams},
    service::RunningService,
    transport::StreamableHttpClientTransport,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{BoxError, platform::Platform};

/// How long the gateway may take to see that a server is back: a few of its health checks.
const RETURN: Duration = Duration::from_secs(20);
/// The pause between two calls of the part where a replica dies, so that it lasts as long as a reader needs.
const PAUSE: Duration = Duration::from_millis(100);

/// Walks through everything and tells of it on stdout; an `Err` is the first thing that is not as documented.
pub(crate) async fn tour(url: &str, platform: &mut Platform) -> Result<(), BoxError> {
    let guide = Guide { client: ().serve(StreamableHttpClientTransport::from_uri(url)).await? };
    guide.lists().await?;
    guide.calls().await?;
    guide.alternates().await?;

    let pid = platform.search[0].pid().unwrap_or_default();
    println!("\nkill -9 {pid} (search-1), and the calls go on:");
    platform.search[0].kill().await?;
    guide.goes_on().await?;

    platform.search[0].restart().await?;
    println!("\nsearch-1 runs again as process {}:", platform.search[0].pid().unwrap_or_default());
    guide.returns().await?;

    guide.client.cancel().await?;
    Ok(())
}

struct Guide {
    client: RunningService<RoleClient, ()>,
}

impl Guide {
    async fn lists(&self) -> Result<(), BoxError> {
        println!("The tools of every server, through one endpoint:");
        let tools = self.client.list_all_tools().await?;
        for tool in &tools {
            println!("  {:<15} {}", tool.name, tool.description.as_deref().unwrap_or_default());
        }
        let names: BTreeSet<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        let wanted = ["aggregate", "list_files", "read_file", "search", "search_reindex"];
        ensure(wanted.iter().all(|name| names.contains(name)), format!("tools are missing, there are {names:?}"))?;
        for template in self.client.list_all_resource_templates().await? {
            println!("  {:<15} {}", template.uri_template, template.description.as_deref().unwrap_or_default());
        }
        Ok(())
    }

    async fn calls(&self) -> Result<(), BoxError> {
        println!("\nEach tool called once:");
        let calls = [
            ("search", json!({ "query": "gateway" })),
            ("search_reindex", json!({})),
            ("list_files", json!({})),
            ("read_file", json!({ "path": "welcome.txt" })),
            ("aggregate", json!({ "numbers": [3, 1, 4, 1, 5] })),
        ];
        for (tool, arguments) in calls {
            let answer = self.call(tool, arguments).await?;
            println!("  {tool:<15} {}", answer.trim_end().replace('\n', ", "));
        }
        let uri = "file:///notes/tour.md";
        let read = self.client.read_resource(ReadResourceRequestParams::new(uri)).await?;
        let read = serde_json::to_value(&read)?;
        let body = read.pointer("/contents/0/text").and_then(Value::as_str).ok_or("the resource has no text")?;
        println!("  {uri}  {}", body.lines().next().unwrap_or_default());
        Ok(())
    }

    async fn alternates(&self) -> Result<(), BoxError> {
        let mut replicas = Vec::new();
        for _ in 0..6 {
            replicas.push(self.search().await?);
        }
        println!("\nSix searches in turn: {}", replicas.join(" "));
        ensure(replicas.windows(2).all(|pair| pair[0] != pair[1]), "the replicas do not alternate")
    }

    async fn goes_on(&self) -> Result<(), BoxError> {
        let (mut answered, mut failed) = (Vec::new(), 0);
        for _ in 0..20 {
            match self.search().await {
                Ok(replica) => answered.push(replica),
                Err(error) => {
                    failed += 1;
                    println!("  one call was on its way to the dead replica: {error}");
                }
            }
            sleep(PAUSE).await;
        }
        let by = answered.iter().collect::<BTreeSet<_>>();
        println!("  20 searches: {} answered by {by:?}, {failed} failed", answered.len());
        // The one that may fail is the one that finds out.
        ensure(failed <= 1, format!("{failed} calls failed, although one replica is well"))
    }

    async fn returns(&self) -> Result<(), BoxError> {
        let began = Instant::now();
        while self.search().await? != "search-1" {
            ensure(began.elapsed() < RETURN, "search-1 did not return to the pool")?;
            sleep(PAUSE).await;
        }
        println!("  back in the pool after {:.1} s", began.elapsed().as_secs_f64());
        self.alternates().await
    }

    /// The id of the replica that served a search.
    async fn search(&self) -> Result<String, BoxError> {
        let answer = self.call("search", json!({ "query": "gateway" })).await?;
        let (replica, _) = answer.split_once(':').ok_or("the answer names no replica")?;
        Ok(replica.to_owned())
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> Result<String, BoxError> {
        let Value::Object(arguments) = arguments else { return Err("arguments are an object".into()) };
        let result = self.client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await?;
        let result = serde_json::to_value(&result)?;
        ensure(result["isError"] != true, format!("{tool} failed: {result}"))?;
        let text = result.pointer("/content/0/text").and_then(Value::as_str);
        Ok(text.ok_or("the result has no text")?.to_owned())
    }
}

fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), BoxError> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
