use sha2::{Digest, Sha256};
use std::{borrow::Cow, collections::HashSet};

/// Which names clients see.
///
/// `auto` keeps names short, but a name changes when a second server brings the same one; who needs names that last takes `prefixed`.
///
/// ```
/// use tower_mcp_gateway::catalog::Naming;
///
/// assert_eq!(serde_json::from_str::<Naming>(r#""prefixed""#)?, Naming::Prefixed);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Naming {
    /// The server's own; `{server}__{name}` only where two servers have one name.
    #[default]
    Auto,
    /// `{server}__{name}` for all tools and prompts.
    Prefixed,
}

/// What stands before `__` in the qualified names of each server: no two have the same.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    known: HashSet<Box<str>>,
    /// The length of the longest.
    longest: usize,
}

impl Prefixes {
    /// Those of servers that have been told apart.
    pub(super) fn of<'a>(prefixes: impl Iterator<Item = &'a str>) -> Self {
        let known: HashSet<Box<str>> = prefixes.map(Into::into).collect();
        let longest = known.iter().map(|prefix| prefix.len()).max().unwrap_or(0);
        Self { known, longest }
    }

    /// The prefix of one more server: `plain`, or that with the first number that makes it another than those there are.
    pub(super) fn distinct(&mut self, plain: &str) -> String {
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let mut candidates = std::iter::once(plain.to_owned()).chain(numbered);
        let prefix = candidates.find(|candidate| !self.known.contains(&**candidate)).expect("numbers do not end");
        self.longest = self.longest.max(prefix.len());
        self.known.insert(prefix.clone().into());
        prefix
    }

    /// Whether a name begins with a prefix that is not `own`.
    pub(crate) fn is_foreign(&self, name: &str, own: &str) -> bool {
        self.candidates(name).any(|prefix| prefix != own && self.known.contains(prefix))
    }

    /// Whether a qualified name of the server with this prefix begins with a longer one, and so is that one's.
    pub(super) fn is_of_longer(&self, name: &str, own: &str) -> bool {
        self.candidates(name).any(|prefix| prefix.len() > own.len() && self.known.contains(prefix))
    }

    /// What of a name may be a prefix: all that stands before a `__`, as far as prefixes are long. Names are the words of
    /// servers, and one of a million `_` would else be hashed once for each of them.
    fn candidates<'a>(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = name.as_bytes().windows(2).take(self.longest + 1).enumerate();
        pairs.filter(|(_, pair)| pair == b"__").map(|(at, _)| &name[..at])
    }
}

/// The longest name of a tool that the APIs of models take; the protocol itself allows 128 characters.
const MAX_NAME: usize = 64;
/// The characters of a short name that tell it from others: 48 bits, so that among ten thousand long names two are alike
/// once in five million gateways. Then the later one is hidden, as with any name that is taken.
const DIGEST: usize = 12;

/// The name of a tool as models can call it: itself, or its beginning and a digest of all of it.
///
/// It depends on the name alone, so every gateway and every start gives a tool the same one.
pub(super) fn short(name: &str) -> Cow<'_, str> {
    if name.chars().nth(MAX_NAME).is_none() {
        return Cow::Borrowed(name);
    }
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    let mut short: String = name.chars().take(MAX_NAME - DIGEST - 1).map(allowed).collect();
    short.push('_');
    for byte in &Sha256::digest(name)[..DIGEST / 2] {
        short.push_str(&format!("{byte:02x}"));
    }
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_fits_stays_and_a_short_one_is_always_the_same() {
        let fits = "é".repeat(64);
        assert_eq!(short(&fits), fits);
        let long = format!("server__{}", "a".repeat(57));
        assert_eq!(short(&long), format!("server__{}_8f25200e2a58", "a".repeat(43)));
    }

    #[test]
    fn of_a_long_name_no_more_is_looked_at_than_may_be_a_prefix() {
        let mut prefixes = Prefixes::default();
        assert_eq!([prefixes.distinct("ab"), prefixes.distinct("ab")], ["ab", "ab-2"]);
        let long = "_".repeat(1 << 20);
        assert_eq!(prefixes.candidates(&long).count(), "ab-2".len() + 1);
        assert!(!prefixes.is_foreign(&long, "ab"));
        for (name, foreign) in
            [("ab-2__x", true), ("ab__x", false), ("ab-2", false), ("é__x", false), ("ab-22__x", false)]
        {
            assert_eq!(prefixes.is_foreign(name, "ab"), foreign, "{name}");
        }
    }

    #[test]
    fn a_qualified_name_is_of_the_server_with_the_longest_prefix() {
        let prefixes = Prefixes::of(["a", "a__b"].into_iter());
        assert!(prefixes.is_of_longer("a__b__c", "a") && !prefixes.is_of_longer("a__b__c", "a__b"));
        assert!(!prefixes.is_of_longer("a__c", "a") && !prefixes.is_of_longer("a__bc__d", "a"));
    }

    proptest! {
        #[test]
        fn short_names_fit_and_tell_long_ones_apart(one in ".{65,80}", two in ".{65,80}") {
            for name in [&one, &two] {
                let short = short(name);
                prop_assert!(short.len() <= MAX_NAME);
                prop_assert!(short.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)));
            }
            prop_assert_eq!(short(&one) == short(&two), one == two);
        }
    }
}
