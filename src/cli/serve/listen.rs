use super::Faces;
use crate::{
    cli::{
        client::{reachable, url},
        console::Console,
    },
    config::{Admin, Config},
};
use serde_json::json;
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// Where the program listens.
#[derive(Debug)]
pub(super) struct Listeners {
    /// For clients.
    pub(super) http: Option<TcpListener>,
    /// For the operator's programs.
    pub(super) admin: Option<TcpListener>,
    /// Whether the operator chose where to listen.
    is_admin_chosen: bool,
}

impl Listeners {
    pub(super) async fn bind(config: &Config, faces: Faces) -> Result<Self, String> {
        let http = match faces.http {
            true => Some(bind((config.host, config.port).into(), "--listen or `port`").await?),
            false => None,
        };
        let is_admin_chosen = faces.any_admin || config.admin.port.is_some();
        Ok(Self { http, admin: admin(&config.admin, faces).await?, is_admin_chosen })
    }

    /// Says what is noted of the configuration, and where the ports are.
    pub(super) fn tell(&self, config: &Config, console: &Console) -> io::Result<()> {
        for note in &config.notes {
            console.say("note", format!("note: {note}"), json!({ "message": note }));
        }
        if let Some(admin) = self.admin.as_ref().filter(|_| self.is_admin_chosen) {
            let url = format!("http://{}", reachable(admin.local_addr()?));
            console.say("admin", format!("servers, health and counts are shown at {url}"), json!({ "url": url }));
        }
        let Some(http) = &self.http else {
            console.note("listening", format!("{} serves stdin and stdout", config.name));
            return Ok(());
        };
        let url = url(config, http.local_addr()?);
        let line = format!("{} listens on {url}", config.name);
        console.say("listening", line, json!({ "name": config.name, "url": url }));
        Ok(())
    }
}

/// Listens where the operator's programs ask. The port that nobody chose is not worth a refusal to start: another gateway
/// of this machine may have it.
async fn admin(admin: &Admin, faces: Faces) -> Result<Option<TcpListener>, String> {
    let address = |port| SocketAddr::from((admin.host, port));
    match admin.port {
        _ if faces.any_admin => bind(address(0), "--admin").await.map(Some),
        Some(0) => Ok(None),
        // One of many that clients launch: not one that an operator would look for.
        None if !faces.http => Ok(None),
        Some(port) => bind(address(port), "--admin or `admin.port`").await.map(Some),
        None => match TcpListener::bind(address(Admin::PORT)).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::info!(port = Admin::PORT, %error, "servers and health are shown nowhere");
                Ok(None)
            }
        },
    }
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let (host, port) = (address.ip(), address.port());
        match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} on {host} is in use: stop the program that uses it, or choose another port with {setting} \
                 in the configuration"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("port {port} on {host} may not be used by this user: choose one above 1023 with {setting}")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "{host} is no address of this machine: set `host` to 127.0.0.1, or to 0.0.0.0 for every network"
                )
            }
            _ => format!("port {port} on {host} cannot be listened on: {error}"),
        }
    })
}
