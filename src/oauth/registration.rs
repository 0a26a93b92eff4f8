use super::{OAuth, discovery::Issuer, error::Failed, web};
use http::header;
use serde_json::{Value, json};

/// Who the gateway is to an authorization server.
#[derive(Clone, serde::Deserialize, serde::Serialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Option<String>,
    /// Whether the secret goes into a header, not into the form.
    pub(super) basic: bool,
}

impl Client {
    /// The configured client, or one that is registered now.
    pub(super) async fn of(settings: &OAuth, issuer: &Issuer, redirect: &str) -> Result<Self, Failed> {
        let methods = &issuer.token_endpoint_auth_methods_supported;
        let has = |method: &str| methods.iter().any(|known| known == method);
        // Without a word about it a header is what there is (RFC 8414).
        let basic = has("client_secret_basic") || !has("client_secret_post");
        if let Some(id) = &settings.client_id {
            return Ok(Self { id: id.clone(), secret: settings.client_secret.clone(), basic });
        }
        let Some(endpoint) = &issuer.registration_endpoint else {
            return Err(Failed::refused(
                "the authorization server registers no clients by itself: register one there and write its `clientId` into `auth`",
            ));
        };
        register(endpoint, redirect).await
    }

    /// What a request for tokens carries to say who asks.
    pub(super) fn sign<'a>(&'a self, form: &mut Vec<(&'a str, &'a str)>) -> Vec<(header::HeaderName, String)> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let mut headers = vec![(header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())];
        match &self.secret {
            Some(secret) if self.basic => {
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let both = format!("{}:{}", encoded(&self.id), encoded(secret));
                headers.push((header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(both))));
            }
            Some(secret) => form.extend([("client_id", self.id.as_str()), ("client_secret", secret)]),
            None => form.push(("client_id", &self.id)),
        }
        headers
    }
}

/// RFC 7591: a public client on a loopback address.
async fn register(endpoint: &str, redirect: &str) -> Result<Client, Failed> {
    let wanted = json!({
        "client_name": "tower-mcp-gateway",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    });
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned())];
    let answer = web::post("the registration of clients", endpoint, &headers, wanted.to_string()).await?;
    let text = |member: &str| answer.body.get(member).and_then(Value::as_str).map(str::to_owned);
    if !answer.status.is_success() {
        let why = text("error_description").or_else(|| text("error")).unwrap_or_else(|| answer.status.to_string());
        return Err(Failed::Denied(format!("no client is registered: {why}")));
    }
    let id = text("client_id").ok_or_else(|| Failed::refused("the registration gave no `client_id`"))?;
    let basic = text("token_endpoint_auth_method").is_none_or(|method| method != "client_secret_post");
    Ok(Client { id, secret: text("client_secret"), basic })
}
