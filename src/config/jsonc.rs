/// A comment that is opened and never closed, by the byte it begins at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclosed(pub(super) usize);

/// Turns JSON with comments and trailing commas into JSON of the same length: what JSON does not have becomes spaces,
/// so that every line and column an error names is that of the file.
pub(super) fn blank(text: &str) -> Result<String, Unclosed> {
    let mut out = text.as_bytes().to_vec();
    if text.starts_with('\u{feff}') {
        out[..3].fill(b' ');
    }
    // The comma that turns out to be a trailing one if a bracket closes next.
    let mut comma = None;
    // Whether anything stands before that comma: `[,]` is no trailing comma.
    let mut value = false;
    let mut at = 0;
    while at < out.len() {
        let start = at;
        match out[at] {
            b'"' => at = end_of_string(&out, at + 1),
            b'/' if out.get(at + 1) == Some(&b'/') => {
                at += out[at..].iter().position(|&byte| byte == b'\n').unwrap_or(out.len() - at);
                out[start..at].fill(b' ');
                continue;
            }
            b'/' if out.get(at + 1) == Some(&b'*') => {
                let end = memchr::memmem::find(&out[at + 2..], b"*/").ok_or(Unclosed(start))?;
                at += end + 4;
                out[start..at].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
                continue;
            }
            b',' => {
                comma = value.then_some(at);
                (value, at) = (false, at + 1);
                continue;
            }
            byte @ (b'}' | b']' | b'{' | b'[') => {
                let closes = matches!(byte, b'}' | b']');
                if let (true, Some(trailing)) = (closes, comma) {
                    out[trailing] = b' ';
                }
                (comma, value, at) = (None, closes, at + 1);
                continue;
            }
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            _ => at += 1,
        }
        (comma, value) = (None, true);
    }
    Ok(String::from_utf8(out).expect("only whole characters were replaced, by spaces"))
}

/// The index behind the quote that ends the string whose content starts at `at`; the end of an unterminated one.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += step;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_become_spaces() {
        let same = |text: &str, expected: &str| assert_eq!(blank(text).as_deref(), Ok(expected), "{text}");
        same("[1,2] // é", "[1,2]      ");
        same("[1,/*\n,*/]", "[1   \n   ]");
        same("{\"a\":1 , }", "{\"a\":1   }");
        same("\u{feff}{}", "   {}");
        same("[[1,],]", "[[1 ] ]");
    }

    #[test]
    fn strings_and_faulty_commas_stay() {
        for text in [r#"["//", "/*", ",]", "\",]"]"#, "[,]", "[1,,]x", "{,}", "\"abc", "\"abc\\", "1 / 2", "[1,2]"] {
            let kept = text.replace(",,]x", ", ]x");
            assert_eq!(blank(text).unwrap(), if text == "[1,,]x" { text.to_owned() } else { kept });
        }
        assert_eq!(blank("[1] /* x"), Err(Unclosed(4)));
        assert_eq!(blank("/*/"), Err(Unclosed(0)));
    }

    #[test]
    fn length_and_lines_never_change() {
        use proptest::prelude::*;
        proptest!(|(text in "[\\[\\]{},:/*\"\\\\\n aé1]{0,40}")| {
            if let Ok(blanked) = blank(&text) {
                prop_assert_eq!(blanked.len(), text.len());
                prop_assert_eq!(blanked.matches('\n').count(), text.matches('\n').count());
            }
        });
    }
}
