use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstNode, CstObject, CstRootNode},
};
use std::fmt;

const BOM: char = '\u{feff}';

/// JSON with comments and trailing commas that is edited in place: all that an edit does not concern stays as it is, byte
/// for byte.
pub(in crate::cli) struct Document {
    bom: bool,
    root: CstRootNode,
}

/// A file that cannot be edited as it stands.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Document {
    /// Reads the text of a file; the empty text, and comments alone, are an object that is still to be written.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, Unusable> {
        // What JSON5 has besides is a mistake here: no program that reads these files takes it.
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let (bom, body) = text.strip_prefix(BOM).map_or((false, text), |body| (true, body));
        let root = CstRootNode::parse(body, &options).map_err(|error| Unusable(format!("it is no JSON: {error}")))?;
        Ok(Self { bom, root })
    }

    /// The text as it stands now.
    pub(in crate::cli) fn text(&self) -> String {
        let bom = if self.bom { BOM.to_string() } else { String::new() };
        format!("{bom}{}", self.root)
    }

    /// The entries of the object at `path`, in their order; none where there is no such object.
    pub(in crate::cli) fn entries(&self, path: &[&str]) -> Vec<(String, CstInputValue)> {
        let mut object = self.root.object_value();
        for key in path {
            object = object.and_then(|object| object.object_value(key));
        }
        let members = object.map(|object| members(&object)).unwrap_or_default();
        members.into_iter().filter(|(_, value)| matches!(value, CstInputValue::Object(_))).collect()
    }

    /// The entry `name` of the object `key`.
    pub(in crate::cli) fn get(&self, key: &str, name: &str) -> Option<CstInputValue> {
        value(&self.root.object_value()?.object_value(key)?.get(name)?.value()?)
    }

    /// Writes the entry `name` into the object `key`, in place of one of that name, else behind the others.
    pub(in crate::cli) fn set(&self, key: &str, name: &str, entry: CstInputValue) -> Result<(), Unusable> {
        let object =
            self.root.object_value_or_create().ok_or_else(|| Unusable("it holds no object in `{ }`".into()))?;
        let entries = self::object(&object, key)?;
        match entries.get(name) {
            Some(there) => there.set_value(entry),
            None => drop(entries.append(name, entry)),
        }
        Ok(())
    }

    /// Takes the entry `name` out of the object `key`; `false` if there is none.
    pub(in crate::cli) fn remove(&self, key: &str, name: &str) -> bool {
        let entries = self.root.object_value().and_then(|object| object.object_value(key));
        let Some(entry) = entries.and_then(|entries| entries.get(name)) else { return false };
        entry.remove();
        true
    }
}

/// The object `key` of `object`, made if it is missing.
fn object(object: &CstObject, key: &str) -> Result<CstObject, Unusable> {
    let same = object.properties().iter().filter(|member| member.decoded_name().as_deref() == Some(key)).count();
    if same > 1 {
        return Err(Unusable(format!("`{key}` stands in it {same} times: leave one of them")));
    }
    object.object_value_or_create(key).ok_or_else(|| Unusable(format!("`{key}` in it is no object in `{{ }}`")))
}

fn members(object: &CstObject) -> Vec<(String, CstInputValue)> {
    let member = |member: jsonc_parser::cst::CstObjectProp| Some((member.decoded_name()?, value(&member.value()?)?));
    object.properties().into_iter().filter_map(member).collect()
}

/// A value without its comments, its members in their order.
fn value(node: &CstNode) -> Option<CstInputValue> {
    if let Some(object) = node.as_object() {
        return Some(CstInputValue::Object(members(&object)));
    }
    if let Some(array) = node.as_array() {
        return Some(CstInputValue::Array(array.elements().iter().filter_map(value).collect()));
    }
    if let Some(text) = node.as_string_lit() {
        return text.decoded_value().ok().map(CstInputValue::String);
    }
    if let Some(flag) = node.as_boolean_lit() {
        return Some(CstInputValue::Bool(flag.value()));
    }
    if let Some(number) = node.as_number_lit() {
        return Some(CstInputValue::Number(number.to_string()));
    }
    node.as_null_keyword().map(|_| CstInputValue::Null)
}

/// Whether two values are the same but for the order of members.
pub(in crate::cli) fn same(one: &CstInputValue, other: &CstInputValue) -> bool {
    use CstInputValue::{Array, Bool, Null, Number, Object, String};
    match (one, other) {
        (Null, Null) => true,
        (Bool(one), Bool(other)) => one == other,
        (Number(one), Number(other)) | (String(one), String(other)) => one == other,
        (Array(one), Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Object(one), Object(other)) => {
            let twin = |(key, value): &(std::string::String, CstInputValue)| {
                other.iter().any(|(other_key, other)| key == other_key && same(value, other))
            };
            one.len() == other.len() && one.iter().all(twin)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> CstInputValue {
        CstInputValue::Object(vec![("command".into(), "gateway".into())])
    }

    #[test]
    fn what_an_edit_does_not_concern_stays_byte_for_byte() {
        for (text, expected) in [
            (
                "{\n  // one\n  \"mcpServers\": {\n    \"my.files\": { \"command\": \"x\" }, // last\n  },\n}\n",
                "{\n  // one\n  \"mcpServers\": {\n    \"my.files\": { \"command\": \"x\" }, // last\n    \"a.b\": {\n      \
                 \"command\": \"gateway\",\n    },\n  },\n}\n",
            ),
            (
                "\u{feff}{\r\n\t\"mcpServers\": {\r\n\t\t\"x\": {}\r\n\t}\r\n}",
                "\u{feff}{\r\n\t\"mcpServers\": {\r\n\t\t\"x\": {},\r\n\t\t\"a.b\": {\r\n\t\t\t\"command\": \
                 \"gateway\"\r\n\t\t}\r\n\t}\r\n}",
            ),
            ("", "{\n  \"mcpServers\": {\n    \"a.b\": {\n      \"command\": \"gateway\"\n    }\n  }\n}\n"),
        ] {
            let document = Document::parse(text).unwrap();
            document.set("mcpServers", "a.b", entry()).unwrap();
            assert_eq!(document.text(), expected);
            assert!(same(&document.get("mcpServers", "a.b").unwrap(), &entry()));
            document.set("mcpServers", "a.b", entry()).unwrap();
            assert_eq!(document.text(), expected, "written twice");
            assert!(document.remove("mcpServers", "a.b") && !document.remove("mcpServers", "a.b"));
            assert!(document.text() == text || text.is_empty(), "{}", document.text());
        }
    }

    #[test]
    fn a_file_that_is_not_understood_is_not_edited() {
        for text in ["{", "{'a': 1}", "{a: 1}", "{\"a\" 1}", "{} {}", "{\"a\": 0x1}"] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
        let set = |text: &str| Document::parse(text).unwrap().set("mcpServers", "x", entry()).unwrap_err().to_string();
        assert_eq!(set("[]"), "it holds no object in `{ }`");
        assert_eq!(set("{\"mcpServers\": []}"), "`mcpServers` in it is no object in `{ }`");
        assert!(set("{\"mcpServers\": {}, \"mcpServers\": {}}").contains("stands in it 2 times"));
    }
}
