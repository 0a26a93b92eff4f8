use std::fmt;

/// A resource's URI template, as far as routing needs it: does this URI match?
///
/// RFC 6570 says how templates expand, not how they match. Real servers declare `file:///{path}` and serve deep paths
/// under it, so a variable matches more than its own expansion could produce:
///
/// | expression | matches |
/// |---|---|
/// | `{x}` `{x,y}` `{x:3}` `{x*}` `{+x}` | any text that is not empty, slashes included |
/// | `{/x}` `{.x}` `{;x}` `{?x}` `{&x}` `{#x}` | nothing, or the operator and any text after it |
///
/// Two servers whose templates match one URI are asked in order, so a match too many costs a question, while one too
/// few would hide a resource.
///
/// The cost of a match is at most the length of the template times that of the URI, and both are bounded: no template
/// and no URI makes it explode, as a regular expression could.
///
/// ```
/// use tower_mcp_gateway::route::Template;
///
/// let files = Template::new("file:///{path}");
/// assert!(files.matches("file:///etc/hosts") && !files.matches("http:///etc/hosts"));
/// let search = Template::new("search://{index}/items{?q,page}");
/// assert!(search.matches("search://books/items?q=tower") && search.matches("search://books/items"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// At least one byte.
    Text,
    /// Nothing, or this byte and whatever follows.
    After(u8),
}

impl Template {
    /// The longest URI that is matched against templates; a longer one matches none.
    pub const MAX_URI: usize = 8 << 10;
    /// The longest template that matches anything.
    pub const MAX_TEMPLATE: usize = 2 << 10;

    /// Takes a template. Braces that do not pair are taken as text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        let mut parts = Vec::new();
        let mut rest = &*text;
        while let Some((literal, expression, after)) = next_expression(rest) {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            parts.push(match expression.as_bytes().first() {
                Some(&operator @ (b'/' | b'.' | b';' | b'?' | b'&' | b'#')) => Part::After(operator),
                _ => Part::Text,
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        Self { text, parts }
    }

    /// The template as the server wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it costs to hold `uri` against this template, counted in bytes that are looked at.
    pub(super) fn steps(&self, uri: &str) -> usize {
        match self.parts.first() {
            Some(Part::Literal(prefix)) if !uri.starts_with(&**prefix) => 1,
            _ => 1 + self.parts.len() * uri.len().min(Self::MAX_URI),
        }
    }

    /// Whether `uri` could come from this template.
    pub fn matches(&self, uri: &str) -> bool {
        let uri = uri.as_bytes();
        if let Some(Part::Literal(prefix)) = self.parts.first()
            && !uri.starts_with(prefix.as_bytes())
        {
            return false;
        }
        if uri.len() > Self::MAX_URI || self.text.len() > Self::MAX_TEMPLATE {
            return false;
        }
        // `here[i]`: the parts so far can account for exactly the first `i` bytes.
        let mut here = vec![false; uri.len() + 1];
        here[0] = true;
        for part in &self.parts {
            here = part.step(uri, &here);
        }
        here[uri.len()]
    }
}

impl Part {
    fn step(&self, uri: &[u8], here: &[bool]) -> Vec<bool> {
        let mut next = vec![false; here.len()];
        match self {
            Part::Literal(text) => {
                for (at, _) in here.iter().enumerate().filter(|(_, reached)| **reached) {
                    if uri[at..].starts_with(text.as_bytes()) {
                        next[at + text.len()] = true;
                    }
                }
            }
            Part::Text => {
                if let Some(first) = here.iter().position(|reached| *reached) {
                    next[first + 1..].fill(true);
                }
            }
            Part::After(operator) => {
                next.copy_from_slice(here);
                let first = (0..uri.len()).find(|&at| here[at] && uri[at] == *operator);
                if let Some(first) = first {
                    next[first + 1..].fill(true);
                }
            }
        }
        next
    }
}

/// The text before the next `{…}`, what stands in it, and the text after it.
fn next_expression(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find('{')?;
    let close = open + text[open..].find('}')?;
    Some((&text[..open], &text[open + 1..close], &text[close + 1..]))
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates_of_real_servers_match_what_they_serve() {
        for (template, matching, other) in [
            (
                "file:///{path}",
                &["file:///a.txt", "file:///a/b/c.txt", "file:///%C3%A9"][..],
                &["file:///", "file://"][..],
            ),
            ("file:///{+path}", &["file:///a/b"], &["files:///a", "file:///"]),
            ("demo://{id}/text", &["demo://7/text"], &["demo:///text", "demo://7/texts"]),
            ("a://b{/x}", &["a://b", "a://b/", "a://b/c/d"], &["a://bc", "a://"][..]),
            ("a://b{?q,r}", &["a://b", "a://b?q=1&r=2"], &["a://b&q", "a://bq"]),
            ("a://{x}{?q}{#f}", &["a://x", "a://x?q=1#f", "a://x#f"], &["a://", "b://x"]),
            ("a://{x}.{y:3}{.z*}", &["a://m.n", "a://m.n.o"], &["a://m", "a://m."]),
            ("plain://text", &["plain://text"], &["plain://text2", "plain://tex"]),
            ("odd://{open", &["odd://{open"], &["odd://x"]),
            ("odd://}close", &["odd://}close"], &["odd://x"]),
            ("{whole}", &["x", "file:///y"], &[""]),
        ] {
            let parsed = Template::new(template);
            assert_eq!(parsed.as_str(), template);
            for uri in matching {
                assert!(parsed.matches(uri), "{template} should match {uri}");
            }
            for uri in other {
                assert!(!parsed.matches(uri), "{template} should not match {uri}");
            }
        }
    }

    #[test]
    fn the_longest_uri_and_the_worst_template_still_end() {
        let template = Template::new("{x}a".repeat(Template::MAX_TEMPLATE / 4));
        assert!(template.matches(&"a".repeat(Template::MAX_URI)));
        assert!(!template.matches(&format!("{}b", "a".repeat(Template::MAX_URI - 1))));
        assert!(!Template::new("{x}").matches(&"a".repeat(Template::MAX_URI + 1)));
        assert!(!Template::new("{x}".repeat(Template::MAX_TEMPLATE)).matches("abc"));
    }

    proptest! {
        #[test]
        fn an_expansion_matches_its_template(
            parts in prop::collection::vec(("[a-z:/]{0,4}", "[a-z]{1,3}", "[A-Za-z0-9/?.é%]{1,6}"), 0..6),
            end in "[a-z/]{0,4}",
        ) {
            let template: String = parts.iter().map(|(text, name, _)| format!("{text}{{{name}}}")).collect();
            let expanded: String = parts.iter().map(|(text, _, value)| format!("{text}{value}")).collect();
            let (template, uri) = (Template::new(template + &end), expanded + &end);
            prop_assert!(template.matches(&uri), "{:?} {}", template, uri);
        }

        #[test]
        fn no_text_is_too_odd_to_be_a_template(text in ".*", uri in ".*") {
            let template = Template::new(text.clone());
            template.matches(&uri);
            if !text.contains('{') {
                prop_assert_eq!(template.matches(&uri), text == uri);
            }
        }
    }
}
