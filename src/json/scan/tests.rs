use super::*;
use proptest::prelude::*;
use serde_json::{Value, value::RawValue};

fn check(text: &[u8]) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(text);
    scanner.value()?;
    scanner.end()
}

#[test]
fn what_serde_refuses_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "]",
        "{]",
        "[}",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "[1 2]",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "nul",
        "truefalse",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "NaN",
        "Infinity",
        "{\"a\":}",
        "'a'",
    ] {
        assert!(serde_json::from_str::<&RawValue>(text).is_err(), "{text}");
        assert!(check(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn invalid_utf8_is_found_wherever_it_stands() {
    for lead in 0..80 {
        let text = [b"\"", "a".repeat(lead).as_bytes(), b"\xff\""].concat();
        assert!(matches!(check(&text).unwrap_err().fault(), Fault::Utf8 { offset } if *offset == lead + 1));
    }
    assert!(check(b"\"a\"\xff").is_err());
    assert!(check("\"\u{10348}é\"".as_bytes()).is_ok());
}

#[test]
fn digits_are_counted_up_to_whatever_is_none() {
    for byte in 0..=u8::MAX {
        for at in 0..8 {
            let mut text = *b"01234567";
            text[at] = byte;
            let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            assert_eq!(leading_digits(text), digits, "{byte:#x} at {at}");
        }
    }
    for length in 1..30 {
        assert!(check("9".repeat(length).as_bytes()).is_ok());
        assert!(check(format!("[{}]", "9".repeat(length)).as_bytes()).is_ok());
    }
}

#[test]
fn a_fault_says_where_it_is_and_what_should_stand_there() {
    let fault = |text: &str| check(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(fault("{\"a\" 1}"), "expected a colon at byte 5");
    assert_eq!(fault("[1"), "expected a comma or a closing bracket at byte 2");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[a-e\n\t]{90,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn it_agrees_with_serde_about_texts_with_one_byte_changed(value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert!(check(&text).is_ok());
        let at = at.index(text.len());
        text[at] = byte;
        let theirs = std::str::from_utf8(&text).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok());
        prop_assert_eq!(check(&text).is_ok(), theirs);
    }
}
