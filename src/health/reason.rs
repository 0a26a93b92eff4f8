use crate::error::causes;
use std::error::Error;

/// The longest reason that is kept, in bytes: a server may put anything of any length into an error.
const LONGEST: usize = 512;

/// Why an endpoint is ill, for its operator: the error with its causes. A command that was not found is a cause, and
/// "the server cannot be reached" alone would send people to look at the network.
pub(super) fn reason(error: &(dyn Error + 'static)) -> Box<str> {
    let mut text = causes(error);
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxError, upstream::error::Connect};

    #[test]
    fn the_cause_is_told_and_nothing_endless() {
        let missing = Connect("cannot start \"x\": the command was not found".into());
        assert_eq!(&*reason(&missing), "the server cannot be reached: cannot start \"x\": the command was not found");
        let long = BoxError::from("ä".repeat(10_000));
        let reason = reason(&*long);
        assert!(reason.len() <= LONGEST + '…'.len_utf8() && reason.ends_with('…'));
    }
}
