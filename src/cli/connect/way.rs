use super::Connect;
use crate::{
    cli::{apps::Way, args::Common, client::url, error::Failure, file, read},
    config::Config,
    upstream::stdio::INHERITED,
};
use std::{cell::RefCell, collections::BTreeSet, env, path::Path};

/// How the client will reach the gateway.
pub(super) fn find(connect: &Connect, common: &Common) -> Result<Way, Failure> {
    let client = connect.place.client;
    let headers = connect.headers.clone();
    if connect.stdio || !client.takes_urls() {
        if connect.url.is_some() || !headers.is_empty() {
            let which = if connect.url.is_some() { "--url" } else { "--header" };
            let reason = format!("{which}: {} launches the gateway and connects to no address", client.name());
            return Err(Failure::usage(reason));
        }
        return launch(common);
    }
    if let Some(url) = &connect.url {
        let checked = crate::registry::Server::http("gateway", "gateway", url);
        checked.map_err(|invalid| Failure::usage(format!("--url: {}", invalid.reason)))?;
        return Ok(Way::Url { url: url.clone(), headers });
    }
    // Without a configuration there may still be a gateway, where it listens by default.
    let config = match file(common) {
        Ok(file) => read(&file)?,
        Err(_) => Config::default(),
    };
    if config.port == 0 {
        return Err(Failure::usage(
            "the gateway's port is a new one at each start: set `port`, or give its address with --url",
        ));
    }
    Ok(Way::Url { url: url(&config, (config.host, config.port).into()), headers })
}

/// The command line by which a client launches this program, wherever the client itself is started.
fn launch(common: &Common) -> Result<Way, Failure> {
    let file = file(common)?;
    // A mistake in it would only show in the client's log.
    read(&file)?;
    let file = std::path::absolute(&file).map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    let program =
        std::env::current_exe().map_err(|error| Failure::failed(format!("this program's own path: {error}")))?;
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| Failure::usage(format!("{}: the path is no UTF-8, which JSON must be", path.display())))
    };
    let args = ["serve", "--stdio", "--config"].map(str::to_owned).into_iter().chain([text(&file)?]).collect();
    Ok(Way::Launch { command: text(&program)?, args })
}

/// The variables without which the configuration cannot be read, but for those that whoever launches a program gives it: a
/// client that was started from a menu has none of those that this shell has.
pub(super) fn variables(file: &Path) -> Vec<String> {
    let asked = RefCell::new(BTreeSet::new());
    let all = Config::from_file_in(file, &|name| {
        asked.borrow_mut().insert(name.to_owned());
        env::var(name).ok()
    });
    if all.is_err() {
        return Vec::new();
    }
    let without = |hidden: &str| Config::from_file_in(file, &|name| env::var(name).ok().filter(|_| name != hidden));
    let needed = |name: &String| !INHERITED.contains(&name.as_str()) && without(name).is_err();
    asked.into_inner().into_iter().filter(needed).collect()
}
