use super::{
    OAuth,
    store::{Grant, Store},
    web,
};
use std::io;

/// Forgets the tokens of the server with this id at `url`, and asks the authorization server to do so as well where it takes
/// such requests (RFC 7009). Tells whether there were any.
///
/// ```no_run
/// # async fn leave() -> std::io::Result<()> {
/// use tower_mcp_gateway::oauth::{OAuth, sign_out};
///
/// let settings = OAuth::new("/var/lib/gateway/tokens");
/// let known = sign_out("issues", "https://mcp.example.com/mcp", &settings).await?;
/// # let _ = known;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// If the file cannot be read or removed. That the authorization server could not be asked is no error: its tokens are of no
/// use to anybody who does not have them.
pub async fn sign_out(id: &str, url: &str, settings: &OAuth) -> io::Result<bool> {
    let store = Store::new(settings, id, url);
    // A renewal that is under way would keep what comes of it. One that hangs does not keep anybody signed in.
    let held = store.hold().await.inspect_err(|error| tracing::warn!(%error, "the tokens are forgotten all the same"));
    let grant = store.load()?;
    let known = store.forget()?;
    drop(held);
    if let Some(Grant { revocation_endpoint: Some(endpoint), client, refresh_token, access_token, .. }) = grant {
        let mut form = vec![("token", refresh_token.as_deref().unwrap_or(&access_token))];
        let headers = client.sign(&mut form);
        if let Err(error) = web::post("the authorization server", &endpoint, &headers, web::form(&form)).await {
            tracing::debug!(%error, "tokens were forgotten here only");
        }
    }
    Ok(known)
}
