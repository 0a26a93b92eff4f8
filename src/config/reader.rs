use super::{
    error::Mistake,
    expand::expand,
    node::{Member, Node, Shape},
};
use crate::nearest::nearest;
use std::{
    collections::HashSet,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// Reads fields and collects what is wrong with them, so that one run tells every mistake of a file.
///
/// Each method answers `None` where it noted a mistake.
pub(super) struct Reader<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    /// The folder of the file; `None` of a text that is in none.
    pub(super) folder: Option<&'e Path>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) notes: Vec<String>,
}

/// A value and the path that leads to it.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) path: String,
    pub(super) node: Node<'a>,
}

impl Field<'_> {
    /// Whether nothing stands in it.
    pub(super) fn is_empty(&self) -> bool {
        match self.node.shape() {
            Some(Shape::Null) | None => true,
            Some(Shape::String(text)) => text.is_empty(),
            Some(Shape::List(items)) => items.is_empty(),
            Some(Shape::Object(members)) => members.is_empty(),
            Some(Shape::Bool(_) | Shape::Number(_)) => false,
        }
    }
}

/// An object whose field names have been checked.
pub(super) struct Object<'a> {
    path: String,
    line: usize,
    members: Vec<(String, Field<'a>)>,
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&Field<'a>> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, field)| field)
    }

    /// Those of `keys` that are there.
    pub(super) fn present(&self, keys: &[&'static str]) -> Vec<&'static str> {
        keys.iter().copied().filter(|key| self.get(key).is_some()).collect()
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

impl<'e> Reader<'e> {
    pub(super) fn new(env: &'e dyn Fn(&str) -> Option<String>, folder: Option<&'e Path>) -> Self {
        Self { env, folder, mistakes: Vec::new(), notes: Vec::new() }
    }

    /// Notes that `field` has a wrong value.
    pub(super) fn wrong(&mut self, field: &Field<'_>, reason: impl Into<String>) {
        self.at(field.path.clone(), field.node.line, reason);
    }

    /// A variable of the environment.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// The file that `text` names: a relative path begins at the folder of the configuration, from wherever the program was
    /// started.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder.map_or_else(|| text.into(), |folder| folder.join(text))
    }

    /// Notes that `object` lacks `key`.
    pub(super) fn missing(&mut self, object: &Object<'_>, key: &str, remedy: &str) {
        self.at(join(&object.path, key), object.line, format!("is missing: {remedy}"));
    }

    fn at(&mut self, field: String, line: usize, reason: impl Into<String>) {
        let mistake = Mistake { field, line, reason: reason.into(), unknown: false };
        // A weight is read by itself and once more as part of the metadata.
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// An object of known fields. Any other is a mistake; `hint` may know better than the closest name what to do then.
    pub(super) fn object<'a>(
        &mut self,
        field: &Field<'a>,
        known: &[&str],
        hint: impl Fn(&str) -> Option<&'static str>,
    ) -> Option<Object<'a>> {
        let members = self.members(field)?;
        let mut object = Object { path: field.path.clone(), line: field.node.line, members: Vec::new() };
        for Member { key, line, value } in members {
            let path = join(&field.path, &key);
            if known.contains(&key.as_str()) {
                object.members.push((key, Field { path, node: value }));
                continue;
            }
            let reason = match (hint(&key), nearest(&key, known)) {
                (Some(hint), _) => hint.to_owned(),
                (None, Some(name)) => format!("did you mean `{name}`?"),
                (None, None) => format!("the fields known here are {}", list(known)),
            };
            self.mistakes.push(Mistake { field: path, line, reason, unknown: true });
        }
        Some(object)
    }

    /// The members of an object whose keys are free.
    pub(super) fn map<'a>(&mut self, field: &Field<'a>) -> Option<Vec<(String, Field<'a>)>> {
        let members = self.members(field)?.into_iter();
        let path = |key: &str| join(&field.path, key);
        Some(members.map(|Member { key, value, .. }| (key.clone(), Field { path: path(&key), node: value })).collect())
    }

    /// The members of an object, of which no two have one name.
    fn members<'a>(&mut self, field: &Field<'a>) -> Option<Vec<Member<'a>>> {
        let Some(Shape::Object(mut members)) = field.node.shape() else {
            self.mistype(field, "an object in `{ }`");
            return None;
        };
        let mut seen = HashSet::new();
        members.retain(|Member { key, line, .. }| {
            let new = seen.insert(key.clone());
            if !new {
                self.at(join(&field.path, key), *line, "stands here a second time: remove one of the two");
            }
            new
        });
        Some(members)
    }

    pub(super) fn list<'a>(&mut self, field: &Field<'a>) -> Option<Vec<Field<'a>>> {
        let Some(Shape::List(items)) = field.node.shape() else {
            self.mistype(field, "a list in `[ ]`");
            return None;
        };
        let path = |n| format!("{}[{n}]", field.path);
        Some(items.into_iter().enumerate().map(|(n, node)| Field { path: path(n), node }).collect())
    }

    /// A string, its variables replaced.
    pub(super) fn string(&mut self, field: &Field<'_>) -> Option<String> {
        let Some(Shape::String(text)) = field.node.shape() else {
            self.mistype(field, "a string in quotes");
            return None;
        };
        match expand(&text, self.env) {
            Ok(text) if text.contains('\0') => {
                self.wrong(field, "must not contain the character NUL");
                None
            }
            Ok(text) => Some(text),
            Err(reason) => {
                self.wrong(field, reason);
                None
            }
        }
    }

    /// A string that is not blank.
    pub(super) fn text(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.string(field)?;
        if text.trim().is_empty() {
            self.wrong(field, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// One of `words`, by its place among them.
    pub(super) fn word(&mut self, field: &Field<'_>, words: &[&'static str]) -> Option<&'static str> {
        let text = self.string(field)?;
        let found = words.iter().copied().find(|word| *word == text);
        if found.is_none() {
            let remedy = match nearest(&text, words) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("must be one of {}", list(words)),
            };
            // What a variable held is not repeated: it may have been the wrong variable.
            let Some(Shape::String(written)) = field.node.shape() else { return None };
            self.wrong(field, format!("unknown value `{written}`: {remedy}"));
        }
        found
    }

    pub(super) fn flag(&mut self, field: &Field<'_>) -> Option<bool> {
        match field.node.shape() {
            Some(Shape::Bool(flag)) => Some(flag),
            _ => {
                self.mistype(field, "`true` or `false`");
                None
            }
        }
    }

    /// A whole number, or a string that is one after a variable in it was replaced.
    pub(super) fn integer(&mut self, field: &Field<'_>, range: RangeInclusive<u64>, unit: &str) -> Option<u64> {
        let number = match field.node.shape() {
            Some(Shape::Number(text)) => text.parse().ok(),
            Some(Shape::String(text)) if text.contains("${") => self.string(field)?.trim().parse().ok(),
            _ => {
                self.mistype(field, "a number without quotes");
                return None;
            }
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(field, format!("must be a whole number from {} to {}{unit}", range.start(), range.end()));
        }
        number
    }

    /// Any value, the variables in its strings replaced.
    pub(super) fn json(&mut self, field: &Field<'_>) -> Option<serde_json::Value> {
        use serde_json::Value;
        match field.node.shape()? {
            Shape::String(_) => self.string(field).map(Value::String),
            Shape::List(_) => {
                let items = self.list(field)?;
                items.iter().map(|item| self.json(item)).collect::<Option<_>>().map(Value::Array)
            }
            Shape::Object(_) => {
                let members = self.map(field)?;
                let member = |(key, value): (String, Field<'_>)| Some((key, self.json(&value)?));
                members.into_iter().map(member).collect::<Option<_>>().map(Value::Object)
            }
            _ => match serde_json::from_str(field.node.text) {
                Ok(value) => Some(value),
                Err(_) => {
                    self.wrong(field, "is a number too large to keep");
                    None
                }
            },
        }
    }

    /// Notes that `field` is of another type than `expected`.
    pub(super) fn mistype(&mut self, field: &Field<'_>, expected: &str) {
        let found = match field.node.shape() {
            None => "text with half a surrogate pair",
            Some(Shape::Null) => "null",
            Some(Shape::Bool(_)) => "a boolean",
            Some(Shape::Number(_)) => "a number",
            Some(Shape::String(_)) => "a string",
            Some(Shape::List(_)) => "a list",
            Some(Shape::Object(_)) => "an object",
        };
        self.wrong(field, format!("must be {expected}, not {found}"));
    }
}

/// `path.key`, or `path["key"]` where the key would not be readable as part of a path.
fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_$".contains(c));
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{key:?}]"),
    }
}

/// `a`, `b` and `c`, each in quotes.
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
