use super::{
    OAuth,
    discovery::{covers, origin},
    error::Failed,
    lock::{self, Held},
    registration::Client,
};
use http::Uri;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// A token is renewed this many seconds before its end.
const EARLY: u64 = 60;
/// Bytes of the digest in a file's name: enough that no two addresses of one user meet by chance.
const DIGEST: usize = 8;

/// What is kept of a sign-in.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Grant {
    /// The address of the server that the tokens were asked for; no other gets them. A grant without one is bound by its
    /// `resource`.
    #[serde(default)]
    pub(super) url: Option<String>,
    pub(super) token_endpoint: String,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) resource: String,
    pub(super) client: Client,
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    /// In seconds of Unix time, if the token ends at all.
    pub(super) expires: Option<u64>,
    /// Seconds from its making to its end.
    pub(super) lifetime: Option<u64>,
}

impl Grant {
    /// Seconds until the access token ends.
    fn left(&self) -> Option<u64> {
        self.expires.map(|end| end.saturating_sub(now()))
    }

    /// Whether the access token has not ended.
    pub(super) fn is_good(&self) -> bool {
        self.left().is_none_or(|left| left > 0)
    }

    /// Whether both are of one renewal.
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.access_token, &self.refresh_token) == (&other.access_token, &other.refresh_token)
    }

    /// Whether it is still good for a while, so that no call carries a token that ends on its way: for a minute, or for a
    /// quarter of a short life.
    pub(super) fn is_fresh(&self) -> bool {
        let early = self.lifetime.map_or(EARLY, |life| EARLY.min(life / 4));
        self.left().is_none_or(|left| left > early)
    }
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The file of one server's tokens.
///
/// One for each id and address: a configuration that gives the id to another server, or the server another address, finds
/// no tokens in it.
pub(super) struct Store {
    file: PathBuf,
    /// Where a grant is kept that was bound to no address.
    unbound: PathBuf,
    url: String,
}

impl Store {
    /// That of the server with this id at `url`. The characters of ids need not be those of file names.
    pub(super) fn new(settings: &OAuth, id: &str, url: &str) -> Self {
        let (url, plain) = (canonical(url), form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>());
        // Without dots of its own the id cannot look like another's with a digest.
        let plain = plain.replace('.', "%2E");
        let digest: String = Sha256::digest(&url)[..DIGEST].iter().map(|byte| format!("{byte:02x}")).collect();
        let at = |name: String| settings.folder.join(name);
        Self { file: at(format!("{plain}.{digest}.json")), unbound: at(format!("{plain}.json")), url }
    }

    /// The address in the spelling in which grants have it.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until no other gateway renews or replaces what is kept.
    ///
    /// # Errors
    ///
    /// [`Failed::Busy`] after a while.
    pub(super) async fn hold(&self) -> Result<Held, Failed> {
        lock::hold(self.file.with_extension("lock")).await
    }

    /// What is kept for this server; `None` if nothing is, or nothing that can be understood.
    ///
    /// # Errors
    ///
    /// If there is something that cannot be read.
    pub(super) fn load(&self) -> io::Result<Option<Grant>> {
        if let Some(grant) = read(&self.file)? {
            return Ok(self.ours(grant));
        }
        let Some(grant) = read(&self.unbound)?.filter(|grant| grant.url.is_none()) else { return Ok(None) };
        let Some(grant) = self.ours(grant) else { return Ok(None) };
        // Of several servers that it would be good for, the first has it: each refresh token is to be used once.
        match fs::rename(&self.unbound, &self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(read(&self.file)?.and_then(|grant| self.ours(grant)))
            }
            Err(error) => {
                tracing::debug!(%error, "tokens stay in a file that names no address");
                Ok(Some(grant))
            }
            Ok(()) => Ok(Some(grant)),
        }
    }

    /// The grant, bound to this server, if it is for it: asked for at its address, or for a resource that covers it (RFC 8707).
    fn ours(&self, grant: Grant) -> Option<Grant> {
        let is_for = match &grant.url {
            Some(url) => *url == self.url,
            None => self.url.parse().is_ok_and(|url| covers(&grant.resource, &url)),
        };
        is_for.then(|| Grant { url: Some(self.url.clone()), ..grant })
    }

    /// Keeps `grant` in place of what was there; nobody ever reads half of it, and nobody else any of it.
    pub(super) fn save(&self, grant: &Grant) -> io::Result<()> {
        let folder = self.file.parent().ok_or(ErrorKind::InvalidInput)?;
        make(folder)?;
        let draft = folder.join(format!(".{}", super::pkce::random()?));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        let text = serde_json::to_vec(grant).map_err(io::Error::other)?;
        let written =
            file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, &self.file));
        written.inspect_err(|_| drop(fs::remove_file(&draft)))
    }

    /// Whether there was something to forget.
    pub(super) fn forget(&self) -> io::Result<bool> {
        match fs::remove_file(&self.file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The address in one spelling.
fn canonical(url: &str) -> String {
    match url.parse::<Uri>() {
        Ok(uri) => {
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            format!("{}{path}", origin(&uri).to_ascii_lowercase())
        }
        Err(_) => url.to_owned(),
    }
}

fn read(file: &Path) -> io::Result<Option<Grant>> {
    match fs::read(file) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder that only this user can look into.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const HERE: &str = "https://mcp.a.example/v1/mcp";

    /// An empty folder, to be removed at the end of a test.
    pub(in crate::oauth) fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("gateway-{}", crate::oauth::pkce::random().unwrap()));
        make(&folder).unwrap();
        folder
    }

    pub(in crate::oauth) fn grant(resource: &str) -> Grant {
        let text = serde_json::json!({
            "token_endpoint": "https://as.example/token", "resource": resource, "access_token": "secret",
            "client": {"id": "gateway", "basic": false},
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_grant_is_for_one_address_alone() {
        let settings = OAuth::new(folder());
        let here = Store::new(&settings, "issues", HERE);
        here.save(&Grant { url: Some(here.url().to_owned()), ..grant(HERE) }).unwrap();
        let finds = |id: &str, url: &str| Store::new(&settings, id, url).load().unwrap().is_some();
        assert!(finds("issues", HERE) && finds("issues", "HTTPS://MCP.a.example/v1/mcp"));
        for url in ["https://mcp.b.example/v1/mcp", "http://mcp.a.example/v1/mcp", "https://mcp.a.example/v1/mcp/other"]
        {
            assert!(!finds("issues", url), "{url}");
        }
        assert!(!finds("other", HERE));
        // A file that was renamed, or a digest that was met, is not believed either.
        let there = Store::new(&settings, "issues", "https://mcp.b.example/v1/mcp");
        fs::copy(&here.file, &there.file).unwrap();
        assert!(there.load().unwrap().is_none());
        fs::remove_dir_all(&settings.folder).unwrap();
    }

    #[test]
    fn a_grant_without_an_address_is_taken_over_once_by_a_server_that_its_resource_covers() {
        let settings = OAuth::new(folder());
        let unbound = settings.folder.join("issues.json");
        let finds = |url: &str| Store::new(&settings, "issues", url).load().unwrap().is_some();
        for (resource, covered) in [("https://mcp.b.example/v1", false), (HERE, true), ("https://mcp.a.example", true)]
        {
            let store = Store::new(&settings, "issues", HERE);
            fs::write(&unbound, serde_json::to_vec(&grant(resource)).unwrap()).unwrap();
            assert_eq!(finds(HERE), covered, "{resource}");
            assert_eq!(unbound.exists(), !covered, "{resource}");
            assert!(!finds("https://mcp.a.example/v2/mcp"), "it was taken, or is another's");
            assert_eq!(finds(HERE), covered, "{resource}");
            store.forget().unwrap();
        }
        fs::remove_dir_all(&settings.folder).unwrap();
    }
}
