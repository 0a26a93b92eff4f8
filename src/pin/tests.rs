use super::{Fingerprint, Pins, Prints};
use crate::json::Json;

fn print(description: &str) -> Fingerprint {
    Fingerprint::of(&Json::parse(format!(r#"{{"name":"a","description":"{description}"}}"#)).unwrap())
}

fn list<const N: usize>(tools: [(&str, &str); N]) -> Prints {
    tools.map(|(name, description)| (name.into(), print(description))).into()
}

#[test]
fn each_field_counts_and_nothing_else_does() {
    let tool = |text: &'static str| Fingerprint::of(&Json::from_static(text));
    let plain = tool(r#"{"name":"a","inputSchema":{"type":"object"}}"#);
    for field in Fingerprint::FIELDS {
        let text = format!(r#"{{"name":"a","inputSchema":{{"type":"object"}},"{field}":{{}}}}"#);
        let text = if field == "inputSchema" { r#"{"name":"a","inputSchema":{}}"#.into() } else { text };
        assert_eq!(plain.differences(&Fingerprint::of(&Json::parse(text).unwrap())), [field]);
    }
    assert_eq!(plain, tool(r#"{"_meta":{"t":1},"inputSchema":{"type":"object"},"icons":[],"name":"b"}"#));
    let escaped = tool(r#"{"name":"a","inputSchema":{"type":"object"},"descr\u0069ption":"x"}"#);
    assert_eq!(plain.differences(&escaped), ["description"], "another spelling of a key is the key");
}

#[test]
fn of_two_members_of_one_name_neither_hides_a_change() {
    let tool = |text: &'static str| Fingerprint::of(&Json::from_static(text));
    let seen = tool(r#"{"name":"a","description":"good"}"#);
    for text in [
        r#"{"name":"a","description":"good","description":"evil"}"#,
        r#"{"name":"a","description":"evil","description":"good"}"#,
        r#"{"name":"a","x":1,"x":2,"description":"good"}"#,
    ] {
        assert_ne!(seen, tool(text), "{text}");
    }
}

#[test]
fn what_is_first_seen_is_pinned_and_a_change_stands_until_it_is_accepted() {
    let pins = Pins::default();
    let review = |lists: &[Prints]| pins.review("s", lists);
    assert_eq!(review(&[list([("a", "1"), ("b", "1")])])[0].same, [true, true]);
    let changed = &review(&[list([("b", "1"), ("a", "2")])])[0];
    assert_eq!(changed.same, [true, false]);
    assert_eq!((&*changed.changes[0].tool, &changed.changes[0].fields[..]), ("a", &["description"][..]));
    assert!(review(&[list([("a", "1")])])[0].changes.is_empty(), "as it was");
    assert!(pins.changed().is_empty());
    review(&[list([("a", "2")])]);
    assert!(pins.accept("s", |one| &*one.tool == "b").is_empty() && pins.accept("t", |_| true).is_empty());
    let changes: Vec<_> = pins.changed().into_iter().map(|(_, change)| change).collect();
    assert_eq!(pins.accept("s", |_| true), changes);
    assert!(review(&[list([("a", "2")])])[0].changes.is_empty());
    assert_eq!(review(&[list([("a", "1")])])[0].same, [false], "the old one is a change now");
}

#[test]
fn what_was_looked_at_is_accepted_and_nothing_that_came_later() {
    let pins = Pins::default();
    for words in ["1", "2"] {
        pins.review("s", &[list([("a", words)])]);
    }
    let (_, looked_at) = pins.changed().remove(0);
    pins.review("s", &[list([("a", "3")])]);
    assert!(pins.accept("s", |one| *one == looked_at).is_empty());
    assert_eq!(pins.review("s", &[list([("a", "3")])])[0].same, [false]);
    pins.review("s", &[list([("a", "2")])]);
    assert_eq!(pins.accept("s", |one| *one == looked_at), [looked_at]);
    assert_eq!(pins.review("s", &[list([("a", "2")])])[0].same, [true]);
}

#[test]
fn a_tool_that_leaves_and_comes_back_is_compared_with_what_it_was() {
    let pins = Pins::default();
    pins.review("s", &[list([("a", "1")])]);
    pins.review("s", &[list([])]);
    assert_eq!(pins.review("s", &[list([("a", "2")])])[0].same, [false]);
    assert_eq!(pins.review("t", &[list([("a", "2")])])[0].same, [true], "of another server it is another tool");
}

#[test]
fn replicas_are_compared_with_one_pin_and_a_name_that_stands_twice_each_time() {
    let pins = Pins::default();
    let lists = [list([("a", "1"), ("a", "2")]), list([("a", "3")]), list([("a", "1")])];
    let reviews = pins.review("s", &lists);
    assert_eq!(
        reviews.iter().map(|review| review.same.clone()).collect::<Vec<_>>(),
        [vec![true, false], vec![false], vec![true]]
    );
    let before = pins.to_json();
    pins.review("s", &lists);
    assert_eq!(pins.to_json(), before, "the same again is no news");
}

#[test]
fn what_is_kept_is_read_again_and_others_may_have_accepted() {
    let (pins, news) = (Pins::default(), |pins: &Pins| *pins.news().borrow());
    pins.review("s", &[list([("a", "1")])]);
    pins.review("s", &[list([("a", "2")])]);
    assert_eq!(news(&pins), 2);
    let other = Pins::from_json(&pins.to_json()).unwrap();
    assert_eq!(other.changed(), pins.changed());
    other.review("s", &[list([("a", "2"), ("b", "1")])]);
    other.accept("s", |_| true);
    let accepted = pins.accepted();
    pins.take_over(&other.to_json()).unwrap();
    assert!(accepted.has_changed().unwrap());
    assert_eq!(pins.review("s", &[list([("a", "2"), ("b", "2")])])[0].same, [true, false]);
}

#[test]
fn what_holds_no_pins_is_refused_and_changes_nothing() {
    let pins = Pins::default();
    pins.review("s", &[list([("a", "1")])]);
    let before = pins.to_json();
    for text in [
        "",
        "null",
        "[]",
        r#"{"servers":7}"#,
        r#"{"servers":{"s":{"a":{}}}}"#,
        r#"{"servers":{"s":{"a":{"pinned":{"description":"short"}}}}}"#,
        r#"{"servers":{"s":{"a":{"pinned":{"icons":"x"}}}}}"#,
        r#"{"server":{}}"#,
        "\u{0}\u{1}",
    ] {
        assert!(pins.take_over(text.as_bytes()).is_err(), "{text}");
        assert!(Pins::from_json(text.as_bytes()).is_err(), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(pins.take_over(deep.as_bytes()).is_err());
    assert_eq!(pins.to_json(), before);
}

#[test]
fn a_server_that_makes_up_names_for_ever_meets_an_end() {
    let pins = Pins::default();
    let names = |from: usize| -> Prints {
        (from..from + Pins::MAX_TOOLS).map(|n| (n.to_string().into(), Fingerprint::default())).collect()
    };
    assert_eq!(pins.review("s", &[names(0)])[0].beyond, 0);
    let review = &pins.review("s", &[names(10)])[0];
    assert_eq!((review.beyond, review.same.iter().filter(|same| !**same).count()), (10, 10));
    assert_eq!(pins.review("t", &[names(0)])[0].beyond, 0, "another server has its own");
}
