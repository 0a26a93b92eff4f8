//! What a sign-in does not trust.

use crate::{
    authority::{Authority, Quirk},
    call, gateway, sign_in, state, tokens,
};
use tower_mcp_gateway::oauth::OAuth;

#[tokio::test]
async fn an_authorization_server_that_is_not_right_gets_no_code_and_gives_no_token() {
    for (quirk, reason) in [
        (Quirk::OtherIss, "the answer comes from another authorization server: it is not used"),
        (Quirk::NoIss, "the answer lacks the `iss` that the authorization server promises: it is not used"),
        (Quirk::OtherIssuer, "the authorization server says that it is another one: it is not used"),
        (Quirk::NoPkce, "the authorization server does not say that it has PKCE with S256"),
        (Quirk::OtherResource, "the server's metadata speaks of another server: it is not used"),
        (Quirk::Denies, "the authorization server refused: access_denied"),
        (Quirk::PlainToken, "the address of the authorization server must begin with https://"),
        (
            Quirk::NoRegistration,
            "the authorization server registers no clients by itself: register one there and write its `clientId` into `auth`",
        ),
    ] {
        let (authority, state) = (Authority::start(Some(quirk)).await, state(&format!("{quirk:?}")));
        let error = sign_in(&authority, &OAuth::new(tokens(&state))).await.unwrap_err();
        assert_eq!(error.to_string(), reason, "{quirk:?}");
        assert!(!tokens(&state).exists() && !authority.has_tokens(), "{quirk:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_known_need_not_be_registered() {
    let (authority, state) = (Authority::start(Some(Quirk::NoRegistration)).await, state("known"));
    let settings = OAuth::new(tokens(&state)).client_id("https://gateway.example/client.json").scopes(["tools"]);
    sign_in(&authority, &settings).await.unwrap();
    assert_eq!(authority.scope().as_deref(), Some("tools offline_access"));
    assert_eq!(call(&gateway(&authority, &state).await).await.unwrap(), "somebody");
}

#[tokio::test]
async fn a_server_without_metadata_is_its_own_authorization_server() {
    let (authority, state) = (Authority::start(Some(Quirk::Early)).await, state("early"));
    sign_in(&authority, &OAuth::new(tokens(&state))).await.unwrap();
    assert_eq!(call(&gateway(&authority, &state).await).await.unwrap(), "somebody");
}
