use super::{
    auth,
    reader::{Field, Reader},
    settings::host,
};
use crate::auth::AuthLayer;
use std::net::{IpAddr, Ipv4Addr};

/// Where servers, their health and what is counted are shown to the operator's programs.
///
/// It concerns the program; a library user mounts [`Admin`](crate::cli::admin::Admin) where it likes.
///
/// ```
/// use tower_mcp_gateway::config::Config;
///
/// let config = Config::parse(r#"{ "admin": { "host": "0.0.0.0", "auth": "none" } }"#, |_| None)?;
/// assert!(config.admin.host.is_unspecified() && config.admin.port.is_none());
/// # Ok::<(), tower_mcp_gateway::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Admin {
    /// The address to listen on: 127.0.0.1 unless set, because what is shown names what an installation is made of.
    pub host: IpAddr,
    /// The port, 0 for none; [`PORT`](Self::PORT) if unset and free.
    pub port: Option<u16>,
    /// Who may ask. `None` where nothing is said: then nobody is asked who it is, and the program listens on a loopback
    /// address only.
    pub auth: Option<AuthLayer>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.into(), port: None, auth: None }
    }
}

impl Admin {
    /// The port where none is set.
    pub const PORT: u16 = 4001;

    pub(super) fn is_same(&self, other: &Self) -> bool {
        let auth = match (&self.auth, &other.auth) {
            (Some(own), Some(others)) => own.is_same(others),
            (own, others) => own.is_none() && others.is_none(),
        };
        auth && (self.host, self.port) == (other.host, other.port)
    }
}

/// Reads the object `admin`.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Admin {
    let mut admin = Admin::default();
    let Some(object) = reader.object(field, &["host", "port", "auth"], |_| None) else { return admin };
    if let Some(host) = object.get("host").and_then(|field| host(reader, field)) {
        admin.host = host;
    }
    let port = object.get("port").and_then(|field| reader.integer(field, 0..=u16::MAX.into(), ""));
    admin.port = port.and_then(|port| port.try_into().ok());
    admin.auth = object.get("auth").and_then(|field| auth::read(reader, field));
    admin
}
