use super::*;
use crate::{
    BoxError, Call, Method, Reply, Revision,
    json::{Json, Params},
    registry::Server,
    reply::{Event, Outcome},
    upstream::{
        Hop, Outbound, Settings, Transport,
        error::{Closed, Connect, Replaced, TooLarge},
    },
};
use futures_util::{FutureExt, StreamExt, future::join_all, poll};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

/// Answers each request with its own id.
const ECHO: &str = r#"while read -r line; do id=${line#*\"id\":}; id=${id%%,*};
    echo "{\"jsonrpc\":\"2.0\",\"result\":{\"was\":$id},\"id\":$id}"; done"#;
/// Tells each line it reads in a notification.
const PARROT: &str = r#"while read -r line; do
    printf '{"jsonrpc":"2.0","method":"notifications/told","params":%s}\n' "$line"; done"#;

/// Far more than anything here takes; reached only by a hang.
const HANG: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    let grace = Duration::from_millis(100);
    Settings { stop_grace: grace, kill_grace: grace, max_message_bytes: 100_000, ..Settings::default() }
}

fn start(server: Server) -> (Stdio, TaskTracker) {
    start_with(server, settings())
}

fn start_with(server: Server, settings: Settings) -> (Stdio, TaskTracker) {
    let tasks = TaskTracker::new();
    let server = server.attach(Arc::new(settings), tasks.clone());
    (Stdio::new(&server).unwrap(), tasks)
}

fn sh(script: &str) -> (Stdio, TaskTracker) {
    start(Server::stdio("t", "t", "sh").arg("-c").arg(script))
}

/// Waits for the driver, and so for every process.
async fn ended(tasks: TaskTracker) {
    tasks.close();
    timeout(HANG, tasks.wait()).await.expect("the driver ends");
}

fn outbound(epoch: u64, method: Method, params: &str) -> Outbound {
    let params = Params::parse(Json::parse(params.to_owned()).unwrap()).unwrap();
    let hop = Hop::new(Some(Revision::V2025_11_25), epoch);
    Outbound { call: Call::new(method, params), hop: Arc::new(hop) }
}

async fn ask(stdio: &Stdio, params: &str) -> Result<Outcome, BoxError> {
    let epoch = stdio.connected().await?;
    let reply = stdio.clone().oneshot(outbound(epoch, Method::PING, params));
    timeout(HANG, reply).await.expect("an answer")?.outcome().await
}

/// What the child tells outside of calls.
async fn listen(stdio: &Stdio) -> crate::reply::Events {
    let epoch = stdio.connected().await.unwrap();
    stdio.clone().oneshot(outbound(epoch, Method::LISTEN, "{}")).await.unwrap().into_events()
}

async fn hear(events: &mut crate::reply::Events) -> String {
    match timeout(HANG, events.next()).await.expect("a note") {
        Some(Ok(Event::Note(note))) => note.params.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_thousand_calls_at_once_and_no_process_afterwards() {
    let (stdio, tasks) = sh(ECHO);
    let outcomes = join_all((0..1000).map(|_| ask(&stdio, "{}"))).await;
    let mut ids: Vec<u64> =
        outcomes.iter().map(|o| o.as_ref().unwrap().result().unwrap().member("was").unwrap().read().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=1000).collect::<Vec<_>>());
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn what_is_no_message_is_skipped_and_counted() {
    let noise = r#"echo 'Listening on stdio'; printf '\r\n\n\377\376\n{"a":1}\n{"level":"info",\n'; read -r q;
        printf '{"jsonrpc":"2.0","id":1,"result":{}}\r\n'; read -r end"#;
    let (stdio, tasks) = sh(noise);
    assert!(matches!(ask(&stdio, "{}").await, Ok(Outcome::Result(_))));
    assert_eq!(stdio.stats(), Stats { starts: 1, skipped: 4, cut: 0, dropped: 0 });
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn a_crash_fails_the_calls_in_flight_and_the_next_child_is_another_connection() {
    let (stdio, tasks) = sh(r#"read -r first; read -r second; exit 3"#);
    let (first, second) = tokio::join!(ask(&stdio, "{}"), ask(&stdio, "{}"));
    for result in [first, second] {
        assert!(result.unwrap_err().downcast_ref::<Closed>().unwrap().sent);
    }
    let crashed = Instant::now();
    let stale = stdio.clone().oneshot(outbound(1, Method::PING, "{}")).await;
    assert!(stale.unwrap_err().is::<Replaced>());
    assert!(stdio.fault().unwrap().contains("exit"), "{:?}", stdio.fault());
    assert_eq!(stdio.connected().await.unwrap(), 2);
    assert!(crashed.elapsed() < Duration::from_secs(2), "{:?}", crashed.elapsed());
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn a_child_that_closes_a_pipe_is_of_no_use_and_is_replaced() {
    let told = r#"echo '{"jsonrpc":"2.0","method":"notifications/told"}'"#;
    for script in [&format!("exec 0<&-; {told}; sleep 1000"), &format!("{told}; read -r q; exec 1>&-; sleep 1000")] {
        let (stdio, tasks) = sh(script);
        hear(&mut listen(&stdio).await).await;
        let error = ask(&stdio, "{}").await.unwrap_err();
        assert!(crate::error::is_connection(&*error), "{script}: {error:?}");
        assert_eq!(stdio.connected().await.unwrap(), 2, "{script}");
        drop(stdio);
        ended(tasks).await;
    }
}

#[tokio::test]
async fn a_flood_on_stderr_or_stdout_delays_no_answer_for_long() {
    let flood = r#"(while :; do echo noise; echo noise >&2; done) & read -r q;
        echo '{"jsonrpc":"2.0","id":1,"result":{}}'; read -r end"#;
    let (stdio, tasks) = sh(flood);
    assert!(matches!(ask(&stdio, "{}").await, Ok(Outcome::Result(_))));
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn the_last_words_of_a_child_are_heard() {
    let (stdio, tasks) = sh(r#"read -r q; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; exit 0"#);
    assert!(matches!(ask(&stdio, "{}").await, Ok(Outcome::Result(_))));
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn a_child_that_does_not_read_is_still_read_and_holds_up_only_itself() {
    let told = r#"echo '{"jsonrpc":"2.0","method":"notifications/told","params":{"n":'$n'}}'"#;
    let (stdio, tasks) = sh(&format!("n=0; while :; do {told}; n=$((n+1)); sleep 0.02; done"));
    let mut events = listen(&stdio).await;
    let params = format!("{{\"fill\":\"{}\"}}", "x".repeat(50_000));
    let mut pending = Vec::new();
    // As many as fit into the pipe and the queue; then the next one is not ready.
    loop {
        let mut handle = stdio.clone();
        match timeout(Duration::from_millis(200), handle.ready()).await {
            Ok(ready) => pending.push(ready.unwrap().call(outbound(1, Method::PING, &params))),
            Err(_) => break,
        }
        assert!(pending.len() < 100, "the queue is bounded");
    }
    let before = hear(&mut events).await;
    let after = hear(&mut events).await;
    assert_ne!(before, after);
    drop((stdio, pending, events));
    ended(tasks).await;
}

#[tokio::test]
async fn a_message_above_the_limit_fails_its_call_and_no_other() {
    let script = r#"read -r a; read -r b; pad=$(head -c 200000 /dev/zero | tr '\0' x);
        echo "{\"result\":{\"pad\":\"$pad\"},\"jsonrpc\":\"2.0\",\"id\":1}";
        echo '{"jsonrpc":"2.0","id":2,"result":{}}'; read -r end"#;
    let (stdio, tasks) = sh(script);
    stdio.connected().await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..2 {
        let mut handle = stdio.clone();
        calls.push(handle.ready().await.unwrap().call(outbound(1, Method::PING, "{}")));
    }
    let results = timeout(HANG, join_all(calls)).await.unwrap();
    assert!(results[0].as_ref().unwrap_err().is::<TooLarge>());
    assert!(results[1].is_ok());
    assert_eq!(stdio.stats().cut, 1);
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_with_its_children() {
    let (stdio, tasks) = sh(r#"trap '' TERM; sleep 1000 & inner=$!;
        echo '{"jsonrpc":"2.0","method":"notifications/told","params":{"pids":['$$','$inner']}}';
        while :; do sleep 1000; done"#);
    let mut events = listen(&stdio).await;
    let pids: Vec<i32> = Json::parse(hear(&mut events).await).unwrap().member("pids").unwrap().read().unwrap();
    assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    drop(stdio);
    ended(tasks).await;
    let gone = async {
        // The kernel ends the grandchild, and its new parent reaps it, a moment after the signal.
        while pids.iter().any(|pid| is_alive(*pid)) {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, gone).await.expect("no process is left");
    assert!(timeout(HANG, events.next()).await.unwrap().unwrap().is_err(), "the listener is told");
}

#[tokio::test]
async fn the_children_of_a_crashed_child_are_killed() {
    let (stdio, tasks) =
        sh(r#"sleep 1000 & echo '{"jsonrpc":"2.0","method":"notifications/told","params":{"pid":'$!'}}';
        read -r q; exit 1"#);
    let mut events = listen(&stdio).await;
    let pid: i32 = Json::parse(hear(&mut events).await).unwrap().member("pid").unwrap().read().unwrap();
    let asked = Instant::now();
    assert!(ask(&stdio, "{}").await.unwrap_err().is::<Closed>());
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    while is_alive(pid) {
        assert!(asked.elapsed() < HANG);
        tokio::task::yield_now().await;
    }
    drop((stdio, events));
    ended(tasks).await;
}

/// Whether a process runs; one that is dead and only waits to be reaped by somebody else does not.
fn is_alive(pid: i32) -> bool {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => !cfg!(target_os = "linux"),
    }
}

#[tokio::test]
async fn a_child_that_keeps_crashing_is_started_at_growing_intervals() {
    let (stdio, tasks) = sh("exit 1");
    let begun = Instant::now();
    let mut phase = stdio.phase();
    while stdio.stats().starts < 4 {
        timeout(HANG, phase.changed()).await.unwrap().unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(250 + 500 + 1000), "{:?}", begun.elapsed());
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn a_missing_command_is_a_failure_to_connect_with_a_reason() {
    let (stdio, tasks) = start(Server::stdio("t", "t", "no-such-command").arg("hunter2"));
    let asked = Instant::now();
    let error = ask(&stdio, "{}").await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(2), "at once, not after a timeout");
    assert!(error.is::<Connect>() && crate::error::never_sent(&*error));
    assert_eq!(stdio.fault().unwrap(), "cannot start \"no-such-command\": the command was not found");
    drop(stdio);
    ended(tasks).await;
    let (stdio, tasks) = start(Server::stdio("t", "t", "cat").cwd("/no/such/folder"));
    assert!(ask(&stdio, "{}").await.unwrap_err().is::<Connect>());
    assert!(stdio.fault().unwrap().contains("working directory"));
    drop(stdio);
    ended(tasks).await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_line_ends_in_parameters_do_not_reach_the_child() {
    let (stdio, tasks) = sh(PARROT);
    let mut events = listen(&stdio).await;
    let mut call = Box::pin(stdio.clone().oneshot(outbound(1, Method::TOOLS_CALL, "{\n  \"name\":\r\n\"t\"\n}")));
    assert!(poll!(&mut call).is_pending());
    assert!(hear(&mut events).await.contains("\"method\":\"tools/call\",\"params\":{   \"name\":  \"t\" }"));
    drop(call);
    let cancelled = hear(&mut events).await;
    assert!(cancelled.contains("notifications/cancelled") && cancelled.contains("\"requestId\":2"), "{cancelled}");
    let told = stdio.clone().oneshot(outbound(1, Method::INITIALIZED, "{}")).await.unwrap();
    assert!(matches!(told.into_single(), Ok(Outcome::Accepted)));
    assert!(hear(&mut events).await.contains("notifications/initialized"));
    drop((stdio, events));
    ended(tasks).await;
}

#[tokio::test]
async fn the_environment_holds_what_is_configured_and_little_else() {
    let script = r#"printf '{"jsonrpc":"2.0","method":"notifications/told","params":{"env":"%s|%s|%s|%s"}}\n' \
        "${CARGO_MANIFEST_DIR-none}" "${PATH:+path}" "$GIVEN" "$1"; read -r end"#;
    let server = Server::stdio("t", "t", "sh").arg("-c").arg(script).arg("sh").arg("$HOME; `exit`");
    let (stdio, tasks) = start(server.env("GIVEN", "a b"));
    let mut events = listen(&stdio).await;
    assert_eq!(hear(&mut events).await, r#"{"env":"none|path|a b|$HOME; `exit`"}"#);
    drop((stdio, events));
    ended(tasks).await;
}

#[tokio::test]
async fn a_call_in_flight_keeps_the_child_until_it_is_answered() {
    let (stdio, tasks) = sh(r#"read -r q; sleep 0.3; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; read -r end"#);
    stdio.connected().await.unwrap();
    let call = stdio.clone().oneshot(outbound(1, Method::PING, "{}"));
    drop(stdio);
    let reply: Result<Reply, BoxError> = timeout(HANG, call).await.unwrap();
    assert!(reply.unwrap().as_single().is_some());
    ended(tasks).await;
}

#[tokio::test]
async fn readiness_is_given_back_unless_it_is_spent_and_no_clone_inherits_it() {
    let (stdio, tasks) = sh(PARROT);
    stdio.connected().await.unwrap();
    // More calls that reserve a place and send nothing than there are places.
    for _ in 0..200 {
        let mut handle = stdio.clone();
        let ready = timeout(HANG, handle.ready()).await.expect("a place").unwrap();
        assert!(ready.call(outbound(9, Method::PING, "{}")).now_or_never().unwrap().is_err());
    }
    let mut reserved = stdio.clone();
    timeout(HANG, reserved.ready()).await.unwrap().unwrap();
    for _ in 0..200 {
        let mut clone = reserved.clone();
        timeout(HANG, clone.ready()).await.expect("a place of its own").unwrap();
    }
    drop((stdio, reserved));
    ended(tasks).await;
}

#[tokio::test]
async fn a_child_on_another_runtime_answers_all_the_same_and_ends_with_it() {
    let (alive, gone) = tokio::sync::oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtimes = Runtimes::new([runtime.handle().clone()]);
    let thread = std::thread::spawn(move || runtime.block_on(gone));
    let script = format!("read -r line; {ECHO}");
    let server = Server::stdio("t", "t", "sh").arg("-c").arg(script);
    let (stdio, tasks) = start_with(server, Settings { runtimes, ..settings() });
    let epoch = stdio.connected().await.unwrap();
    let mut unanswered = stdio.clone().oneshot(outbound(epoch, Method::PING, "{}"));
    assert!(poll!(&mut unanswered).is_pending());
    let all = join_all((0..100).map(|_| ask(&stdio, "{}"))).await;
    assert!(all.iter().all(Result::is_ok));
    drop(alive);
    thread.join().unwrap().unwrap_err();
    let error = timeout(HANG, unanswered).await.expect("an end").unwrap_err();
    assert!(error.is::<Closed>(), "{error}");
    assert!(ask(&stdio, "{}").await.unwrap_err().is::<Closed>());
    ended(tasks).await;
}

/// Answers each request with its parameters.
const MIRROR: &str = r#"while read -r line; do id=${line#*\"id\":}; id=${id%%,*}; params=${line#*\"params\":};
    echo "{\"jsonrpc\":\"2.0\",\"result\":${params%\}},\"id\":$id}"; done"#;

#[tokio::test]
async fn lines_of_callers_on_several_runtimes_are_whole_and_each_is_woken_with_its_own_answer() {
    let (stdio, tasks) = sh(MIRROR);
    let thread = |name: usize| {
        let stdio = stdio.clone();
        let work = async move {
            let calls = (0..100).map(|n| {
                // One in twenty is longer than what is written together, and broken into lines.
                let (end, padding) = if n % 20 == 0 { ("\n", 20_000) } else { ("", 10) };
                let text = format!(r#"{{"thread":{name},{end}"call":{n},"padding":"{}"}}"#, "x".repeat(padding));
                let stdio = &stdio;
                async move {
                    let Outcome::Result(answer) = ask(stdio, &text).await.unwrap() else { panic!("a failure") };
                    assert_eq!(answer.as_str(), text.replace('\n', " "));
                }
            });
            join_all(calls).await;
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work);
        })
    };
    let threads = [0, 1, 2].map(thread);
    let all = tokio::task::spawn_blocking(|| threads.map(|thread| thread.join().is_ok())).await.unwrap();
    assert_eq!(all, [true; 3]);
    assert_eq!(stdio.stats().skipped, 0);
    drop(stdio);
    ended(tasks).await;
}
