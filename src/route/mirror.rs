//! Arguments that a client repeats in headers (2026-07-28, "streamable-http: Custom Headers").

use crate::{
    Call, ParamHeaders,
    error::Problem,
    json::{Json, object},
    param_headers::{decoded, mismatch},
};
use http::HeaderName;

/// One argument with the header that repeats it, as the schema of a tool says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// `mcp-param-…`
    pub(crate) header: HeaderName,
    /// The names that lead from the arguments to it.
    pub(crate) path: Box<[Box<str>]>,
}

impl Mirror {
    /// Refuses a call in which the two differ, one of them missing included.
    ///
    /// A value that is neither text nor number nor truth cannot be repeated: without a header it passes, and the server
    /// finds it at odds with its schema.
    #[inline(never)]
    pub(super) fn check(&self, call: &Call) -> Result<(), Problem> {
        let name = &self.header;
        let header = call.extensions.get::<ParamHeaders>().map_or(Ok(None), |headers| headers.single(name))?;
        let value = self.value(call)?.filter(|value| value.as_str() != "null");
        match (header, value) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(mismatch(format!("the header {name} repeats an argument that is not there"))),
            (None, Some(value)) if value.as_bytes().starts_with(b"{") || value.as_bytes().starts_with(b"[") => Ok(()),
            (None, Some(_)) => Err(mismatch(format!("the header {name} is missing"))),
            (Some(header), Some(value)) => {
                let text = decoded(header).ok_or_else(|| mismatch(format!("the header {name} is not encoded text")))?;
                match says(&text, &value) {
                    true => Ok(()),
                    false => Err(mismatch(format!("the header {name} is not what the argument says"))),
                }
            }
        }
    }

    /// The argument; `None` if it is not there. What stands twice is refused: the server could read the other one.
    fn value(&self, call: &Call) -> Result<Option<Json>, Problem> {
        let mut at = call.params.member("arguments");
        for name in &self.path {
            at = match at {
                Some(object) if object.as_bytes().starts_with(b"{") => {
                    let malformed = |_| mismatch("an argument stands twice");
                    object::get(object.as_bytes(), name).map_err(malformed)?
                }
                _ => None,
            };
        }
        Ok(at)
    }
}

/// Whether the text of a header says what `value` does: numbers by their value, everything else letter by letter.
fn says(text: &str, value: &Json) -> bool {
    match value.as_bytes().first() {
        Some(b'"') => value.read::<String>().is_ok_and(|value| value == text),
        Some(b't' | b'f') => value.as_str() == text,
        Some(b'-' | b'0'..=b'9') => {
            Decimal::read(text).is_some_and(|number| Decimal::read(value.as_str()) == Some(number))
        }
        _ => false,
    }
}

/// A number of JSON, exactly: floats would make neighbours above 2⁵³ equal, and a header could name one of them while
/// the argument names the other.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        // One grammar for both sides: no plus sign, no leading zeros, no other bases, no infinities.
        serde_json::from_str::<&serde_json::value::RawValue>(text).ok().filter(|raw| raw.get() == text)?;
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        if !rest.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let short = all.trim_end_matches('0');
        let moved = i64::try_from(fraction.len()).ok()? - i64::try_from(all.len() - short.len()).ok()?;
        let digits = short.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        Some(Self { negative, digits, exponent: exponent.parse::<i64>().ok()?.checked_sub(moved)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_compared_by_their_value_and_all_else_by_its_letters() {
        let says = |text: &str, value: &str| says(text, &Json::parse(value.to_owned()).unwrap());
        for (text, value) in [
            ("eu", r#""eu""#),
            ("é", r#""\u00e9""#),
            ("42", r#""42""#),
            ("42", "42"),
            ("42.0", "42"),
            ("42", "4.2e1"),
            ("4200", "42e+2"),
            ("-1", "-1"),
            ("-0", "0"),
            ("0", "0.0"),
            ("9007199254740993", "9007199254740993"),
            ("true", "true"),
            ("false", "false"),
        ] {
            assert!(says(text, value), "{text} {value}");
        }
        for (text, value) in [
            ("EU", r#""eu""#),
            ("42", r#""42.0""#),
            ("042", "42"),
            ("+42", "42"),
            ("0x2a", "42"),
            ("42 ", "42"),
            ("", "0"),
            ("\"42\"", "42"),
            ("42", "-42"),
            ("9007199254740993", "9007199254740992"),
            ("1e99999999999999999999", "1"),
            ("True", "true"),
            ("1", "true"),
            ("true", "false"),
            ("{}", "{}"),
        ] {
            assert!(!says(text, value), "{text} {value}");
        }
    }

    proptest! {
        #[test]
        fn an_integer_has_one_value_however_it_is_written(number in any::<i64>(), zeros in 0usize..4) {
            let plain = number.to_string();
            let value = Json::parse(plain.clone()).unwrap();
            let pointed = format!("{plain}.{}", "0".repeat(zeros + 1));
            let scaled = format!("{plain}{}e-{zeros}", if number == 0 { String::new() } else { "0".repeat(zeros) });
            for text in [&plain, &pointed, &scaled] {
                prop_assert!(says(text, &value), "{}", text);
            }
            prop_assert!(!says(&number.wrapping_add(1).to_string(), &value));
        }
    }
}
