//! What an operator says of a server's tools: which of them there are, under which names, and how they may be called.
//!
//! A [`Toolset`] belongs to a server name, so to all replicas of it. Its patterns are over the names that the *server*
//! uses. It is asked when a routing table is built, for each tool once; a call sees only what came of it.
//!
//! ```
//! use std::time::Duration;
//! use tower_mcp_gateway::{Glob, toolset::{ToolSettings, Toolset}};
//!
//! let mut renamed = ToolSettings::default();
//! renamed.rename = Some("find".into());
//! let mut slow = ToolSettings::default();
//! slow.request_timeout = Some(Duration::from_secs(120));
//! let tools = Toolset::default()
//!     .allow([Glob::new("search*"), Glob::new("re_index")])
//!     .tool(Glob::new("search"), renamed)
//!     .tool(Glob::new("*"), slow);
//!
//! let search = tools.of("search").expect("allowed");
//! assert_eq!((search.rename.as_deref(), search.request_timeout), (Some("find"), Some(Duration::from_secs(120))));
//! assert!(tools.of("drop_index").is_none(), "it does not exist");
//! ```
//!
//! # Which settings a tool gets
//!
//! Each field by itself: from the entry that is exactly the tool's name, else from the first pattern that matches and has
//! the field.
//!
//! A tool that is denied, not allowed or hidden does not exist: it is not listed, and a call of it goes nowhere, by
//! whatever name. Of a renamed one the same holds for its old name.
//!
//! # Names the server does not list
//!
//! A server may answer to more names than it lists: a gateway answers to each of its tools under its own name, behind that of its
//! server, and in a shorter form. No pattern over one of them says anything of the others. So where tools are taken away one by
//! one (a denied, a hidden or a changed one) or have a rate or a bound of calls in flight, the server is asked for nothing that it
//! does not list, unless `allow` has that name to the letter. Rates and bounds are kept for what is listed, so a name that has one
//! is not asked for even then.

mod settings;

pub use self::settings::ToolSettings;
use crate::{Glob, catalog::Item};
use std::{collections::HashSet, time::Duration};

/// Which tools of a server there are, and how they may be called; see the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolset {
    /// `None`: all. An empty list is one, of nothing.
    allow: Option<Vec<Glob>>,
    deny: Vec<Glob>,
    tools: Vec<(Glob, ToolSettings)>,
    /// Names that are no matter of patterns: tools that changed and are not accepted.
    withheld: HashSet<Box<str>>,
}

impl Toolset {
    /// Only tools that one of these matches.
    #[must_use]
    pub fn allow(mut self, patterns: impl IntoIterator<Item = Glob>) -> Self {
        self.allow = Some(patterns.into_iter().collect());
        self
    }

    /// No tool that one of these matches, also where it is allowed.
    #[must_use]
    pub fn deny(mut self, patterns: impl IntoIterator<Item = Glob>) -> Self {
        self.deny = patterns.into_iter().collect();
        self
    }

    /// Adds settings for the tools that `pattern` matches.
    #[must_use]
    pub fn tool(mut self, pattern: Glob, settings: ToolSettings) -> Self {
        self.tools.push((pattern, settings));
        self
    }

    /// The same without these tools.
    pub(crate) fn without(&self, withheld: HashSet<Box<str>>) -> Self {
        Self { withheld, ..self.clone() }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The settings of the tool that the server calls `name`; `None` if it shall not exist.
    pub fn of(&self, name: &str) -> Option<ToolSettings> {
        if !self.admits(name) {
            return None;
        }
        let exact = self.tools.iter().filter(|(pattern, _)| pattern.exact() == Some(name));
        let patterns = self.tools.iter().filter(|(pattern, _)| pattern.exact().is_none() && pattern.matches(name));
        let settings = exact.chain(patterns).fold(ToolSettings::default(), |sum, (_, more)| sum.or(more));
        (!settings.hidden.unwrap_or(false)).then_some(settings)
    }

    /// Whether a call of a tool that nobody lists may go to the server under this name: not if the operator took the
    /// name away, be it from all clients or by a renaming, or bounds its calls, nor where it may be another name of a tool of
    /// which that is so.
    ///
    /// No pattern is held against a name that is too long to be a tool's.
    pub(crate) fn reaches(&self, name: &str) -> bool {
        if self.is_empty() {
            return true;
        }
        let may_be_another = self.takes_away() && !self.allow.as_deref().is_some_and(|allow| Glob::any_is(allow, name));
        name.len() <= Item::MAX_NAME
            && !may_be_another
            && self.of(name).is_some_and(|settings| settings.rename.is_none() && !settings.is_bounded())
    }

    /// Whether there are tools that do not exist, or that may not be called at will, while all others do and may.
    fn takes_away(&self) -> bool {
        let takes = |(_, settings): &(Glob, ToolSettings)| settings.hidden == Some(true) || settings.is_bounded();
        !self.deny.is_empty() || !self.withheld.is_empty() || self.tools.iter().any(takes)
    }

    /// The longest of its timeouts.
    pub(crate) fn longest_timeout(&self) -> Option<Duration> {
        self.tools.iter().filter_map(|(_, settings)| settings.request_timeout).max()
    }

    fn admits(&self, name: &str) -> bool {
        let any = |patterns: &[Glob]| patterns.iter().any(|pattern| pattern.matches(name));
        self.allow.as_deref().is_none_or(any) && !any(&self.deny) && !self.withheld.contains(name)
    }

    /// The patterns that match none of these names, each with its field: most likely they are misspelt.
    pub(crate) fn idle<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'static str, &'a Glob)> {
        let allow = self.allow.iter().flatten().map(|pattern| ("allow", pattern));
        let deny = self.deny.iter().map(|pattern| ("deny", pattern));
        let tools = self.tools.iter().map(|(pattern, _)| ("toolSettings", pattern));
        let idle = |pattern: &Glob| !names.iter().any(|name| pattern.matches(name));
        allow.chain(deny).chain(tools).filter(move |(_, pattern)| idle(pattern))
    }

    /// The fields in which `other` differs, by their names in the file.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let same = [
            ("allow", self.allow == other.allow),
            ("deny", self.deny == other.deny),
            ("toolSettings", self.tools == other.tools),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(name: &str) -> ToolSettings {
        ToolSettings { rename: Some(name.into()), ..ToolSettings::default() }
    }

    fn described(text: &str) -> ToolSettings {
        ToolSettings { description: Some(text.into()), ..ToolSettings::default() }
    }

    #[test]
    fn the_exact_name_comes_first_then_the_patterns_in_order() {
        let tools = Toolset::default()
            .tool(Glob::new("*"), described("any"))
            .tool(Glob::new("s*"), ToolSettings { max_in_flight: Some(2), ..described("s") })
            .tool(Glob::new("search"), renamed("find"));
        let search = tools.of("search").unwrap();
        assert_eq!((search.rename.as_deref(), search.description.as_deref()), (Some("find"), Some("any")));
        assert_eq!(search.max_in_flight, Some(2));
        assert_eq!(tools.of("other").unwrap(), described("any"));
    }

    #[test]
    fn deny_wins_and_an_empty_allow_list_allows_nothing() {
        let glob = |text: &str| Glob::new(text);
        let tools = Toolset::default().allow([glob("read_*")]).deny([glob("*_secret")]);
        let exists = ["read_file", "read_secret", "write_file"].map(|name| tools.of(name).is_some());
        assert_eq!(exists, [true, false, false]);
        assert!(Toolset::default().allow([]).of("any").is_none());
    }

    #[test]
    fn where_tools_are_taken_away_only_names_that_are_allowed_to_the_letter_reach_unlisted_ones() {
        let hidden = ToolSettings { hidden: Some(true), ..ToolSettings::default() };
        let shown = ToolSettings { hidden: Some(false), ..ToolSettings::default() };
        let any = Toolset::default().allow([Glob::new("*"), Glob::new("unlisted")]);
        for tools in [
            any.clone().deny([Glob::new("delete_*")]),
            any.clone().tool(Glob::new("delete_*"), hidden),
            any.clone().without(HashSet::from(["delete_file".into()])),
        ] {
            assert!(tools.reaches("unlisted"));
            // As a gateway behind this one may call what is taken away, in front of the server's name or in short.
            for name in ["delete_file", "files__delete_file", "inner__files__delete_file", "dele-0f3a", "other"] {
                assert!(!tools.reaches(name), "{name}: {tools:?}");
            }
            assert!(!Toolset { allow: None, ..tools }.reaches("unlisted"));
        }
        let bounded = ToolSettings { max_in_flight: Some(1), ..ToolSettings::default() };
        let rated = ToolSettings { rate: Some("1/h".parse().unwrap()), ..ToolSettings::default() };
        for settings in [bounded, rated] {
            let one = any.clone().tool(Glob::new("search"), settings.clone());
            assert!(!one.reaches("search") && !one.reaches("inner__search") && one.reaches("unlisted"));
            assert!(!any.clone().tool(Glob::new("*"), settings).reaches("unlisted"), "nothing would count its calls");
        }
        let denied = any.clone().deny([Glob::new("unlisted")]);
        assert!(!denied.reaches("unlisted"), "`deny` wins");
        for tools in [any.clone(), Toolset::default().tool(Glob::new("delete_*"), shown)] {
            assert!(tools.reaches("files__delete_file"));
        }
        assert!(!Toolset::default().allow([Glob::new("read_*")]).reaches("files__read_file"));
        let long = "_".repeat(Item::MAX_NAME);
        assert!(any.reaches(&long) && !any.reaches(&(long + "_")));
    }

    #[test]
    fn one_may_be_shown_again_by_its_name() {
        let hidden = |hidden| ToolSettings { hidden: Some(hidden), ..ToolSettings::default() };
        let tools = Toolset::default().tool(Glob::new("*"), hidden(true)).tool(Glob::new("a"), hidden(false));
        assert!(tools.of("a").is_some() && tools.of("b").is_none());
        let tools = Toolset::default().tool(Glob::new("a"), renamed("b"));
        assert!(!tools.reaches("a") && tools.reaches("c"));
    }
}
