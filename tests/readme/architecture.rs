//! docs/architecture.md draws the stacks that there are, and bounds that hold.

use crate::pages::{page, root, table};
use std::fs;

/// The names of the layers in a type, from the outside to the inside.
fn layers(name: &str) -> Vec<&str> {
    name.split('<').map(|path| path.trim_end_matches('>').rsplit("::").next().unwrap()).collect()
}

#[test]
fn the_edge_stack_is_the_one_of_the_type() {
    let page = page("docs/architecture.md");
    let drawn = page.text.lines().find(|line| line.contains("Origin ─")).unwrap();
    let drawn: Vec<_> = drawn[drawn.find("Origin").unwrap()..].split(" ─ ").map(str::trim).collect();
    // The route's own parameter is the kind of pool.
    let typed = layers(std::any::type_name::<tower_mcp_gateway::Stack>());
    assert_eq!(drawn, typed[..drawn.len()]);
    assert_eq!(*drawn.last().unwrap(), "Route");

    for name in ["README.md", "CONTRIBUTING.md"] {
        let text = crate::pages::page(name).text;
        let line = text.lines().find(|line| line.starts_with("edge stack ")).unwrap();
        let listed: Vec<_> = line.rsplit("  ").next().unwrap().split(',').map(str::trim).collect();
        assert_eq!(listed, drawn, "{name}");
    }

    let rows = table(page.section("## The way of a call"), 0);
    let told: Vec<_> = rows.iter().take(drawn.len()).map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(told, drawn);
}

#[test]
fn every_bound_is_the_one_of_the_code() {
    let page = page("docs/architecture.md");
    let rows = table(page.section("## What is bounded"), 0);
    assert!(rows.len() > 10);
    for row in rows {
        let [_, name, file, value] = &row[..] else { panic!("{row:?}") };
        let (name, value) = (name.trim_matches('`'), value.trim_matches('`'));
        let code = fs::read_to_string(root().join(file.trim_matches('`'))).unwrap();
        let line =
            code.lines().find(|line| line.contains(&format!("const {name}: "))).unwrap_or_else(|| panic!("{row:?}"));
        assert!(line.trim_end().ends_with(&format!("= {value};")), "{line}");
    }
}
