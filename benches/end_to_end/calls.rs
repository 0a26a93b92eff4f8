//! What requests cost, by processor time.

use crate::{
    Pace,
    figures::{Figures, median},
    load::{Era, Load, Op},
    processes::Process,
};
use serde_json::{Value, json};
use std::{env, net::SocketAddr, path::Path};

/// What is sent: its name, the client's era, the request, how many connections send, and how much of the server's own cost
/// the gateway may cost.
const RUNS: [(&str, Era, Op, u32, Option<f64>); 11] = [
    ("echo of 200 bytes, 16 connections", Era::Early, Op::Echo, 16, None),
    ("echo, 64 connections", Era::Early, Op::Echo, 64, None),
    ("echo, 256 connections", Era::Early, Op::Echo, 256, None),
    ("echo, 2026-07-28, 16", Era::Modern, Op::Echo, 16, None),
    ("result of 256 KiB, 8", Era::Early, Op::Blob, 8, None),
    ("10 progress notes and a result, 8", Era::Early, Op::Stream, 8, None),
    ("the same, 2026-07-28", Era::Modern, Op::Stream, 8, None),
    ("tools/list of 500 tools, 4", Era::Early, Op::List, 4, Some(1.5)),
    ("tools/list, 2026-07-28, 4", Era::Modern, Op::List, 4, Some(1.5)),
    ("server/discover, 2026-07-28, 4", Era::Modern, Op::Discover, 4, Some(1.5)),
    ("initialize, initialized, DELETE, 4", Era::Early, Op::Session, 4, Some(1.5)),
];

/// One of the things that are compared.
pub(crate) struct Way<'a> {
    pub(crate) process: &'a Process,
    pub(crate) load: Load,
}

impl<'a> Way<'a> {
    /// Requests at this path of the process.
    pub(crate) fn new(process: &'a Process, path: &str, (era, op, connections): (Era, Op, u32), pace: Pace) -> Self {
        let (address, path, time) = (process.address, path.into(), pace.time);
        Self { process, load: Load { address, path, era, op, tool: "echo", connections, time, rate: None } }
    }

    fn tool(mut self, tool: &'static str) -> Self {
        self.load.tool = tool;
        self
    }
}

/// Two replicas of what the server has at this path.
pub(crate) fn replicas(server: SocketAddr, path: &str) -> Value {
    let one = |id| entry(id, "bench", server, path);
    json!([one("bench-1"), one("bench-2")])
}

pub(crate) fn entry(id: &str, name: &str, server: SocketAddr, path: &str) -> Value {
    let url = format!("http://{server}{path}");
    json!({"id": id, "name": name, "transport": "http", "connection": {"type": "http", "url": url}})
}

pub(crate) async fn measure(pace: Pace, figures: &mut Figures) {
    let server = Process::this("server", &[]);
    let nginx = Process::nginx(server.address).await;
    let path = |era| if era == Era::Early { "/early/500" } else { "/modern/500" };
    let (early, modern) = (replicas(server.address, path(Era::Early)), replicas(server.address, path(Era::Modern)));
    let gateways = [Process::gateway(&early, &[]).await, Process::gateway(&modern, &[]).await];
    println!("| CPU µs a request | server | nginx | gateway | to nginx |\n|---|---|---|---|---|");
    for (what, era, op, connections, most) in RUNS {
        let kind = (era, op, connections);
        let mut ways = vec![
            Way::new(&server, path(era), kind, pace),
            Way::new(&gateways[usize::from(era == Era::Modern)], "/mcp", kind, pace),
        ];
        ways.extend(nginx.iter().map(|nginx| Way::new(nginx, path(era), kind, pace)));
        let cost = compare(&ways, pace).await;
        let behind = cost.get(2).map_or("–".into(), |cost| format!("{cost:.1}"));
        let ratio = cost.get(2).map_or("–".into(), |nginx| format!("{:.2}", cost[1] / nginx));
        println!("| {what} | {:.1} | {behind} | {:.1} | {ratio} |", cost[0], cost[1]);
        if let Some(most) = most {
            figures.bound(format!("{what}, of what the server takes"), cost[1] / cost[0], most);
        }
    }
    println!();
}

/// What must cost no more than something else, one beside the other.
pub(crate) async fn pairs(pace: Pace, figures: &mut Figures) {
    let server = Process::this("server", &[]);
    println!("| CPU µs a request | | beside | | ratio | at most |\n|---|---|---|---|---|---|");
    eras(pace, figures, &server).await;
    catalog(pace, figures, &server).await;
    workers(pace, figures, &server).await;
    stdio(pace, figures).await;
    println!();
}

async fn eras(pace: Pace, figures: &mut Figures, server: &Process) {
    let [early, modern] = ["/early/500", "/modern/500"].map(|path| replicas(server.address, path));
    let [early, modern] = &[Process::gateway(&early, &[]).await, Process::gateway(&modern, &[]).await];
    for (what, client, own, other) in [
        ("a client of 2025-11-25 at a server of 2026-07-28, 16 connections", Era::Early, early, modern),
        ("a client of 2026-07-28 at a server of 2025-11-25, 16 connections", Era::Modern, modern, early),
    ] {
        let way = |process| Way::new(process, "/mcp", (client, Op::Echo, 16), pace);
        pair(pace, figures, [what, "at one of its own"], [way(other), way(own)], 1.5).await;
    }
}

/// Ten thousand tools of two hundred servers.
async fn catalog(pace: Pace, figures: &mut Figures, server: &Process) {
    let many: Vec<Value> = (0..200)
        .map(|n| {
            let name = format!("s{n:03}");
            entry(&name, &name, server.address, "/early/50")
        })
        .collect();
    let many = Process::gateway(&many.into(), &[]).await;
    let few = Process::gateway(&json!([entry("one", "one", server.address, "/early/16")]), &[]).await;
    let way = |process| Way::new(process, "/mcp", (Era::Early, Op::Echo, 16), pace);
    let words = ["echo with 10,000 tools of 200 servers, 16 connections", "with 16 tools of one"];
    pair(pace, figures, words, [way(&many).tool("s100__echo"), way(&few)], 1.05).await;
    let list = |process, path| Way::new(process, path, (Era::Early, Op::List, 4), pace);
    let words = ["tools/list of 10,000 tools of 200 servers, 4 connections", "a server that has them all"];
    pair(pace, figures, words, [list(&many, "/mcp"), list(server, "/early/10000")], 1.5).await;
}

/// A gateway with as many threads as there are processors, and one that is held on one.
async fn workers(pace: Pace, figures: &mut Figures, server: &Process) {
    if !has_taskset() {
        return println!("| taskset is not installed: nothing is held on one processor | | | | | |");
    }
    let servers = replicas(server.address, "/early/16");
    let (all, one) = (Process::gateway(&servers, &[]).await, Process::gateway(&servers, &ON_ONE).await);
    let way = |process| Way::new(process, "/mcp", (Era::Early, Op::Echo, 64), pace);
    let words = ["echo, a worker for each processor, 64 connections", "one worker"];
    pair(pace, figures, words, [way(&all), way(&one)], 1.1).await;
}

/// What holds a process on one processor.
const ON_ONE: [&str; 3] = ["taskset", "-c", "0"];

fn has_taskset() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| Path::new(&folder).join("taskset").exists())
}

/// Both with a thread for each processor, and both held on one.
async fn stdio(pace: Pace, figures: &mut Figures) {
    let program = env::current_exe().expect("a program");
    let connection = json!({"type": "stdio", "command": program, "args": ["child"]});
    let servers = json!([{"id": "child", "name": "child", "transport": "stdio", "connection": connection}]);
    for (what, before) in
        [("echo of a server on stdio, 16 connections", &[][..]), ("the same on one processor", &ON_ONE[..])]
    {
        if !before.is_empty() && !has_taskset() {
            return;
        }
        let (gateway, pipe) = (Process::gateway(&servers, before).await, Process::this("pipe", before));
        let way = |process| Way::new(process, "/mcp", (Era::Early, Op::Echo, 16), pace);
        pair(pace, figures, [what, "a program that copies lines"], [way(&gateway), way(&pipe)], 1.5).await;
    }
}

async fn pair(pace: Pace, figures: &mut Figures, words: [&str; 2], ways: [Way<'_>; 2], most: f64) {
    let cost = compare(&ways, pace).await;
    let ratio = cost[0] / cost[1];
    println!("| {} | {:.1} | {} | {:.1} | {ratio:.2} | {most} |", words[0], cost[0], words[1], cost[1]);
    figures.bound(words[0], ratio, most);
}

/// What each takes for a request, in turns.
async fn compare(ways: &[Way<'_>], pace: Pace) -> Vec<f64> {
    let mut costs = vec![Vec::new(); ways.len()];
    for _ in 0..pace.rounds {
        for (way, costs) in ways.iter().zip(&mut costs) {
            costs.push(way.load.run(way.process).await.cpu);
        }
    }
    costs.into_iter().map(median).collect()
}
