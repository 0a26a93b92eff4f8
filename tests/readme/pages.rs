//! The README and the pages of `docs/`, in parts that a test can look at.

use std::{fs, path::Path};

/// What stands before a block that no test can run, in a paragraph of its own and with the reason behind it.
const UNTESTED: &str = "Not tested:";

/// The languages of blocks, each of which some test knows what to do with.
const LANGUAGES: &[&str] =
    &["sh", "json", "jsonc", "rust", "rust,no_run", "yaml", "ini", "dockerfile", "text", "mermaid"];

pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A fenced part of a page.
pub(crate) struct Block {
    pub(crate) page: String,
    pub(crate) language: String,
    pub(crate) text: String,
    /// Why no test runs it.
    pub(crate) untested: Option<String>,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn page(name: &str) -> Page {
    let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Page { name: name.into(), text }
}

/// Pages outside of `docs/`.
const OTHERS: [&str; 5] =
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/interop/README.md", "tests/conformance/README.md"];

/// The README first, and those of `docs/` by name.
pub(crate) fn pages() -> Vec<Page> {
    let files = fs::read_dir(root().join("docs")).unwrap();
    let mut names: Vec<_> = files.map(|file| format!("docs/{}", file.unwrap().file_name().display())).collect();
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    // The packaged crate is without the runs of other people's software.
    let others = OTHERS.into_iter().filter(|name| root().join(name).exists());
    others.chain(names.iter().map(String::as_str)).map(page).collect()
}

impl Page {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let parts: Vec<_> = self.text.split("```").collect();
        assert_eq!(parts.len() % 2, 1, "{}: a block is not closed", self.name);
        let block = |pair: &[&str]| {
            let (language, text) = pair[1].split_once('\n').unwrap();
            let before = pair[0].trim_end().rsplit("\n\n").next().unwrap_or_default();
            let untested = before.trim_start().strip_prefix(UNTESTED).map(|reason| reason.trim().to_owned());
            let (page, language, text) = (self.name.clone(), language.to_owned(), text.to_owned());
            Block { page, language, text, untested }
        };
        parts.chunks_exact(2).map(block).collect()
    }

    /// What stands under a heading, up to the next one.
    pub(crate) fn section(&self, heading: &str) -> &str {
        let (_, rest) = self.text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
        rest.split("\n#").next().unwrap()
    }

    /// The places that links may lead to, as GitHub makes them of headings.
    fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter_map(|line| line.strip_prefix('#'));
        let slug = |heading: &str| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        };
        headings.map(|heading| slug(heading.trim_start_matches('#').trim())).collect()
    }
}

/// The rows of the `nth` table in a piece of a page, each as its cells, without heading and rule.
pub(crate) fn table(text: &str, nth: usize) -> Vec<Vec<String>> {
    let mut tables = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('|') {
            if !inside {
                tables.push(Vec::new());
            }
            let cells = line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            tables.last_mut().unwrap().push(cells.collect());
        }
        inside = line.starts_with('|');
    }
    assert!(tables.len() > nth, "{nth} of {} tables in {text}", tables.len());
    tables.swap_remove(nth).split_off(2)
}

/// The blocks of all pages in these languages that are to be tried.
pub(crate) fn of(languages: &[&str]) -> Vec<Block> {
    let tried = |block: &Block| languages.contains(&&*block.language) && block.untested.is_none();
    pages().iter().flat_map(Page::blocks).filter(tried).collect()
}

#[test]
fn every_block_is_run_or_says_why_it_is_not() {
    let foreign = ["sudo", "systemctl", "journalctl", "docker", "podman", "kubectl"];
    let mut seen = 0;
    for block in pages().iter().flat_map(Page::blocks) {
        assert!(LANGUAGES.contains(&&*block.language), "{}: a block of {:?}", block.page, block.language);
        let Some(reason) = block.untested else { continue };
        seen += 1;
        assert!(reason.len() > 10, "{}: why is it not tested?\n{}", block.page, block.text);
        let lines = block.text.lines().filter(|_| block.language == "sh");
        for line in lines {
            let program = line.split_whitespace().next().unwrap_or("#");
            assert!(foreign.contains(&program) || program == "#", "{}: {line} can be tested", block.page);
        }
    }
    assert!(seen > 0, "the mark is not found any more");
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut seen = 0;
    for page in &pages {
        for link in page.text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let here = root().join(&page.name);
            let file = if path.is_empty() { here } else { here.parent().unwrap().join(path) };
            assert!(file.exists(), "{}: {link}", page.name);
            let target = Page {
                name: link.into(),
                text: if anchor.is_empty() { String::new() } else { fs::read_to_string(file).unwrap() },
            };
            assert!(anchor.is_empty() || target.anchors().iter().any(|one| one == anchor), "{}: {link}", page.name);
        }
    }
    assert!(seen > 10, "{seen} links");
}
