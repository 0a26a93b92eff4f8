use crate::cli::table;
use serde_json::{Value, value::RawValue};
use std::fmt::Write;

/// What is shown of a tool.
pub(super) struct Tool {
    pub(super) name: String,
    title: Option<String>,
    description: Option<String>,
    schema: Value,
    /// Its arguments, in their order.
    arguments: Vec<String>,
}

impl Tool {
    pub(super) fn read(json: &RawValue) -> Option<Self> {
        let value: Value = serde_json::from_str(json.get()).ok()?;
        let text = |member: &str| value[member].as_str().map(str::to_owned);
        let (name, title, description) = (text("name")?, text("title"), text("description"));
        let arguments = super::names(json, &["inputSchema", "properties"]);
        Some(Self { name, title, description, schema: value["inputSchema"].clone(), arguments })
    }

    /// The first line of its description.
    fn summary(&self) -> String {
        const LONGEST: usize = 90;
        let described = self.description.as_deref().or(self.title.as_deref()).unwrap_or_default();
        let line = described.trim().lines().next().unwrap_or_default();
        match line.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", line[..end].trim_end()),
            None => line.to_owned(),
        }
    }

    /// All of it that a person needs to call it.
    pub(super) fn in_full(&self) -> String {
        let mut out = self.name.clone();
        for text in [&self.title, &self.description].into_iter().flatten() {
            let _ = write!(out, "\n\n{}", clean(text.trim()));
        }
        out.push_str("\n\nArguments:\n");
        if self.arguments.is_empty() {
            out.push_str("none\n");
            return out;
        }
        let required = |name: &str| {
            let listed = self.schema["required"].as_array();
            listed.is_some_and(|listed| listed.iter().any(|field| field == name))
        };
        let rows: Vec<_> = self
            .arguments
            .iter()
            .map(|name| {
                let field = &self.schema["properties"][name];
                let need = if required(name) { "required" } else { "" };
                let description = field["description"].as_str().unwrap_or_default();
                vec![name.clone(), kind(field), need.to_owned(), description.to_owned()]
            })
            .collect();
        out + &table::render(&["NAME", "TYPE", "", "MEANING"], &rows)
    }
}

/// Text of a server without what would move a terminal's cursor.
pub(super) fn clean(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', " ")
}

fn kind(field: &Value) -> String {
    if let Some(words) = field["enum"].as_array() {
        return words.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    match &field["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "),
        _ => "any".into(),
    }
}

pub(super) fn as_table(tools: &[Tool]) -> String {
    if tools.is_empty() {
        return "There are no tools.\n".into();
    }
    let rows: Vec<_> = tools.iter().map(|tool| vec![tool.name.clone(), tool.summary()]).collect();
    table::render(&["TOOL", "WHAT IT DOES"], &rows)
}

pub(super) fn as_json(tools: &[Box<RawValue>]) -> String {
    let all: Vec<_> = tools.iter().map(|tool| tool.get()).collect();
    format!("[{}]\n", all.join(","))
}
