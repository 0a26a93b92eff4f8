use super::*;
use crate::{
    error::find,
    oauth::{
        error::{NotRenewed, SignedOut},
        store::{
            now,
            tests::{folder, grant},
        },
    },
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    time::{advance, pause, resume, timeout},
};

const HERE: &str = "https://mcp.a.example/mcp";
const AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const DEAD: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 25\r\n\r\n{\"error\":\"invalid_grant\"}";

/// A token endpoint that counts who asks, and gives each this answer; without one it is silent.
async fn endpoint(answer: Option<&'static str>) -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, asked) = (format!("http://{}/", listener.local_addr().unwrap()), watch::Sender::new(0));
    let seen = asked.subscribe();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            asked.send_modify(|asked| *asked += 1);
            if let Some(answer) = answer {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            held.push(stream);
        }
    });
    (url, seen)
}

/// Tokens that end in so many seconds, and where they are kept.
fn tokens(endpoint: &str, left: u64) -> (Tokens, OAuth) {
    let settings = OAuth::new(folder());
    let tokens = Tokens::new(&settings, "issues", HERE, TaskTracker::new());
    tokens.0.store.save(&kept(endpoint, "first", left)).unwrap();
    (tokens, settings)
}

fn kept(endpoint: &str, name: &str, left: u64) -> Grant {
    let (token_endpoint, refresh_token) = (endpoint.to_owned(), Some(format!("refresh {name}")));
    let (expires, lifetime) = (Some(now() + left), Some(3600));
    Grant { token_endpoint, refresh_token, expires, lifetime, access_token: name.into(), ..grant(HERE) }
}

/// What twenty calls are told that come at once.
async fn asked_by_many(tokens: &Tokens) -> Vec<Result<HeaderValue, BoxError>> {
    join_all((0..20).map(|_| tokens.header())).await
}

async fn later(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

#[tokio::test]
async fn an_authorization_server_that_is_away_is_asked_once_in_a_while_and_nobody_is_sent_to_sign_in() {
    let (url, asked) = endpoint(Some(AWAY)).await;
    let (tokens, settings) = tokens(&url, 0);
    for times in 1..=2 {
        for told in asked_by_many(&tokens).await {
            let error = told.unwrap_err();
            let away = find::<NotRenewed>(&*error).expect("somebody is signed in");
            assert!(away.why.starts_with("the authorization server cannot be asked: "), "{away}");
        }
        assert_eq!(*asked.borrow(), times);
        later(PAUSE).await;
    }
    std::fs::remove_dir_all(&settings.folder).unwrap();
}

#[tokio::test]
async fn a_refresh_token_that_was_refused_is_not_shown_again_and_a_sign_in_is_taken_up() {
    let (url, asked) = endpoint(Some(DEAD)).await;
    let (tokens, settings) = tokens(&url, 0);
    for _ in 0..3 {
        for told in asked_by_many(&tokens).await {
            assert!(find::<SignedOut>(&*told.unwrap_err()).is_some());
        }
        assert_eq!(*asked.borrow(), 1);
        later(PAUSE * 100).await;
    }
    tokens.0.store.save(&kept(&url, "second", 3600)).unwrap();
    assert_eq!(tokens.header().await.unwrap(), "Bearer second");
    std::fs::remove_dir_all(&settings.folder).unwrap();
}

#[tokio::test]
async fn nobody_waits_for_the_renewal_of_a_token_that_has_not_ended() {
    let (url, mut asked) = endpoint(None).await;
    let (tokens, settings) = tokens(&url, 30);
    for _ in 0..2 {
        let told = timeout(Duration::from_secs(5), asked_by_many(&tokens)).await.expect("nobody waits");
        assert!(told.into_iter().all(|header| header.unwrap() == "Bearer first"));
        asked.wait_for(|asked| *asked == 1).await.unwrap();
    }
    std::fs::remove_dir_all(&settings.folder).unwrap();
}

#[tokio::test]
async fn what_could_not_be_kept_is_not_given_up_for_what_it_came_of() {
    let (tokens, settings) = tokens(HERE, 3600);
    let named = |name: &str| kept(HERE, name, 3600);
    let newest = || tokens.0.newest().map(|current| current.grant.access_token.clone());
    let first = tokens.0.newest().unwrap();
    // As `keep` does it where the file cannot be replaced, twice.
    let second = tokens.0.take(named("second"), None, Some(first.grant.clone())).unwrap();
    assert_eq!(newest().as_deref(), Some("second"));
    tokens.0.take(named("third"), None, second.instead.clone()).unwrap();
    assert_eq!(newest().as_deref(), Some("third"));
    tokens.0.store.save(&named("of another gateway")).unwrap();
    assert_eq!(newest().as_deref(), Some("of another gateway"));
    tokens.0.store.forget().unwrap();
    assert_eq!(newest(), None);
    std::fs::remove_dir_all(&settings.folder).unwrap();
}
