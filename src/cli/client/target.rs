use super::{Client, hasty};
use crate::{
    catalog::Listing,
    cli::{
        accept::tls::shown,
        args::Common,
        error::{Failure, plain},
        find, pins, read,
    },
    config::Config,
    registry::{Entry, Server, Status},
};
use clap::Args;
use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// How long a gateway of this machine may take to accept a connection.
const KNOCK: Duration = Duration::from_millis(500);

/// Which gateway is asked.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Target {
    /// The gateway to ask, such as http://localhost:4000/mcp [default: the one that runs with this configuration; if
    /// none does, its servers are started for this one command]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// A header for that gateway, such as 'Authorization: Bearer …'; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Start the servers of the configuration even if a gateway runs
    #[arg(long, conflicts_with = "url")]
    local: bool,
}

pub(in crate::cli) fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("write `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Target {
    /// Opens a client of the gateway that is meant, and of the servers themselves where none runs.
    pub(in crate::cli) async fn open(&self, common: &Common) -> Result<Client, Failure> {
        if let Some(url) = &self.url {
            let (client, entry) = self.reach(url, None).await?;
            return match entry.status {
                Status::Connected => Ok(client),
                _ => Err(Failure::failed(self.unreached(url, &entry))),
            };
        }
        let config = match &common.config {
            Some(file) => Ok(file.clone()),
            None => find::file(|variable| std::env::var_os(variable)),
        };
        let config = match config {
            Ok(file) => {
                let mut config = read(&file)?;
                config.place = Some(find::place_of(&file).into());
                // What a gateway would withhold is withheld here as well.
                pins::recall(&mut config, &file);
                config
            }
            Err(absent) => match self.running(&Config::default()).await? {
                Some(client) => return Ok(client),
                None => return Err(Failure::usage(absent.to_string())),
            },
        };
        if !self.local
            && let Some(client) = self.running(&config).await?
        {
            return Ok(client);
        }
        Client::start(hasty(config)).map_err(Failure::usage)
    }

    /// A client of the gateway that runs with `config`, if one does. Another program may have its port, or the gateway of
    /// another configuration: it says which it has.
    async fn running(&self, config: &Config) -> Result<Option<Client>, Failure> {
        let listens = (config.host, config.port).into();
        let address = reachable(listens);
        // Where clients must show a certificate, there is none to show.
        let locked = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if config.port == 0 || locked || !matches!(timeout(KNOCK, TcpStream::connect(address)).await, Ok(Ok(_))) {
            return Ok(None);
        }
        let pinned = config.tls.as_ref().map(shown).transpose();
        let pinned = pinned.map_err(|invalid| Failure::usage(invalid.to_string()))?;
        let url = url(config, listens);
        let (client, entry) = self.reach(&url, pinned).await?;
        if entry.listing.as_ref().is_some_and(|listing| is_of(listing, config)) {
            return Ok(Some(client));
        }
        let locked = entry.error.as_deref().is_some_and(|error| error.contains("401") || error.contains("403"));
        let other = entry.listing.as_ref().is_some_and(|listing| listing.identity.is_some());
        client.close().await;
        if other {
            // Nobody can be told that stderr is closed.
            let _ = writeln!(
                io::stderr(),
                "note: the gateway at {url} runs with another configuration; the servers of this one are started for this \
                 command (--url asks that gateway)"
            );
        }
        if locked {
            return Err(Failure::failed(self.unreached(&url, &entry)));
        }
        Ok(None)
    }

    /// A gateway that has the one at `url` for its only server, and what has become of that.
    ///
    /// With `pinned`, it is the one that shows this certificate.
    async fn reach(&self, url: &str, pinned: Option<Vec<u8>>) -> Result<(Client, Entry), Failure> {
        let mut config = Config::default();
        // It names the fields of a configuration, and here they are options.
        let option = |text: String| text.replace("connection.url", "--url").replace("connection.headers", "--header");
        let invalid = |error: crate::registry::InvalidServer| Failure::usage(option(error.to_string()));
        let mut server = Server::http("gateway", "gateway", url).map_err(invalid)?;
        for (name, value) in &self.headers {
            server = server.header(name, value).map_err(invalid)?;
        }
        config.servers.push(pinned.into_iter().fold(server, Server::pinned));
        let client = Client::start(hasty(config)).map_err(Failure::usage)?;
        let registry = client.gateway.registry().clone();
        let mut changes = registry.changes();
        loop {
            changes.borrow_and_update();
            let entry = registry.list().into_iter().next();
            let entry = entry.ok_or_else(|| Failure::failed("the gateway ended"))?;
            if crate::cli::check::is_known(&entry) {
                return Ok((client, entry));
            }
            changes.changed().await.map_err(|_| Failure::failed("the gateway ended"))?;
        }
    }

    fn unreached(&self, url: &str, entry: &Entry) -> String {
        let error = plain(entry.error.as_deref().unwrap_or("no answer"));
        let remedy = match error.as_str() {
            error if (error.contains("401") || error.contains("403")) && self.headers.is_empty() => {
                "it wants credentials: give them with --header 'Authorization: Bearer …'"
            }
            error if error.contains("401") || error.contains("403") => "it refuses these credentials",
            error if error.contains("connection was refused") => "does a gateway run there?",
            error if error.contains("speaks no TLS") => "write http://, or the port that speaks TLS",
            error if error.contains("TLS") => {
                "its certificate is not accepted: is the host name right, and http:// or https://?"
            }
            _ => "is this the address of a gateway, with its path (/mcp)?",
        };
        format!("{url}: {error}\n{remedy}")
    }
}

/// Whether it is a gateway that runs with `config`. Where one of the two does not say which configuration that is, as a gateway
/// in a program of one's own, it is known by its name.
fn is_of(listing: &Listing, config: &Config) -> bool {
    let its = listing.identity.as_ref().and_then(|identity| identity.configuration.as_ref());
    match (its, &config.place) {
        (Some(its), Some(own)) => its == own,
        _ => {
            let name = listing.server_info.as_ref().and_then(|info| info.member("name")?.read().ok());
            name.is_some_and(|name: String| name == config.name)
        }
    }
}

/// Where a client of this machine finds the gateway of `config` that listens on `address`.
pub(in crate::cli) fn url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}/mcp", reachable(address))
}

/// Where a client of this machine reaches who listens on `address`: "every address" is none it could be given.
pub(in crate::cli) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
