use crate::support::clients::Raw;
use serde_json::json;
use std::net::SocketAddr;

/// What a good request of an era looks like.
pub(crate) struct Era {
    pub(crate) name: &'static str,
    address: SocketAddr,
    session: Option<String>,
}

impl Era {
    pub(crate) fn modern(address: SocketAddr) -> Self {
        Self { name: "modern", address, session: None }
    }

    /// With a session of 2025-11-25.
    pub(crate) async fn legacy(address: SocketAddr) -> Self {
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let opened = Raw::post(address, "/mcp", &[], &initialize).await;
        let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
        Self { name: "legacy", address, session: Some(session) }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The id of the session; one that nobody has, where the era has none.
    pub(crate) fn session(&self) -> &str {
        self.session.as_deref().unwrap_or("none")
    }

    /// The member `_meta` of a good request.
    pub(crate) fn meta(&self) -> &'static str {
        match self.session {
            Some(_) => r#""_meta":{}"#,
            None => {
                r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
            }
        }
    }

    pub(crate) fn body(&self) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{{}}}}}"#, self.meta())
    }

    /// All headers but the length.
    pub(crate) fn headers(&self, method: &str, name: Option<&str>) -> Vec<String> {
        let mut headers = vec![
            format!("host: {}", self.address),
            "content-type: application/json".to_owned(),
            "accept: application/json, text/event-stream".to_owned(),
        ];
        match &self.session {
            Some(session) => {
                headers.push(format!("mcp-session-id: {session}"));
                headers.push("mcp-protocol-version: 2025-11-25".to_owned());
            }
            None => {
                headers.push("mcp-protocol-version: 2026-07-28".to_owned());
                headers.push(format!("mcp-method: {method}"));
                headers.extend(name.map(|name| format!("mcp-name: {name}")));
            }
        }
        headers
    }

    /// A call that is answered with `hello`.
    pub(crate) fn good(&self) -> Vec<u8> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"good","method":"tools/call","params":{{"name":"echo","arguments":{{"text":"hello"}},{}}}}}"#,
            self.meta()
        );
        let headers = self.headers("tools/call", Some("echo")).join("\r\n");
        format!("POST /mcp HTTP/1.1\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}
