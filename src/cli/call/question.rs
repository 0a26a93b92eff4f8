mod field;
mod format;

use self::field::Field;
use super::tool::clean;
use crate::cli::client::Refused;
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, Write};

/// Puts a server's questions to whoever sits at stdin; asks on stderr, so that stdout holds the result alone.
pub(super) struct Prompt {
    tool: String,
    /// Whether anybody sits there.
    attended: bool,
}

/// What a person did with a question.
enum Said {
    Accepted(Map<String, Value>),
    Declined,
    Cancelled,
}

impl Prompt {
    pub(super) fn new(tool: &str, attended: bool) -> Self {
        Self { tool: tool.to_owned(), attended }
    }

    /// The result that answers `question`, one of the `inputRequests`; `names` are the fields of its form in their order.
    pub(super) async fn answer(&self, question: &Value, names: Vec<String>) -> Result<Value, Refused> {
        let method = question["method"].as_str().unwrap_or_default();
        if method != "elicitation/create" {
            return Err(Refused::Gone(format!("the tool asks for {method}, which a command line cannot answer")));
        }
        let (tool, params, attended) = (self.tool.clone(), question["params"].clone(), self.attended);
        // Reading stdin blocks a thread, which must not be one that serves the gateway.
        let said = tokio::task::spawn_blocking(move || {
            let question = Question { tool: &tool, params: &params, names: &names };
            ask(question, attended, &mut io::stdin().lock(), &mut io::stderr())
        });
        let said = said.await.map_err(|error| Refused::Gone(error.to_string()))??;
        Ok(match said {
            Said::Accepted(content) if question["params"]["mode"] == "url" => {
                debug_assert!(content.is_empty(), "a page has no fields");
                json!({ "action": "accept" })
            }
            Said::Accepted(content) => json!({ "action": "accept", "content": content }),
            Said::Declined => json!({ "action": "decline" }),
            Said::Cancelled => json!({ "action": "cancel" }),
        })
    }
}

/// What is asked, by which tool, with the names of its fields in their order.
struct Question<'a> {
    tool: &'a str,
    params: &'a Value,
    names: &'a [String],
}

fn ask(question: Question<'_>, attended: bool, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Said> {
    let Question { tool, params, names } = question;
    let message = clean(params["message"].as_str().unwrap_or_default());
    writeln!(to, "{tool} asks: {message}")?;
    if !attended {
        writeln!(to, "cancelled: nobody is there to answer")?;
        return Ok(Said::Cancelled);
    }
    if params["mode"] == "url" {
        let url = params["url"].as_str().unwrap_or_default().replace(char::is_control, "");
        writeln!(to, "  {url}\nOpen it in a browser if you trust it.")?;
        return confirm("Go on? [y]es, [n]o: ", from, to);
    }
    let mut fields = Field::all(&params["requestedSchema"]);
    fields.sort_by_key(|field| names.iter().position(|name| *name == field.name));
    if fields.is_empty() {
        return confirm("Accept? [y]es, [n]o: ", from, to);
    }
    writeln!(to, "  (an empty line leaves a field out, ! alone declines, ctrl-d cancels)")?;
    let mut content = Map::new();
    for field in &fields {
        loop {
            write!(to, "  {}: ", field.label())?;
            to.flush()?;
            let Some(line) = line(from)? else {
                writeln!(to)?;
                return Ok(Said::Cancelled);
            };
            match field.read(&line) {
                _ if line == "!" => return Ok(Said::Declined),
                Ok(Some(value)) => drop(content.insert(field.name.clone(), value)),
                Ok(None) => {}
                Err(remedy) => {
                    writeln!(to, "  {remedy}")?;
                    continue;
                }
            }
            break;
        }
    }
    Ok(Said::Accepted(content))
}

fn confirm(question: &str, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Said> {
    loop {
        write!(to, "{question}")?;
        to.flush()?;
        match line(from)?.as_deref().map(str::to_lowercase).as_deref() {
            None => {
                writeln!(to)?;
                return Ok(Said::Cancelled);
            }
            Some("y" | "yes") => return Ok(Said::Accepted(Map::new())),
            Some("n" | "no" | "!") => return Ok(Said::Declined),
            Some(_) => {}
        }
    }
}

/// The next line, without its end and surrounding spaces; `None` at the end of the input.
fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    Ok((from.read_line(&mut line)? > 0).then(|| line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(params: &Value, typed: &str) -> (Value, String) {
        let mut told = Vec::new();
        let question = Question { tool: "paint", params, names: &["colour".into(), "coats".into()] };
        let said = ask(question, true, &mut typed.as_bytes(), &mut told).unwrap();
        let said = match said {
            Said::Accepted(content) => content.into(),
            Said::Declined => json!("declined"),
            Said::Cancelled => json!("cancelled"),
        };
        (said, String::from_utf8(told).unwrap())
    }

    #[test]
    fn a_form_is_filled_in_field_by_field_and_a_wrong_line_is_asked_again() {
        let form = json!({ "message": "How?\u{1b}[2J", "requestedSchema": { "type": "object", "required": ["colour"], "properties": {
            "colour": { "type": "string", "enum": ["red", "blue"] },
            "coats": { "type": "integer", "default": 2 },
        } } });
        let (answer, told) = said(&form, "\ngreen\nred\nthree\n\n");
        assert_eq!(answer, json!({ "coats": 2, "colour": "red" }), "{told}");
        assert!(told.starts_with("paint asks: How? [2J\n") && told.contains("red, blue"), "{told}");
        assert_eq!(said(&form, "!\n").0, "declined");
        assert_eq!(said(&form, "red\n").0, "cancelled");
    }

    #[test]
    fn a_page_and_a_form_without_fields_are_confirmed() {
        let page = json!({ "mode": "url", "message": "Consent", "url": "https://example.com/x" });
        let (answer, told) = said(&page, "what\nY\n");
        assert_eq!(answer, json!({}));
        assert!(told.contains("https://example.com/x"), "{told}");
        assert_eq!(said(&page, "no\n").0, "declined");
        assert_eq!(said(&json!({ "message": "Sure?" }), "").0, "cancelled");
    }

    #[test]
    fn where_nobody_sits_nobody_is_asked() {
        let question = Question { tool: "t", params: &json!({ "message": "?" }), names: &[] };
        let said = ask(question, false, &mut "y\n".as_bytes(), &mut Vec::new());
        assert!(matches!(said, Ok(Said::Cancelled)));
    }
}
