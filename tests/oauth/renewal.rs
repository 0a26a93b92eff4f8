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

#[tokio::test]
async fn a_token_near_its_end_is_renewed_once_for_all_calls_and_kept() {
    let (authority, state) = (Authority::start(None).await, state("expiry"));
    signed_in(&authority, &state).await;
    let file = file(&state);
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let mut grant = read();
    assert_eq!(grant["lifetime"], 3600);
    grant["expires"] = 1.into();
    std::fs::write(&file, grant.to_string()).unwrap();
    let gateway = gateway(&authority, &state).await;
    all_get_through(&gateway).await;
    assert_eq!(authority.refreshes(), 1);
    assert_ne!(read()["refresh_token"], grant["refresh_token"], "the new ones are kept");
    assert!(read()["expires"].as_u64().unwrap() > 1_000_000);
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
