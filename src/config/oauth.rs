use super::reader::{Field, Object, Reader};
use crate::auth::{Algorithm, OAuth, error::InvalidOAuth};

const FIELDS: &[&str] = &["issuer", "resource", "audience", "jwksUri", "scopes", "algorithms"];

/// Reads `auth.oauth`: whose access tokens let in.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<OAuth> {
    let object = reader.object(field, FIELDS, |_| None)?;
    let issuer =
        needed(reader, &object, "issuer", "the URL of the authorization server, as its tokens have it in `iss`");
    let resource = needed(reader, &object, "resource", "the URL under which clients know this gateway");
    let mut oauth = match OAuth::new(&issuer?, &resource?) {
        Ok(oauth) => oauth,
        Err(invalid) => {
            let at = if invalid == InvalidOAuth::Issuer { "issuer" } else { "resource" };
            reader.wrong(object.get(at)?, invalid.to_string());
            return None;
        }
    };
    if let Some(audience) = object.get("audience").and_then(|field| reader.text(field)) {
        oauth = oauth.audience(audience);
    }
    if let Some(field) = object.get("jwksUri") {
        let uri = reader.text(field)?;
        oauth = oauth.jwks_uri(&uri).map_err(|invalid| reader.wrong(field, invalid.to_string())).ok()?;
    }
    for item in object.get("scopes").and_then(|field| reader.list(field)).unwrap_or_default() {
        let scope = reader.text(&item)?;
        oauth = oauth.scope(&scope).map_err(|invalid| reader.wrong(&item, invalid.to_string())).ok()?;
    }
    let Some(field) = object.get("algorithms") else { return Some(oauth) };
    let names = Algorithm::ALL.map(Algorithm::as_str);
    let mut algorithms = Vec::new();
    for item in reader.list(field)? {
        let name = reader.word(&item, &names)?;
        algorithms.extend(Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name));
    }
    if algorithms.is_empty() {
        reader.wrong(field, "is empty: leave it out to allow all that have a public key");
    }
    Some(oauth.algorithms(algorithms))
}

fn needed(reader: &mut Reader<'_>, object: &Object<'_>, key: &str, remedy: &str) -> Option<String> {
    match object.get(key) {
        Some(field) => reader.text(field),
        None => {
            reader.missing(object, key, remedy);
            None
        }
    }
}
