/// Replaces the variables of one string.
///
/// The error is what is wrong, in words that hold nothing of the string but the variable's name.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        rest = &rest[at + 2..];
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            continue;
        }
        out.push_str(before);
        let end = rest.find('}').ok_or("a `${` is not closed by `}`; a plain `${` is written `$${`")?;
        out.push_str(&variable(&rest[..end], env)?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
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
    env(name).or(default.map(Into::into)).ok_or_else(|| {
        format!("the environment variable `{name}` is not set: set it, or give a default as in `${{{name}:-…}}`")
    })
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
    fn refusals_tell_the_variable_and_nothing_else() {
        let refusal = |text| expand(text, &|_| None).unwrap_err();
        assert!(refusal("secret${B}").contains("`B` is not set"));
        assert!(refusal("${input:key}").contains("VS Code"));
        for text in ["secret${", "${}secret", "${a secret}", "${secret", "${1}"] {
            assert!(!refusal(text).contains("secret"), "{text}");
        }
    }
}
