use super::{
    node::Shape,
    reader::{Field, Object, Reader},
};
use crate::auth::{AuthLayer, Token, error::InvalidToken};
use std::{fs::File, io::Read, path::Path};

const FIELDS: &[&str] = if cfg!(feature = "oauth") { &["tokens", "oauth"] } else { &["tokens"] };
const TOKEN: &[&str] = &["name", "sha256", "token", "file"];
/// The three ways to say which token it is.
const SECRETS: &[&str] = &["sha256", "token", "file"];

/// Reads `auth`: who may come in.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<AuthLayer> {
    if matches!(field.node.shape(), Some(Shape::String(_))) {
        return reader.word(field, &["none"]).map(|_| AuthLayer::none());
    }
    let before = reader.mistakes.len();
    let object = reader.object(field, FIELDS, |_| None)?;
    let tokens = object.get("tokens").map(|field| tokens(reader, field)).unwrap_or_default();
    if object.present(FIELDS).is_empty() && reader.mistakes.len() == before {
        reader.wrong(field, "lets nobody in: add `tokens` or `oauth`, or write `\"none\"` to let everybody in");
    }
    let layer = tokens.into_iter().fold(AuthLayer::required(), AuthLayer::token);
    #[cfg(feature = "oauth")]
    if let Some(oauth) = object.get("oauth").and_then(|field| super::oauth::read(reader, field)) {
        return Some(layer.oauth(oauth));
    }
    Some(layer)
}

fn tokens(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<Token> {
    let Some(items) = reader.list(field) else { return Vec::new() };
    if items.is_empty() {
        reader.wrong(field, "is empty: `tower-mcp-gateway token --name ci` prints an entry");
    }
    if items.len() > AuthLayer::MAX_TOKENS {
        reader.wrong(field, format!("holds more than {} tokens", AuthLayer::MAX_TOKENS));
        return Vec::new();
    }
    items.iter().filter_map(|item| token(reader, item)).collect()
}

fn token(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Token> {
    let object = reader.object(field, TOKEN, |_| None)?;
    let name = match object.get("name") {
        Some(field) => reader.text(field),
        None => {
            reader.missing(&object, "name", "whose token it is");
            None
        }
    };
    let secret = secret(reader, &object)?;
    match secret {
        Secret::Digest(field, digest) => made(reader, field, Token::from_sha256(name?, &digest)),
        Secret::Plain(field, secret) => made(reader, field, Token::new(name?, &secret)),
    }
}

enum Secret<'a, 'b> {
    Digest(&'b Field<'a>, String),
    Plain(&'b Field<'a>, String),
}

fn secret<'a, 'b>(reader: &mut Reader<'_>, object: &'b Object<'a>) -> Option<Secret<'a, 'b>> {
    let [kind] = object.present(SECRETS)[..] else {
        reader.missing(object, "sha256", "write exactly one of `sha256`, `token` and `file`");
        return None;
    };
    let field = object.get(kind)?;
    let text = reader.text(field)?;
    match kind {
        "sha256" => Some(Secret::Digest(field, text)),
        "token" => Some(Secret::Plain(field, text)),
        _ => match content(&reader.path(&text)) {
            Ok(secret) => Some(Secret::Plain(field, secret)),
            Err(reason) => {
                // What was written is not repeated: it may be the token itself.
                let remedy = match reader.folder {
                    Some(_) if Path::new(&text).is_relative() => {
                        "; the path is relative to the folder of the configuration"
                    }
                    _ => "",
                };
                reader.wrong(field, format!("cannot be read: {reason}{remedy}"));
                None
            }
        },
    }
}

fn content(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(Token::MAX_BYTES as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// What is wrong with a token is told without any of it.
fn made(reader: &mut Reader<'_>, field: &Field<'_>, token: Result<Token, InvalidToken>) -> Option<Token> {
    token
        .map_err(|invalid| {
            let remedy = match invalid {
                InvalidToken::Short => {
                    "must have at least 32 characters: `tower-mcp-gateway token` prints a good one".into()
                }
                invalid => invalid.to_string(),
            };
            reader.wrong(field, remedy);
        })
        .ok()
}
