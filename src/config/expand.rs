//! Variables of the environment in the strings of a configuration.

/// A part of a string.
enum Piece<'a> {
    Text(&'a str),
    Variable { name: &'a str, default: Option<&'a str> },
}

/// Replaces the variables of one string.
///
/// The error is what is wrong, in words that hold nothing of the string but the variable's name.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable { name, default } => out.push_str(&value(name, default, env)?),
        }
    }
    Ok(out)
}

/// The variables of a string that have no default; none of one that cannot be read.
#[cfg(feature = "cli")]
pub(crate) fn required(text: &str) -> Vec<&str> {
    let names = pieces(text).into_iter().flatten().filter_map(|piece| match piece {
        Piece::Variable { name, default: None } => Some(name),
        _ => None,
    });
    names.collect()
}

fn value(name: &str, default: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    env(name).or(default.map(Into::into)).ok_or_else(|| {
        format!("the environment variable `{name}` is not set: set it, or give a default as in `${{{name}:-…}}`")
    })
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([before, "${"].map(Piece::Text));
            rest = &rest[at + 2..];
            continue;
        }
        pieces.push(Piece::Text(before));
        let (inside, behind) = rest[at + 2..].split_once('}').ok_or(UNCLOSED)?;
        pieces.push(variable(inside)?);
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

const UNCLOSED: &str = "a `${` is not closed by `}`; a plain `${` is written `$${`";

fn variable(inside: &str) -> Result<Piece<'_>, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if let Some(input) = name.strip_prefix("input:") {
        return Err(format!(
            "`${{input:{input}}}` asks a person in VS Code, which a gateway cannot: set an environment variable and write its name instead"
        ));
    }
    let name = name.strip_prefix("env:").unwrap_or(name);
    let first = name.chars().next();
    if first.is_none_or(|c| c.is_ascii_digit()) || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("what stands in `${…}` is no variable name; a plain `${` is written `$${`".into());
    }
    Ok(Piece::Variable { name, default })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_defaults_and_escapes() {
        let env = |name: &str| (name == "A").then(|| "x${A}".to_owned());
        let cases = [
            ("", ""),
            ("a$b $$ $", "a$b $$ $"),
            ("${A}", "x${A}"),
            ("-${env:A}-${A}", "-x${A}-x${A}"),
            ("${B:-d}${B:-}", "d"),
            ("${A:-d}", "x${A}"),
            ("$${A}", "${A}"),
            ("é${A}é", "éx${A}é"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    #[cfg(feature = "cli")]
    fn only_what_has_no_default_is_required() {
        assert_eq!(required("${A}-${B:-x}-${env:C}-$${D}-${E:-}"), ["A", "C"]);
        assert!(required("${A} ${").is_empty());
    }

    #[test]
    fn refusals_tell_the_variable_and_nothing_else() {
        let refusal = |text| expand(text, &|_| None).unwrap_err();
        assert!(refusal("secret${B}").contains("`B` is not set"));
        assert!(refusal("${input:key}").contains("VS Code"));
        for text in ["secret${", "${}secret", "${a secret}", "${secret", "${1}"] {
            assert!(!refusal(text).contains("secret"), "{text}");
        }
    }
}
