use super::tool::clean;
use serde_json::Value;
use std::fmt::Write;

/// A result of a tool as text: what is text as it is, of anything else what it is.
pub(super) fn text(result: &Value) -> String {
    let mut out = String::new();
    for block in result["content"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "{}", clean(self::block(block).trim_end_matches('\n')));
    }
    // Whatever has a text of its own says the same there.
    if let (true, Some(structured)) = (out.is_empty(), result.get("structuredContent")) {
        let _ = writeln!(out, "{structured:#}");
    }
    out
}

fn block(block: &Value) -> String {
    let word = |member: &str| block[member].as_str().unwrap_or_default();
    match word("type") {
        "text" => word("text").to_owned(),
        kind @ ("image" | "audio") => format!("[{kind}, {}, {} bytes]", word("mimeType"), decoded(word("data"))),
        "resource_link" => format!("[resource {} {}]", word("name"), word("uri")),
        "resource" => {
            let resource = &block["resource"];
            let uri = resource["uri"].as_str().unwrap_or_default();
            match (resource["text"].as_str(), resource["blob"].as_str()) {
                (Some(text), _) => format!("[resource {uri}]\n{text}"),
                (_, Some(blob)) => format!("[resource {uri}, {} bytes]", decoded(blob)),
                _ => format!("[resource {uri}]"),
            }
        }
        _ => block.to_string(),
    }
}

/// How many bytes a base64 text stands for.
fn decoded(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_content_is_told() {
        let result = json!({ "content": [
            { "type": "text", "text": "a\u{1b}[2J\nb\n" },
            { "type": "image", "mimeType": "image/png", "data": "AAAAAA==" },
            { "type": "resource_link", "name": "notes", "uri": "file:///n" },
            { "type": "resource", "resource": { "uri": "file:///t", "text": "inside" } },
            { "type": "new" },
        ], "structuredContent": { "a": 1 } });
        let expected = "a [2J\nb\n[image, image/png, 4 bytes]\n[resource notes file:///n]\n[resource file:///t]\ninside\n{\"type\":\"new\"}\n";
        assert_eq!(text(&result), expected);
        assert_eq!(text(&json!({ "structuredContent": { "a": 1 } })), "{\n  \"a\": 1\n}\n");
        assert_eq!(text(&json!({ "content": [] })), "");
    }
}
