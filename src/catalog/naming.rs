use sha2::{Digest, Sha256};
use std::borrow::Cow;

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
pub enum Naming {
    /// The server's own; `{server}__{name}` only where two servers have one name.
    #[default]
    Auto,
    /// `{server}__{name}` for all tools and prompts.
    Prefixed,
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
