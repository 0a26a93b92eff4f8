use super::*;
use crate::auth::{OAuth, error::Denied};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{advance, pause, resume, timeout},
};

const RESOURCE: &str = "https://mcp.example.com/mcp";

#[tokio::test(start_paused = true)]
async fn made_up_keys_do_not_become_requests() {
    let mut budget = Budget { left: BURST, refilled: Instant::now(), failed: None };
    let granted = |budget: &mut Budget, asked: usize| (0..asked).filter(|_| budget.spend()).count();
    assert_eq!(granted(&mut budget, 1000), 3);
    advance(REFILL).await;
    assert_eq!(granted(&mut budget, 1000), 1);
    advance(REFILL * 1000).await;
    assert_eq!(granted(&mut budget, 1000), 3);
}

/// An issuer whose keys are at hand, and which is asked for newer ones in vain: it hangs, or hangs up.
struct Issuer {
    oauth: OAuth,
    url: String,
    pair: Ed25519KeyPair,
    asked: watch::Receiver<usize>,
}

impl Issuer {
    async fn start(hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, count) = (format!("http://{}", listener.local_addr().unwrap()), watch::Sender::new(0));
        let asked = count.subscribe();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|asked| *asked += 1);
                held.extend(hangs.then_some(stream));
            }
        });
        let oauth = OAuth::new(&url, RESOURCE).unwrap().jwks_uri(&format!("{url}/keys")).unwrap();
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "known", "x": x});
        let keys = vec![Key::of(&serde_json::from_value(key).unwrap()).unwrap()];
        oauth.jwks.held.store(Some(Arc::new(Held { keys, since: Instant::now() })));
        Self { oauth, url, pair, asked }
    }

    /// A token of this key.
    fn token(&self, key: &str) -> String {
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 300;
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let claims = json!({"iss": self.url, "sub": "alice", "aud": RESOURCE, "exp": end});
        let message = format!("{}.{}", part(json!({"alg": "EdDSA", "kid": key})), part(claims));
        let signed = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signed}")
    }
}

/// Not paused for longer, because what is on the wire takes its own time.
async fn later(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_up_nobody_whose_key_is_known() {
    let mut issuer = Issuer::start(true).await;
    let (token, stranger) = (issuer.token("known"), issuer.token("unknown"));
    let at_once = |token: &str| issuer.oauth.check(token).is_ok_and(|verdict| verdict.is_ok());
    assert!(at_once(&token));
    later(FRESH).await;
    assert!((0..100).all(|_| at_once(&token)));
    assert!(issuer.oauth.check(&stranger).is_err(), "a newer key may have signed it");
    // So may one that has taken its id.
    let (message, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", stranger.rsplit_once('.').unwrap().1);
    assert!(issuer.oauth.check(&forged).is_err());
    issuer.asked.wait_for(|asked| *asked == 1).await.unwrap();
    let again = timeout(Duration::from_millis(200), issuer.asked.wait_for(|asked| *asked > 1)).await.is_ok();
    assert!(!again, "it is asked once for all");
    later(STALE).await;
    assert!(issuer.oauth.check(&issuer.token("known")).is_err(), "they are too old");
}

#[tokio::test]
async fn whoever_waited_for_a_fetch_that_failed_does_not_wait_for_another() {
    let issuer = Issuer::start(false).await;
    let stranger = issuer.token("unknown");
    let verdicts = join_all((0..10).map(|_| issuer.oauth.verify(&stranger))).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Err(Denied::Invalid(_)))));
    assert_eq!(*issuer.asked.borrow(), 1);
    issuer.oauth.verify(&stranger).await.unwrap_err();
    assert_eq!(*issuer.asked.borrow(), 2, "who comes later looks anew");
}
