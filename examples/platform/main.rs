//! The documented platform, from nothing to a tour of it:
//!
//! ```text
//! client → gateway (:4000) → search-1, search-2   (HTTP+SSE, same name: load-balanced)
//!                          → files-1              (HTTP+SSE)
//!                          → analytics-1          (stdio: the gateway launches the process)
//! ```
//!
//! ```sh
//! cargo run --release --example platform                        # tour, then serve until ctrl-c
//! cargo run --release --example platform -- --port 4100 --once  # tour, then exit; fails if something did
//! ```

mod analytics;
mod files;
mod gateway;
mod kit;
mod platform;
mod replica;
mod search;
mod tour;

use std::{path::Path, sync::Arc};

use self::{analytics::Analytics, files::Files, platform::Platform, search::Search};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["search", id, port] => replica::serve(Search::new(id), port.parse()?).await?,
        ["files", folder, port] => replica::serve(Files::new(Path::new(folder))?, port.parse()?).await?,
        ["analytics"] => kit::stdio::run(Arc::new(Analytics)).await?,
        ["--port", port, "--once"] | ["--once", "--port", port] => run(port.parse()?, true).await?,
        ["--port", port] => run(port.parse()?, false).await?,
        ["--once"] => run(4000, true).await?,
        [] => run(4000, false).await?,
        _ => return Err("usage: platform [--port PORT] [--once]".into()),
    }
    Ok(())
}

async fn run(port: u16, once: bool) -> Result<(), BoxError> {
    let mut platform = Platform::start().await?;
    let gateway = gateway::start(port, &platform).await?;
    let url = format!("http://{}/mcp", gateway.address);
    println!("The gateway serves at {url}\n");

    let toured = tour::tour(&url, &mut platform).await;
    if toured.is_ok() && !once {
        println!("\nThe gateway keeps serving at {url}; ctrl-c ends it.");
        tokio::signal::ctrl_c().await?;
    }
    gateway.stop().await;
    toured
}
