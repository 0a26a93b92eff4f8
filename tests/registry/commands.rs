//! Which child processes a program may register while it runs.

use crate::fleet::{Fleet, Mode};
use tower_mcp_gateway::registry::{Registry, Server};

/// A registry that takes these commands at run time, over servers in memory: nothing is started here.
fn allowing(fleet: &Fleet, commands: &[&str], configured: Vec<Server>) -> Registry {
    let builder = Registry::builder().connect(fleet.connect()).commands(commands.iter().copied());
    let builder = builder.endpoint(|_: &Server, connection| connection);
    let (registry, driver) = builder.build_with(configured).unwrap();
    tokio::spawn(driver);
    registry
}

fn child(id: &str, command: &str) -> Server {
    Server::stdio(id, id, command)
}

#[tokio::test(start_paused = true)]
async fn only_commands_that_the_operator_named_are_registered_at_run_time() {
    let fleet = Fleet::default();
    fleet.peer("configured").set(Mode::Up);
    // What the configuration names, the operator wrote.
    let registry = allowing(&fleet, &["analytics", "/opt/files"], vec![child("configured", "anything")]);
    registry.register(child("a", "analytics").arg("--fast")).unwrap();
    registry.register(child("b", "/opt/files")).unwrap();
    for other in
        ["sh", "/bin/sh", "analytics ", "Analytics", "./analytics", "/opt/../opt/files", "files", "analytics -c x"]
    {
        let refused = registry.register(child("c", other)).unwrap_err().to_string();
        assert!(refused.contains("is not among the commands"), "{other}: {refused}");
        assert!(registry.list().iter().all(|entry| entry.id.as_str() != "c"), "{other}");
    }
    assert!(registry.register(Server::http("d", "d", "http://localhost:1/mcp").unwrap()).is_ok(), "no child process");
}

#[tokio::test(start_paused = true)]
async fn where_no_command_is_named_no_child_process_is_registered_at_run_time() {
    let registry = allowing(&Fleet::default(), &[], Vec::new());
    assert!(registry.register(child("a", "analytics")).is_err());
    assert!(registry.register(child("a", "")).is_err());
    assert!(registry.list().is_empty());
}
