//! The layer alone, by HTTP requests without sockets.

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::convert::Infallible;
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_gateway::auth::{AuthLayer, Principal, Token};

type Body = Full<bytes::Bytes>;

/// What the service behind sees of a request: whose it is, and whether the credential is still there.
async fn seen(layer: &AuthLayer, request: Request<()>) -> Response<Body> {
    let behind = service_fn(|request: Request<()>| async move {
        let name = request.extensions().get::<Principal>().map_or("nobody", Principal::name);
        let text = format!("{name} {}", request.headers().contains_key(header::AUTHORIZATION));
        Ok::<_, Infallible>(Response::new(Body::from(text)))
    });
    layer.layer(behind).oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    use http_body_util::BodyExt;
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn with(values: &[&str]) -> Request<()> {
    let mut request = Request::post("/mcp").body(()).unwrap();
    for value in values {
        request.headers_mut().append(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request
}

#[tokio::test]
async fn a_known_token_says_whose_it_is_and_goes_no_further() {
    let secrets = [Token::generate().unwrap(), Token::generate().unwrap()];
    let layer = ["ci", "alice"]
        .iter()
        .zip(&secrets)
        .fold(AuthLayer::required(), |layer, (name, secret)| layer.token(Token::new(*name, secret).unwrap()));
    for (name, secret) in ["ci", "alice"].iter().zip(&secrets) {
        for scheme in ["Bearer", "bearer", "BEARER "] {
            let response = seen(&layer, with(&[&format!("{scheme} {secret}")])).await;
            assert_eq!(text(response).await, format!("{name} false"));
        }
    }
}

#[tokio::test]
async fn whoever_is_unknown_is_challenged_and_told_nothing_more() {
    let secret = Token::generate().unwrap();
    let layer = AuthLayer::required().token(Token::new("ci", &secret).unwrap());
    let good = format!("Bearer {secret}");
    let (short, long) = (&good[..good.len() - 1], format!("{good}A"));
    let huge = format!("Bearer {}", "a".repeat(Token::MAX_BYTES + 1));
    let wrong = r#"Bearer error="invalid_token""#;
    let malformed = r#"Bearer error="invalid_request""#;
    for (sent, status, challenge) in [
        (&[][..], 401, "Bearer"),
        (&["Basic dXNlcjpwYXNz"], 401, "Bearer"),
        (&[&*secret], 401, "Bearer"),
        (&[short], 401, wrong),
        (&[&long], 401, wrong),
        (&[&huge], 401, wrong),
        (&["Bearer "], 400, malformed),
        (&["Bearer"], 400, malformed),
        (&["Bearer \u{e9}\u{e9}"], 400, malformed),
        (&[&good, &good], 400, malformed),
        (&[&good, "Basic dXNlcjpwYXNz"], 400, malformed),
    ] {
        let response = seen(&layer, with(sent)).await;
        assert_eq!(response.status(), status, "{sent:?}");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], challenge, "{sent:?}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let body = text(response).await;
        assert!(body.contains(r#""source":"gateway""#) && !body.contains(&secret[..8]), "{body}");
    }
    // A token in the address is none (RFC 6750 allows it, MCP forbids it).
    let request = Request::get(format!("/mcp?access_token={secret}")).body(()).unwrap();
    assert_eq!(seen(&layer, request).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_rules_everybody_is_let_in_as_nobody() {
    assert_eq!(text(seen(&AuthLayer::none(), with(&[])).await).await, "nobody false");
    assert!(!AuthLayer::none().is_required() && AuthLayer::required().is_required());
    assert_eq!(seen(&AuthLayer::required(), with(&["Bearer x"])).await.status(), StatusCode::UNAUTHORIZED);
}
