//! Tokens that end, and tokens that are taken back.

use crate::{authority::Authority, call, file, gateway, sign_in, state, tokens};
use futures_util::future::join_all;
use serde_json::Value;
use std::{path::Path, time::Duration};
use tokio::time::timeout;
use tower_mcp_gateway::{Gateway, oauth::OAuth, registry::Status};

async fn signed_in(authority: &Authority, state: &Path) {
    sign_in(authority, &OAuth::new(tokens(state))).await.unwrap();
}

async fn all_get_through(gateway: &Gateway) {
    for answer in join_all((0..20).map(|_| call(gateway))).await {
        assert_eq!(answer.unwrap(), "somebody");
    }
}

pub(crate) async fn until(gateway: &Gateway, status: Status) -> Option<String> {
    let mut changes = gateway.registry().changes();
    let seen = async {
        loop {
            let entry = gateway.registry().list().remove(0);
            if entry.status == status {
                return entry.error;
            }
            changes.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(20), seen).await.expect("the server gets there")
}

fn read(state: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file(state)).unwrap()).unwrap()
}

/// Makes the token that is kept one that ends then, in Unix time.
fn ends(state: &Path, at: u64) -> Value {
    let mut grant = read(state);
    grant["expires"] = at.into();
    std::fs::write(file(state), grant.to_string()).unwrap();
    grant
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_once_for_all_calls_and_kept() {
    let (authority, state) = (Authority::start(None).await, state("expiry"));
    signed_in(&authority, &state).await;
    assert_eq!(read(&state)["lifetime"], 3600);
    let grant = ends(&state, 1);
    let gateway = gateway(&authority, &state).await;
    all_get_through(&gateway).await;
    assert_eq!(authority.refreshes(), 1);
    assert_ne!(read(&state)["refresh_token"], grant["refresh_token"], "the new ones are kept");
    assert!(read(&state)["expires"].as_u64().unwrap() > 1_000_000);
}

#[tokio::test]
async fn of_two_gateways_with_the_same_tokens_one_renews_and_the_other_takes_what_it_got() {
    let (authority, state) = (Authority::start(None).await, state("shared"));
    signed_in(&authority, &state).await;
    ends(&state, 1);
    let silent = authority.silent().await;
    let watched = async {
        authority.refreshed(1).await;
        // Long enough for the other to ask as well, if it does.
        let again = timeout(Duration::from_millis(500), authority.refreshed(2)).await;
        drop(silent);
        assert!(again.is_err(), "the refresh token was used twice");
    };
    let (one, other, ()) = tokio::join!(gateway(&authority, &state), gateway(&authority, &state), watched);
    all_get_through(&one).await;
    all_get_through(&other).await;
    assert_eq!(authority.refreshes(), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_and_nobody_notices() {
    let (authority, state) = (Authority::start(None).await, state("refused"));
    signed_in(&authority, &state).await;
    let gateway = gateway(&authority, &state).await;
    all_get_through(&gateway).await;
    assert_eq!(authority.refreshes(), 0);
    authority.revoke(false);
    all_get_through(&gateway).await;
    assert_eq!(authority.refreshes(), 1);
}

#[tokio::test]
async fn without_a_sign_in_the_status_says_what_to_do_and_a_sign_in_is_taken_up() {
    let (authority, state) = (Authority::start(None).await, state("none"));
    let gateway = gateway(&authority, &state).await;
    for _ in 0..2 {
        let reason = until(&gateway, Status::Error).await.unwrap();
        assert!(reason.contains("nobody is signed in: run `tower-mcp-gateway login hosted`"), "{reason}");
        assert!(call(&gateway).await.is_err());
        signed_in(&authority, &state).await;
        until(&gateway, Status::Connected).await;
        assert_eq!(call(&gateway).await.unwrap(), "somebody");
        authority.revoke(true);
    }
}

#[tokio::test]
async fn an_authorization_server_that_is_away_is_what_the_status_says() {
    let (authority, state) = (Authority::start(None).await, state("away"));
    signed_in(&authority, &state).await;
    ends(&state, 1);
    authority.go_away();
    let gateway = gateway(&authority, &state).await;
    let reason = until(&gateway, Status::Error).await.unwrap();
    assert!(reason.contains("the authorization server cannot be asked: it answers with HTTP status 503"), "{reason}");
    assert!(!reason.contains("login"), "{reason}");
}
