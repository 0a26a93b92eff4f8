use super::client::Told;
use crate::{
    Revision,
    auth::Mark,
    clock,
    json::{Json, object::push_member},
    seal::{Keys, Nonce, Purpose},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// What a session id holds: enough to serve the session where nothing else is known of it.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) told: Told,
    pub(super) stamp: Stamp,
    /// Whose it is, and of which mount.
    pub(super) owner: Mark,
}

/// Which session it is, and the second it ends at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) expires: u64,
    pub(super) id: [u8; 16],
}

impl Token {
    /// How long a session lives at most: a working day, and the night after it.
    pub(super) const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
    /// The longest id; some intermediaries take no header above a few KiB in all.
    pub(super) const MAX_BYTES: usize = 1024;
    /// What fits into one: the seal takes 54 characters, and four are three bytes of content.
    const MAX_CONTENT: usize = (Self::MAX_BYTES - 54) / 4 * 3;

    /// The id of the session. Of a client that told a lot about itself it holds only what matters.
    pub(super) fn seal(keys: &Keys, nonce: Nonce, told: &Told, stamp: Stamp, owner: Mark) -> String {
        let (info, capabilities) = (&told.info, &told.capabilities);
        let with = |info: &Json, capabilities: &Json| content(told.revision, (stamp, owner), info, capabilities);
        let fits = |content: &Vec<u8>| content.len() <= Self::MAX_CONTENT;
        let content = Some(with(info, capabilities)).filter(fits).unwrap_or_else(|| {
            let brief = brief(info);
            let content = Some(with(&brief, capabilities)).filter(fits);
            let content = content.or_else(|| Some(with(&brief, &known(capabilities, true))).filter(fits));
            content.unwrap_or_else(|| with(&brief, &known(capabilities, false)))
        });
        keys.seal_with(nonce, Purpose::Session, &content)
    }

    /// What a session id holds; `None` for what these keys did not seal.
    pub(super) fn open(keys: &Keys, id: &str) -> Option<Self> {
        if id.len() > Self::MAX_BYTES {
            return None;
        }
        let content = keys.open(Purpose::Session, id)?;
        let (head, rest) = content.split_at_checked(HEAD)?;
        let expires = u64::from_be_bytes(head[1..9].try_into().ok()?);
        let (id, owner) = (head[9..25].try_into().ok()?, head[25..41].try_into().ok()?);
        let (info, capabilities) = rest.split_at_checked(u16::from_be_bytes([head[41], head[42]]).into())?;
        let json = |bytes: &[u8]| Json::parse(bytes.to_vec()).ok();
        let revision = *Revision::ALL.get(usize::from(head[0]))?;
        let told = Told { revision, info: json(info)?, capabilities: json(capabilities)? };
        Some(Self { told, stamp: Stamp { expires, id }, owner })
    }
}

/// Revision, expiry, id, owner, length of the client's name.
const HEAD: usize = 1 + 8 + 16 + 16 + 2;

fn content(revision: Revision, (stamp, owner): (Stamp, Mark), info: &Json, capabilities: &Json) -> Vec<u8> {
    let (info, capabilities) = (info.as_bytes(), capabilities.as_bytes());
    let place = Revision::ALL.iter().position(|known| *known == revision).unwrap_or_default();
    let mut out = Vec::with_capacity(HEAD + info.len() + capabilities.len());
    out.push(place as u8);
    out.extend_from_slice(&stamp.expires.to_be_bytes());
    out.extend_from_slice(&stamp.id);
    out.extend_from_slice(&owner);
    out.extend_from_slice(&(info.len() as u16).to_be_bytes());
    out.extend_from_slice(info);
    out.extend_from_slice(capabilities);
    out
}

/// Name and version, cut to a length that no real one has.
fn brief(info: &Json) -> Json {
    let text = |key| {
        let text = info.member(key).and_then(|text| text.read::<String>().ok()).unwrap_or_default();
        text.chars().filter(|c| !c.is_control() && !['"', '\\'].contains(c)).take(32).collect::<String>()
    };
    Json::from_value(&serde_json::json!({"name": text("name"), "version": text("version")})).expect("an object")
}

/// The capabilities a server's questions depend on; whole, or without whatever settings they hold.
fn known(capabilities: &Json, whole: bool) -> Json {
    const KNOWN: [(&str, &[&str]); 3] =
        [("elicitation", &["form", "url"]), ("sampling", &["tools", "context"]), ("roots", &[])];
    let mut out = b"{".to_vec();
    for (key, settings) in KNOWN {
        let Some(value) = capabilities.member(key).filter(|value| value.as_bytes().starts_with(b"{")) else { continue };
        let named = settings.iter().filter(|setting| value.member(setting).is_some());
        let plain = named.map(|setting| ((*setting).to_owned(), serde_json::json!({}))).collect();
        match whole {
            true => push_member(&mut out, key, value.as_bytes()),
            false => push_member(&mut out, key, serde_json::Value::Object(plain).to_string().as_bytes()),
        }
    }
    out.push(b'}');
    Json::trusted(out.into())
}

/// Seconds since 1970, counted on from when the edge was made: a clock that is set back revives nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: u64,
    since: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { start, since: Instant::now() }
    }

    pub(super) fn now(&self) -> u64 {
        self.at(clock::now())
    }

    /// The second in which `now` lies.
    pub(super) fn at(&self, now: Instant) -> u64 {
        self.start + now.saturating_duration_since(self.since).as_secs()
    }
}
