use std::fmt;

/// A pattern over names, as shells have them: `*` is any text, also none; `?` is one character; the rest is itself.
///
/// One writes `read_*` once in place of the thirty names it stands for, and a tool that a server adds later is covered
/// as well. Upper and lower case differ, as they do in names of tools.
///
/// ```
/// use tower_mcp_gateway::Glob;
///
/// let reads = Glob::new("read_*");
/// assert!(reads.matches("read_file") && reads.matches("read_") && !reads.matches("spread_file"));
/// assert_eq!(reads.exact(), None);
/// assert_eq!(Glob::new("search").exact(), Some("search"));
/// ```
///
/// # Caveats
///
/// There is no escape: a name that itself contains `*` or `?` can only be met by a pattern.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(Box<str>);

impl Glob {
    /// The pattern `text`; every text is one.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Whether it stands for `name`.
    ///
    /// It takes at most the product of the two lengths, however many stars there are.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Where the latest star stands, and how much of the name is left if it takes none of it.
        let mut star = None;
        loop {
            let found = rest.clone();
            match (pattern.next(), rest.next()) {
                (Some('*'), _) => {
                    star = Some((pattern.clone(), found.clone()));
                    rest = found;
                }
                (None, None) => return true,
                (Some(wanted), Some(got)) if wanted == '?' || wanted == got => {}
                _ => {
                    // The star takes one character more.
                    let Some((behind, taken)) = &mut star else { return false };
                    if taken.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (behind.clone(), taken.clone());
                }
            }
        }
    }

    /// The one name it stands for, if it has neither `*` nor `?`.
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(&self.0)
    }

    /// Whether one of `patterns` is this name, to the letter.
    pub(crate) fn any_is(patterns: &[Self], name: &str) -> bool {
        patterns.iter().any(|pattern| pattern.exact() == Some(name))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by recursion.
    fn slow(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => slow(rest, name) || !name.is_empty() && slow(pattern, &name[1..]),
            (['?', p @ ..], [_, n @ ..]) => slow(p, n),
            ([a, p @ ..], [b, n @ ..]) => a == b && slow(p, n),
            _ => false,
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        let pattern = Glob::new("*a".repeat(60) + "b");
        assert!(!pattern.matches(&"a".repeat(2000)));
    }

    proptest! {
        #[test]
        fn it_is_its_definition(pattern in "[aé*?]{0,7}", name in "[aéb*]{0,7}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&*pattern).matches(&name), slow(&chars(&pattern), &chars(&name)));
        }
    }
}
