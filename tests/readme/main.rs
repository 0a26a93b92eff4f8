//! What the README and the pages of `docs/` say is run: their configurations are read, their commands exist, their requests
//! are sent, their tables are compared with the code.
#![cfg(feature = "cli")]

mod architecture;
mod commands;
mod operations;
mod pages;
mod protocol;
mod reference;

use pages::{of, page};
use tower_mcp_gateway::config::Config;

#[test]
fn every_configuration_is_one() {
    // An absolute path is as good a secret as any, and what a folder must be.
    let secret = |_: &str| Some("/a-secret-of-more-than-thirty-two-characters".to_owned());
    let mut servers = 0;
    for block in of(&["json", "jsonc"]) {
        let (page, text) = (&block.page, &block.text);
        let config = Config::parse(text, secret).unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
        assert!(config.notes.is_empty(), "{page}: {:?}", config.notes);
        servers += config.servers.len();
    }
    assert!(servers > 10, "{servers} servers");
}

#[test]
fn every_configuration_is_as_its_schema_says() {
    let schema = serde_json::from_str(tower_mcp_gateway::config::SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for block in of(&["json", "jsonc"]) {
        let root = jsonc_parser::cst::CstRootNode::parse(&block.text, &Default::default()).unwrap();
        let value = root.to_serde_value().unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}\n{}", block.page, block.text);
    }
}

#[test]
fn the_minimum_rust_version_is_that_of_the_manifest() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    let said = page("README.md").text.matches(" or newer").count();
    assert_eq!(page("README.md").text.matches(&format!("Rust {version} or newer")).count(), said.min(2));
}

#[test]
fn every_feature_is_told() {
    let manifest = page("Cargo.toml").text;
    let (_, features) = manifest.split_once("\ndefault = [").unwrap();
    let named: Vec<_> = features.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
    assert!(named.contains(&"cli"), "{named:?}");
    for (place, before) in [("README.md", "| "), ("src/lib.rs", "//! | ")] {
        let text = page(place).text;
        for feature in &named {
            assert!(text.contains(&format!("\n{before}`{feature}` | ")), "{place}: {feature}");
        }
    }
}
