//! Tokens go to the server that they were given for, and to no other.

use crate::{authority::Authority, call, file, gateway, renewal::until, sign_in, state, tokens};
use tower_mcp_gateway::{oauth::OAuth, registry::Status};

#[tokio::test]
async fn a_server_of_the_same_id_at_another_address_gets_no_token_and_takes_none() {
    let (here, there, state) = (Authority::start(None).await, Authority::start(None).await, state("bound"));
    let settings = OAuth::new(tokens(&state));
    sign_in(&here, &settings).await.unwrap();
    let other = gateway(&there, &state).await;
    let reason = until(&other, Status::Error).await.unwrap();
    assert!(reason.contains("nobody is signed in"), "{reason}");
    assert_eq!(there.strange(), 0, "the token of one server was shown to another");
    sign_in(&there, &settings).await.unwrap();
    assert_eq!(call(&gateway(&there, &state).await).await.unwrap(), "somebody");
    assert_eq!(call(&gateway(&here, &state).await).await.unwrap(), "somebody", "its tokens were overwritten");
}

#[tokio::test]
async fn tokens_that_are_bound_to_no_address_are_taken_over_where_their_resource_covers_it() {
    let (authority, state) = (Authority::start(None).await, state("unbound"));
    sign_in(&authority, &OAuth::new(tokens(&state))).await.unwrap();
    let bound = file(&state);
    let mut grant: serde_json::Value = serde_json::from_slice(&std::fs::read(&bound).unwrap()).unwrap();
    assert_eq!(grant.as_object_mut().unwrap().remove("url").unwrap(), authority.url());
    std::fs::remove_file(&bound).unwrap();
    std::fs::write(tokens(&state).join("hosted.json"), grant.to_string()).unwrap();
    assert_eq!(call(&gateway(&authority, &state).await).await.unwrap(), "somebody");
    assert_eq!(file(&state), bound);
}
