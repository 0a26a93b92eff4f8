use super::verify::Key;
use crate::{BoxError, oauth::once};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use std::time::Duration;

/// How long one document may take, connection included: who waits for it is a client.
const TIME: Duration = Duration::from_secs(5);
/// The largest document: a set of a hundred keys with their certificates is smaller.
const MAX_BYTES: usize = 256 << 10;
/// The most keys that are kept; issuers have two to ten.
const MAX_KEYS: usize = 64;

/// Fetches the keys of an issuer.
pub(super) struct Fetch {
    issuer: Box<str>,
    jwks_uri: Option<Uri>,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

impl Fetch {
    pub(super) fn new(issuer: &str, jwks_uri: Option<Uri>) -> Self {
        Self { issuer: issuer.into(), jwks_uri }
    }

    /// The keys that can have signed a token; those of kinds that are not known are left out.
    pub(super) async fn keys(&self) -> Result<Vec<Key>, String> {
        let uri = match &self.jwks_uri {
            Some(uri) => uri.clone(),
            None => self.discover().await?,
        };
        let set: Set = get(&uri).await?;
        let usable = |key| serde_json::from_value::<Jwk>(key).ok().as_ref().and_then(Key::of);
        let keys: Vec<Key> = set.keys.into_iter().filter_map(usable).take(MAX_KEYS).collect();
        if keys.is_empty() { Err("there is no usable key among them".into()) } else { Ok(keys) }
    }

    /// Where the issuer says that its keys are (RFC 8414, "3. Obtaining Authorization Server Metadata"; OpenID Connect
    /// Discovery, "4.1. OpenID Provider Configuration Request").
    async fn discover(&self) -> Result<Uri, String> {
        let mut reason = String::new();
        for place in places(&self.issuer) {
            match get::<Metadata>(&place).await {
                // A document that speaks of another issuer could hand its keys to anyone.
                Ok(metadata) if metadata.issuer != *self.issuer => reason = "its metadata names another issuer".into(),
                Ok(metadata) => return super::url(&metadata.jwks_uri).ok_or_else(|| "its jwks_uri is no URL".into()),
                Err(why) => reason = why,
            }
        }
        Err(format!("no metadata of the issuer: {reason}"))
    }
}

/// Where an issuer's metadata may be.
fn places(issuer: &str) -> Vec<Uri> {
    let Some((origin, path)) = issuer.parse::<Uri>().ok().and_then(|uri| {
        let origin = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        Some((origin, uri.path().trim_end_matches('/').to_owned()))
    }) else {
        return Vec::new();
    };
    let mut places = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
    ];
    if !path.is_empty() {
        places.push(format!("{origin}/.well-known/openid-configuration{path}"));
    }
    places.iter().filter_map(|place| place.parse().ok()).collect()
}

async fn get<T: for<'de> Deserialize<'de>>(uri: &Uri) -> Result<T, String> {
    let document = tokio::time::timeout(TIME, bytes(uri)).await.map_err(|_| "it took too long".to_owned())?;
    let document = document.map_err(|error| crate::error::causes(&*error))?;
    serde_json::from_slice(&document).map_err(|error| format!("it is not the JSON that is expected: {error}"))
}

async fn bytes(uri: &Uri) -> Result<Bytes, BoxError> {
    let answer = once(uri, Request::builder(), Bytes::new(), (TIME, MAX_BYTES)).await?;
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body()),
        status => Err(format!("the answer is {status}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_the_standards_put_it() {
        let at = |issuer| places(issuer).iter().map(Uri::to_string).collect::<Vec<_>>();
        assert_eq!(
            at("https://a.example"),
            [
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            at("https://a.example/realms/x/"),
            [
                "https://a.example/.well-known/oauth-authorization-server/realms/x",
                "https://a.example/realms/x/.well-known/openid-configuration",
                "https://a.example/.well-known/openid-configuration/realms/x",
            ]
        );
    }
}
