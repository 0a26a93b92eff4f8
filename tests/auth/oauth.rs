//! An authorization server on the wire: its metadata and keys over HTTP, its tokens signed.

use crate::{
    front::{Client, Front, entry, only},
    support::{
        clients::Raw,
        servers::{Kind, Running},
    },
};
use axum::{Json, Router, extract::State, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpListener, task::JoinSet};
use tower_mcp_gateway::{
    auth::{Algorithm, AuthLayer, OAuth},
    metrics::Count,
};

const RESOURCE: &str = "https://mcp.example.com/mcp";

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A key of the authorization server.
struct Key {
    id: &'static str,
    pair: Pair,
}

impl Key {
    fn ec(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { id, pair: Pair::Ec(pair) }
    }

    fn ed(id: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { id, pair: Pair::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()) }
    }

    /// One that is written down, of these tests alone: ring makes none of its kind.
    fn rsa(id: &'static str) -> Self {
        Self { id, pair: Pair::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("rsa.pk8")).unwrap()) }
    }

    fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "alg": "ES256",
                    "x": text(&point[..32]), "y": text(&point[32..])})
            }
            Pair::Rsa(pair) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({"kty": "RSA", "use": "sig", "kid": self.id, "alg": "RS256", "n": text(&n), "e": text(&e)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": text(pair.public_key().as_ref())})
            }
        }
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
            Pair::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": self.algorithm(), "typ": "at+jwt", "kid": self.id}), claims)
    }

    fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signed = match &self.pair {
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signed).unwrap();
                signed
            }
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
    }
}

/// An authorization server that runs until it is dropped.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    fetched: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

type Served = (String, Arc<Mutex<Vec<Value>>>, Arc<AtomicUsize>);

impl Issuer {
    async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(keys.iter().map(|key| key.public()).collect::<Vec<_>>()));
        let fetched = Arc::<AtomicUsize>::default();
        let metadata = |State((url, ..)): State<Served>| async move {
            Json(json!({"issuer": url, "jwks_uri": format!("{url}/keys"), "token_endpoint": format!("{url}/token")}))
        };
        let jwks = |State((_, keys, fetched)): State<Served>| async move {
            fetched.fetch_add(1, Ordering::Relaxed);
            // What issuers have beside usable keys.
            let mut all =
                vec![json!({"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}), json!({"kty": "new", "kid": 7})];
            all.extend(keys.lock().unwrap().iter().cloned());
            Json(json!({"keys": all}))
        };
        let app = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/keys", get(jwks))
            .with_state((url.clone(), keys.clone(), fetched.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, keys, fetched, _tasks: tasks }
    }

    fn claims(&self) -> Value {
        json!({"iss": self.url, "sub": "alice", "aud": RESOURCE, "exp": now() + 300, "nbf": now() - 1, "scope": "mcp other"})
    }

    fn oauth(&self) -> OAuth {
        OAuth::new(&self.url, RESOURCE).unwrap().scope("mcp").unwrap()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn with(mut claims: Value, key: &str, value: Value) -> Value {
    claims[key] = value;
    claims
}

fn without(mut claims: Value, key: &str) -> Value {
    claims.as_object_mut().unwrap().remove(key);
    claims
}

struct Guarded {
    front: Front,
    _server: Running,
}

impl Guarded {
    async fn by(auth: AuthLayer) -> Self {
        let server = Running::named(Kind::Modern, "one").await;
        let front = Front::with(vec![entry("one-1", "one", &server)], |config| config.auth = Some(auth)).await;
        Self { front, _server: server }
    }

    /// Status and challenge of a call with this token.
    async fn answer(&self, token: &str) -> (u16, String) {
        let header = format!("Bearer {token}");
        let answer = self.front.ask(&[("authorization", &header)], "tools/list", json!({})).await;
        let challenge = answer.headers.get("www-authenticate").map(|challenge| challenge.to_str().unwrap());
        (answer.status.as_u16(), challenge.unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn a_token_must_be_for_this_gateway_by_this_issuer_and_in_its_time() {
    let (ec, ed, rsa, stranger) = (Key::ec("1"), Key::ed("2"), Key::rsa("3"), Key::ec("1"));
    let issuer = Issuer::start(&[&ec, &ed, &rsa]).await;
    let guarded = Guarded::by(AuthLayer::required().oauth(issuer.oauth())).await;
    let good = issuer.claims();
    for claims in [
        good.clone(),
        with(good.clone(), "aud", json!(["https://other", RESOURCE])),
        with(without(good.clone(), "scope"), "scp", json!(["other", "mcp"])),
        with(without(good.clone(), "nbf"), "exp", json!(now() - 30)),
    ] {
        assert_eq!(guarded.answer(&ec.sign(&claims)).await.0, 200, "{claims}");
        assert_eq!(guarded.answer(&ed.sign(&claims)).await.0, 200, "{claims}");
        assert_eq!(guarded.answer(&rsa.sign(&claims)).await.0, 200, "{claims}");
    }
    assert_eq!(guarded.answer(&ec.sign_as(&json!({"alg": "ES256"}), &good)).await.0, 200, "without a key id");

    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let none = format!("{}.{}.", part(&json!({"alg": "none"})), part(&good));
    // Signed, as it were, with a public key that everybody has.
    let secret = ec.sign_as(&json!({"alg": "HS256", "kid": "secret"}), &good);
    let signed = ec.sign(&good);
    let (head, rest) = signed.split_once('.').unwrap();
    let moved =
        format!("{head}.{}.{}", part(&with(good.clone(), "sub", json!("root"))), rest.split_once('.').unwrap().1);
    let refused = [
        ("another audience", ec.sign(&with(good.clone(), "aud", json!("https://other.example.com/mcp")))),
        ("no audience", ec.sign(&without(good.clone(), "aud"))),
        ("another issuer", ec.sign(&with(good.clone(), "iss", json!("https://evil.example")))),
        ("expired", ec.sign(&with(good.clone(), "exp", json!(now() - 61)))),
        ("no end", ec.sign(&without(good.clone(), "exp"))),
        ("an end that is text", ec.sign(&with(good.clone(), "exp", json!((now() + 300).to_string())))),
        ("not yet", ec.sign(&with(good.clone(), "nbf", json!(now() + 120)))),
        ("a beginning that is text", ec.sign(&with(good.clone(), "nbf", json!("later")))),
        ("nobody", ec.sign(&without(good.clone(), "sub"))),
        ("alg none", none),
        ("alg HS256", secret),
        ("another key of the same id", stranger.sign(&good)),
        ("another key's id", ec.sign_as(&json!({"alg": "ES256", "kid": "2"}), &good)),
        ("another algorithm", ec.sign_as(&json!({"alg": "EdDSA", "kid": "1"}), &good)),
        ("an unknown extension", ec.sign_as(&json!({"alg": "ES256", "kid": "1", "crit": ["x"], "x": 1}), &good)),
        ("another algorithm of the same key", rsa.sign_as(&json!({"alg": "PS256", "kid": "3"}), &good)),
        ("a key of another kind", rsa.sign_as(&json!({"alg": "RS256", "kid": "1"}), &good)),
        ("altered claims", moved),
        ("cut", signed[..signed.len() - 4].to_owned()),
        ("no JWT", "abc.def".to_owned()),
    ];
    let metadata =
        "resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\", scope=\"mcp\"";
    let many = refused.len() as u64;
    for (what, token) in refused {
        let expected = (401, format!("Bearer error=\"invalid_token\", {metadata}"));
        assert_eq!(guarded.answer(&token).await, expected, "{what}");
    }
    let poor = ec.sign(&with(good.clone(), "scope", json!("other mcpx")));
    assert_eq!(guarded.answer(&poor).await, (403, format!("Bearer error=\"insufficient_scope\", {metadata}")));
    let metrics = guarded.front.gateway.metrics();
    assert_eq!((metrics.get(Count::Forbidden), metrics.get(Count::Unauthorized)), (1, many));
    let anonymous = guarded.front.ask(&[], "tools/list", json!({})).await;
    assert_eq!(anonymous.headers["www-authenticate"], format!("Bearer {metadata}"));
    assert!(issuer.fetched.load(Ordering::Relaxed) <= 4, "made-up keys do not become requests");
}

#[tokio::test]
async fn a_rotated_key_is_fetched_when_it_is_first_seen_and_the_old_one_opens_no_more() {
    let (old, new) = (Key::ec("old"), Key::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let guarded = Guarded::by(AuthLayer::required().oauth(issuer.oauth())).await;
    assert_eq!(guarded.answer(&old.sign(&issuer.claims())).await.0, 200);
    assert_eq!(guarded.answer(&new.sign(&issuer.claims())).await.0, 401);
    *issuer.keys.lock().unwrap() = vec![new.public()];
    assert_eq!(guarded.answer(&new.sign(&issuer.claims())).await.0, 200);
    assert_eq!(guarded.answer(&old.sign(&issuer.claims())).await.0, 401);
    assert_eq!(issuer.fetched.load(Ordering::Relaxed), 3, "at the first token, and for each key that was unknown");
    for _ in 0..20 {
        assert_eq!(guarded.answer(&old.sign(&issuer.claims())).await.0, 401);
        assert_eq!(guarded.answer(&new.sign(&issuer.claims())).await.0, 200);
    }
    assert_eq!(issuer.fetched.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_503_and_static_tokens_open_all_the_same() {
    let key = Key::ec("1");
    let issuer = Issuer::start(&[]).await;
    let ci = Client::new("ci");
    let guarded = Guarded::by(only(&[&ci]).oauth(issuer.oauth())).await;
    assert_eq!(guarded.answer(&key.sign(&issuer.claims())).await, (503, String::new()));
    assert_eq!(guarded.answer(&ci.header[7..]).await.0, 200);
    *issuer.keys.lock().unwrap() = vec![key.public()];
    assert_eq!(guarded.answer(&key.sign(&issuer.claims())).await.0, 200);
}

#[tokio::test]
async fn algorithms_and_audiences_are_those_that_are_allowed() {
    let (ec, ed) = (Key::ec("1"), Key::ed("2"));
    let issuer = Issuer::start(&[&ec, &ed]).await;
    let oauth = issuer.oauth().algorithms([Algorithm::EdDSA]).audience("gateway");
    let oauth = oauth.jwks_uri(&format!("{}/keys", issuer.url)).unwrap();
    let guarded = Guarded::by(AuthLayer::required().oauth(oauth)).await;
    let claims = with(issuer.claims(), "aud", json!("gateway"));
    assert_eq!(guarded.answer(&ed.sign(&claims)).await.0, 200);
    assert_eq!(guarded.answer(&ed.sign(&issuer.claims())).await.0, 401, "the resource is not the audience here");
    assert_eq!(guarded.answer(&ec.sign(&claims)).await.0, 401);
}

#[tokio::test]
async fn a_token_for_a_whole_host_is_taken_with_the_slash_and_without() {
    let key = Key::ec("1");
    let issuer = Issuer::start(&[&key]).await;
    for resource in ["https://mcp.example.com", "https://mcp.example.com/"] {
        let oauth = OAuth::new(&issuer.url, resource).unwrap();
        let guarded = Guarded::by(AuthLayer::required().oauth(oauth)).await;
        let path = "/.well-known/oauth-protected-resource";
        let told = Raw::get(guarded.front.address, path, &[]).await.collect().await.json();
        assert_eq!(told["resource"], "https://mcp.example.com");
        for (audience, status) in [
            ("https://mcp.example.com", 200),
            ("https://mcp.example.com/", 200),
            ("https://mcp.example.com//", 401),
            ("https://mcp.example.com/mcp", 401),
        ] {
            let token = key.sign(&with(issuer.claims(), "aud", json!(audience)));
            assert_eq!(guarded.answer(&token).await.0, status, "{resource} {audience}");
        }
    }
}

#[tokio::test]
async fn where_to_get_a_token_is_told_to_everybody() {
    let issuer = Issuer::start(&[]).await;
    let guarded = Guarded::by(AuthLayer::required().oauth(issuer.oauth())).await;
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let answer = Raw::get(guarded.front.address, path, &[]).await.collect().await;
        let expected = json!({"resource": RESOURCE, "authorization_servers": [issuer.url],
            "bearer_methods_supported": ["header"], "scopes_supported": ["mcp"]});
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected), "{path}");
        let rebound = Raw::get(guarded.front.address, path, &[("origin", "https://evil.example")]).await;
        assert_eq!(rebound.status, 403);
    }
    let posted = Raw::request(guarded.front.address, "POST /.well-known/oauth-protected-resource", &[], b"").await;
    assert_eq!(posted.status, 405);
    let other = Raw::get(guarded.front.address, "/.well-known/oauth-protected-resource/other", &[]).await;
    assert_eq!(other.status, 404);
    let ci = Client::new("ci");
    let without = Guarded::by(only(&[&ci])).await;
    let none = Raw::get(without.front.address, "/.well-known/oauth-protected-resource", &[]).await;
    assert_eq!(none.status, 404, "there is no authorization server");
}
