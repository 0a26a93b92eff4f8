use super::format::Format;
use crate::cli::call::tool::clean;
use serde_json::{Value, json};
use std::fmt;

/// One field of a form that a server asks for (2026-07-28, "client/elicitation: Requested Schema").
pub(super) struct Field {
    pub(super) name: String,
    title: String,
    required: bool,
    kind: Kind,
    default: Option<Value>,
}

enum Kind {
    Text(Format),
    Number(Range),
    Integer(Range),
    Flag,
    /// Values with the titles they are shown under.
    One(Vec<(String, String)>),
    Many(Vec<(String, String)>),
}

/// The least and the greatest number that will do.
#[derive(Clone, Copy)]
struct Range(Option<f64>, Option<f64>);

impl Field {
    /// The fields of a schema, in alphabetical order; those of a kind the protocol does not have are text.
    pub(super) fn all(schema: &Value) -> Vec<Self> {
        let required =
            |name: &String| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let fields = schema["properties"].as_object().into_iter().flatten();
        fields
            .map(|(name, field)| {
                let words = ["title", "description"].iter().filter_map(|member| field[member].as_str());
                let title = words.map(|word| clean(word).replace('\n', " ")).collect::<Vec<_>>().join(", ");
                let default = field.get("default").filter(|default| !default.is_null()).cloned();
                Self { name: name.clone(), title, required: required(name), kind: Kind::of(field), default }
            })
            .collect()
    }

    /// What stands before the cursor.
    pub(super) fn label(&self) -> String {
        let mut notes = vec![self.kind.wanted()];
        match &self.default {
            Some(default) => notes.push(format!("default {}", self.kind.shown(default))),
            None if !self.required => notes.push("optional".to_owned()),
            None => {}
        }
        let name = clean(&self.name);
        let title = if self.title.is_empty() { name } else { format!("{name}: {}", self.title) };
        format!("{title} ({})", notes.join("; "))
    }

    /// The value that a line means; `None` leaves the field out.
    pub(super) fn read(&self, line: &str) -> Result<Option<Value>, String> {
        if line.is_empty() {
            return match &self.default {
                Some(default) => Ok(Some(default.clone())),
                None if self.required => Err("this one is required".into()),
                None => Ok(None),
            };
        }
        let value = match &self.kind {
            Kind::Text(format) => format.fits(line).then(|| json!(line)),
            Kind::Number(range) => {
                line.parse().ok().filter(|number| range.holds(*number)).map(|number: f64| json!(number))
            }
            Kind::Integer(range) => {
                line.parse().ok().filter(|number: &i64| range.holds(*number as f64)).map(|number| json!(number))
            }
            Kind::Flag => match line.to_lowercase().as_str() {
                "y" | "yes" | "true" => Some(json!(true)),
                "n" | "no" | "false" => Some(json!(false)),
                _ => None,
            },
            Kind::One(choices) => choice(choices, line).map(|value| json!(value)),
            Kind::Many(choices) => {
                let chosen: Option<Vec<_>> = line.split(',').map(|word| choice(choices, word.trim())).collect();
                chosen.map(|values| json!(values))
            }
        };
        value.map(Some).ok_or_else(|| format!("`{line}` will not do: it must be {}", self.kind.wanted()))
    }
}

impl Kind {
    fn of(field: &Value) -> Self {
        if let Some(choices) = choices(field) {
            return Self::One(choices);
        }
        match field["type"].as_str() {
            Some("number") => Self::Number(Range::of(field)),
            Some("integer") => Self::Integer(Range::of(field)),
            Some("boolean") => Self::Flag,
            Some("array") => choices(&field["items"]).map_or(Self::Text(Format::Any), Self::Many),
            _ => Self::Text(Format::of(field["format"].as_str())),
        }
    }

    /// What may be typed.
    fn wanted(&self) -> String {
        match self {
            Self::Text(format) => format.wanted().to_owned(),
            Self::Number(range) => format!("a number{range}"),
            Self::Integer(range) => format!("a whole number{range}"),
            Self::Flag => "yes or no".to_owned(),
            Self::One(choices) => format!("one of {}", titles(choices)),
            Self::Many(choices) => format!("any of {}, with commas between", titles(choices)),
        }
    }

    /// A value in the words in which it would be typed.
    fn shown(&self, value: &Value) -> String {
        match (self, value) {
            (Self::One(choices) | Self::Many(choices), Value::String(value)) => {
                let title = choices.iter().find(|(known, _)| known == value).map_or(value, |(_, title)| title);
                clean(title)
            }
            (_, Value::String(text)) => clean(text),
            (_, Value::Array(values)) => values.iter().map(|value| self.shown(value)).collect::<Vec<_>>().join(", "),
            (_, Value::Bool(is_set)) => if *is_set { "yes" } else { "no" }.to_owned(),
            (_, other) => other.to_string(),
        }
    }
}

impl Range {
    fn of(field: &Value) -> Self {
        Self(field["minimum"].as_f64(), field["maximum"].as_f64())
    }

    fn holds(self, number: f64) -> bool {
        number.is_finite() && self.0.is_none_or(|least| number >= least) && self.1.is_none_or(|most| number <= most)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(least), Some(most)) => write!(f, " from {least} to {most}"),
            Self(Some(least), None) => write!(f, " from {least} on"),
            Self(None, Some(most)) => write!(f, " up to {most}"),
            Self(None, None) => Ok(()),
        }
    }
}

/// The values of `enum` (with `enumNames`), or of titled constants.
fn choices(field: &Value) -> Option<Vec<(String, String)>> {
    if let Some(values) = field["enum"].as_array() {
        let title = |at: usize, value: &str| field["enumNames"][at].as_str().unwrap_or(value).to_owned();
        let named = values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| Some((value.as_str()?.to_owned(), title(at, value.as_str()?))));
        return Some(named.collect());
    }
    let titled = field["oneOf"].as_array().or_else(|| field["anyOf"].as_array())?;
    let one = |choice: &Value| {
        let value = choice["const"].as_str()?;
        Some((value.to_owned(), choice["title"].as_str().unwrap_or(value).to_owned()))
    };
    Some(titled.iter().filter_map(one).collect())
}

fn titles(choices: &[(String, String)]) -> String {
    choices.iter().map(|(_, title)| clean(title)).collect::<Vec<_>>().join(", ")
}

/// The value that is meant by itself or by its title.
fn choice(choices: &[(String, String)], word: &str) -> Option<String> {
    let meant = |text: &String| text.eq_ignore_ascii_case(word);
    choices.iter().find(|(value, title)| meant(value) || meant(title)).map(|(value, _)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_field_is_read() {
        let read = |field: Value, line: &str| {
            let schema = json!({ "properties": { "f": field }, "required": ["f"] });
            Field::all(&schema)[0].read(line).ok()
        };
        let titled = json!([{ "const": "r", "title": "Red" }, { "const": "b", "title": "Blue" }]);
        for (field, line, value) in [
            (json!({ "type": "string" }), "x", Some(json!("x"))),
            (json!({ "type": "string", "default": "d" }), "", Some(json!("d"))),
            (json!({ "type": "string" }), "", None),
            (json!({ "type": "number" }), "1.5", Some(json!(1.5))),
            (json!({ "type": "number" }), "NaN", None),
            (json!({ "type": "number", "minimum": 1, "maximum": 9.5 }), "9.6", None),
            (json!({ "type": "integer" }), "1.5", None),
            (json!({ "type": "integer", "minimum": 1 }), "0", None),
            (json!({ "type": "string", "format": "email" }), "nobody", None),
            (json!({ "type": "boolean" }), "Yes", Some(json!(true))),
            (json!({ "type": "boolean" }), "perhaps", None),
            (json!({ "enum": ["r"], "enumNames": ["Red"] }), "red", Some(json!("r"))),
            (json!({ "oneOf": titled }), "Blue", Some(json!("b"))),
            (json!({ "oneOf": titled }), "green", None),
            (json!({ "type": "array", "items": { "anyOf": titled } }), "red, b", Some(json!(["r", "b"]))),
        ] {
            assert_eq!(read(field.clone(), line).map(Option::unwrap), value, "{field} {line:?}");
        }
    }
    #[test]
    fn what_will_do_is_said_before_and_after_and_defaults_in_the_same_words() {
        let label = |field: Value| Field::all(&json!({ "properties": { "f": field } }))[0].label();
        let titled = json!([{ "const": "r", "title": "Red" }, { "const": "b", "title": "Blue" }]);
        for (field, said) in [
            (json!({ "oneOf": titled, "default": "b" }), "f (one of Red, Blue; default Blue)"),
            (
                json!({ "type": "array", "items": { "anyOf": titled }, "default": ["r", "b"] }),
                "f (any of Red, Blue, with commas between; default Red, Blue)",
            ),
            (json!({ "type": "boolean", "default": true }), "f (yes or no; default yes)"),
            (json!({ "type": "integer", "minimum": 1, "maximum": 9 }), "f (a whole number from 1 to 9; optional)"),
            (json!({ "type": "string", "format": "date" }), "f (a date such as 2026-07-28; optional)"),
        ] {
            assert_eq!(label(field), said);
        }
        let field = json!({ "properties": { "f": { "type": "number", "maximum": 9, "description": "Long to read" } } });
        assert_eq!(Field::all(&field)[0].read("10").unwrap_err(), "`10` will not do: it must be a number up to 9");
    }
}
