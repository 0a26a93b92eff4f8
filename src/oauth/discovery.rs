use super::{
    error::Failed,
    web::{self, safe},
};
use http::{StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::json;

/// What is known of a server that wants a sign-in.
#[derive(Debug)]
pub(super) struct Found {
    /// What tokens are asked for.
    pub(super) resource: String,
    /// What the server asks for, best first: its challenge, then its metadata.
    pub(super) scopes: Vec<String>,
    pub(super) issuer: Issuer,
}

/// The metadata of an authorization server (RFC 8414, or OpenID Connect Discovery).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Issuer {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) registration_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    #[serde(default)]
    pub(super) code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    pub(super) scopes_supported: Vec<String>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// RFC 9728.
#[derive(Debug, Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// What the server said in place of an answer.
#[derive(Debug, Default)]
struct Challenge {
    metadata: Option<String>,
    scope: Option<String>,
}

/// Finds out where to sign in for the server at `url`.
pub(super) async fn discover(url: &str) -> Result<Found, Failed> {
    let server = safe("the server", url)?;
    let challenge = challenge(url).await?;
    let resource = resource(&server, challenge.metadata.as_deref()).await?;
    let scopes = match (&challenge.scope, &resource) {
        (Some(scope), _) => scope.split_whitespace().map(str::to_owned).collect(),
        (None, Some(resource)) => resource.scopes_supported.clone(),
        (None, None) => Vec::new(),
    };
    let origin = origin(&server);
    let issuer = resource.as_ref().and_then(|resource| resource.authorization_servers.first().cloned());
    let issuer = issuer_of(issuer.as_deref().unwrap_or(&origin)).await?;
    let resource = resource.map_or_else(|| url.to_owned(), |resource| resource.resource);
    Ok(Found { resource, scopes, issuer })
}

/// Asks the server without a token, to be told where one is had.
async fn challenge(url: &str) -> Result<Challenge, Failed> {
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::ACCEPT, "application/json, text/event-stream".to_owned()),
    ];
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {}}).to_string();
    let answer = web::post("the server", url, &headers, ask).await?;
    if answer.status != StatusCode::UNAUTHORIZED {
        return Ok(Challenge::default());
    }
    let mut challenge = Challenge::default();
    for value in answer.headers.get_all(header::WWW_AUTHENTICATE) {
        let Ok(value) = value.to_str() else { continue };
        challenge.metadata = challenge.metadata.or_else(|| super::answer::parameter(value, "resource_metadata"));
        challenge.scope = challenge.scope.or_else(|| super::answer::parameter(value, "scope"));
    }
    Ok(challenge)
}

/// The server's metadata, from where its challenge says, else from the well-known places.
async fn resource(server: &Uri, named: Option<&str>) -> Result<Option<Resource>, Failed> {
    const WHAT: &str = "the server's metadata";
    let well_known = format!("{}/.well-known/oauth-protected-resource", origin(server));
    let path = server.path().trim_end_matches('/');
    let places = match named {
        Some(named) => vec![named.to_owned()],
        None if path.is_empty() => vec![well_known],
        None => vec![format!("{well_known}{path}"), well_known],
    };
    for place in places {
        let answer = web::get(WHAT, &place).await?;
        if answer.status != StatusCode::OK {
            continue;
        }
        let resource: Resource = serde_json::from_value(answer.body)
            .map_err(|error| Failed::refused(format!("{WHAT} cannot be read: {error}")))?;
        if !covers(&resource.resource, server) {
            return Err(Failed::refused("the server's metadata speaks of another server: it is not used"));
        }
        return Ok(Some(resource));
    }
    match named {
        Some(_) => Err(Failed::refused("the server names metadata that is not there")),
        None => Ok(None),
    }
}

/// Whether `resource` is the server, or the whole host it is on.
pub(super) fn covers(resource: &str, server: &Uri) -> bool {
    let Ok(resource) = resource.parse::<Uri>() else { return false };
    let path = resource.path().trim_end_matches('/');
    let below = server.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    origin(&resource).eq_ignore_ascii_case(&origin(server)) && below
}

/// The metadata of `issuer`, which must say that it is its own.
async fn issuer_of(issuer: &str) -> Result<Issuer, Failed> {
    const WHAT: &str = "the authorization server";
    let uri = safe(WHAT, issuer)?;
    let (origin, path) = (origin(&uri), uri.path().trim_end_matches('/'));
    let mut places = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        places.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    for place in places {
        let answer = web::get(WHAT, &place).await?;
        if answer.status != StatusCode::OK {
            continue;
        }
        let found: Issuer = serde_json::from_value(answer.body)
            .map_err(|error| Failed::refused(format!("the metadata of {WHAT} cannot be read: {error}")))?;
        if found.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            return Err(Failed::refused("the authorization server says that it is another one: it is not used"));
        }
        if !found.code_challenge_methods_supported.iter().any(|method| method == "S256") {
            return Err(Failed::refused("the authorization server does not say that it has PKCE with S256"));
        }
        safe("the sign-in page", &found.authorization_endpoint)?;
        return Ok(found);
    }
    Err(Failed::refused("no authorization server is to be found: the server has no OAuth metadata"))
}

pub(super) fn origin(uri: &Uri) -> String {
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    format!("{}://{authority}", uri.scheme_str().unwrap_or("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_the_server_or_what_it_is_part_of() {
        let server: Uri = "https://a.example/v1/mcp".parse().unwrap();
        for (resource, is) in [
            ("https://a.example/v1/mcp", true),
            ("https://A.example/v1/", true),
            ("https://a.example", true),
            ("https://a.example/v1/mc", false),
            ("https://a.example/v2", false),
            ("https://b.example/v1/mcp", false),
            ("http://a.example/v1/mcp", false),
            ("", false),
        ] {
            assert_eq!(covers(resource, &server), is, "{resource}");
        }
    }
}
