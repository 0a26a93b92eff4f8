//! The tests that `docs/protocol.md` names.

use crate::pages::{page, root};

#[test]
fn every_test_that_the_protocol_page_names_is_there() {
    let text = page("docs/protocol.md").text;
    let named: Vec<_> = text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::")).collect();
    assert!(named.len() > 100, "{}", named.len());
    for (file, test) in named {
        let file = root().join(format!("{file}.rs"));
        let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(source.contains(&format!("fn {test}(")), "{}: no {test}", file.display());
    }
}
