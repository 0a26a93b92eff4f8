use super::{OAuth, registration::Client, web};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// A token is renewed this many seconds before its end.
const EARLY: u64 = 60;

/// What is kept of a sign-in.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Grant {
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
    pub(super) fn left(&self) -> Option<u64> {
        self.expires.map(|end| end.saturating_sub(now()))
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
pub(super) struct Store(PathBuf);

impl Store {
    /// That of the server with this id, whose characters need not be those of file names.
    pub(super) fn new(settings: &OAuth, id: &str) -> Self {
        let plain: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        Self(settings.folder.join(format!("{}.json", plain.replace('.', "%2E"))))
    }

    /// What is kept; `None` if nothing is, or nothing that can be read.
    pub(super) fn load(&self) -> Option<Grant> {
        serde_json::from_slice(&fs::read(&self.0).ok()?).ok()
    }

    /// Keeps `grant` in place of what was there; nobody ever reads half of it, and nobody else any of it.
    pub(super) fn save(&self, grant: &Grant) -> io::Result<()> {
        let folder = self.0.parent().ok_or(io::ErrorKind::InvalidInput)?;
        make(folder)?;
        let draft = folder.join(format!(".{}", super::pkce::random()?));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        let text = serde_json::to_vec(grant).map_err(io::Error::other)?;
        let written = file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, &self.0));
        written.inspect_err(|_| drop(fs::remove_file(&draft)))
    }

    fn forget(&self) -> io::Result<bool> {
        match fs::remove_file(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn make(folder: &std::path::Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Forgets the tokens of the server with this id, and asks the authorization server to do so as well where it takes such
/// requests (RFC 7009). Tells whether there were any.
///
/// # Errors
///
/// If the file cannot be removed. That the authorization server could not be asked is no error: its tokens are of no use
/// to anybody who does not have them.
pub async fn sign_out(settings: &OAuth, id: &str) -> io::Result<bool> {
    let store = Store::new(settings, id);
    let grant = store.load();
    let known = store.forget()?;
    if let Some(Grant { revocation_endpoint: Some(endpoint), client, refresh_token, access_token, .. }) = grant {
        let mut form = vec![("token", refresh_token.as_deref().unwrap_or(&access_token))];
        let headers = client.sign(&mut form);
        if let Err(error) = web::post("the authorization server", &endpoint, &headers, web::form(&form)).await {
            tracing::debug!(%error, "tokens were forgotten here only");
        }
    }
    Ok(known)
}
