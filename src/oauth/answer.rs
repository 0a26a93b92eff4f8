/// The value of a parameter in a `WWW-Authenticate` header (RFC 9110, 11.6.1): a token or a quoted string.
pub(super) fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header;
    while let Some(at) = rest.find('=') {
        let (before, after) = (&rest[..at], rest[at + 1..].trim_start());
        let name = before.trim_end().rsplit([' ', ',', '\t']).next().unwrap_or_default();
        let (value, left) = value(after);
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = left;
    }
    None
}

/// The value at the beginning of `text`, and what stands behind it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_among_others_and_in_no_ones_text() {
        let header =
            r#"Bearer realm="a, scope=\"no\"", error=invalid_token, resource_metadata="https://a/b?c=d", Scope="x y""#;
        assert_eq!(parameter(header, "resource_metadata").as_deref(), Some("https://a/b?c=d"));
        assert_eq!(parameter(header, "scope").as_deref(), Some("x y"));
        assert_eq!(parameter(header, "error").as_deref(), Some("invalid_token"));
        for header in ["", "Bearer", "=", "Bearer scope", "a=\"", "é=\"é\\"] {
            assert_eq!(parameter(header, "scope"), None, "{header}");
        }
    }
}
