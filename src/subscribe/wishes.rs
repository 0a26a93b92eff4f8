use super::hub::Hub;
use crate::{
    Method,
    json::{
        Json, Params,
        object::{self, push_member},
        write,
    },
    reply::Note,
    route::Versions,
};

/// The longest URI that can be listened to, quotes and escapes included: 2 KiB, which is as long as browsers take.
const MAX_URI: usize = 2 << 10;

type Kind = (&'static str, Method, fn(&Versions) -> u64);

/// What can be told: the wish, the note, and the version that counts it.
const KINDS: [Kind; 3] = [
    ("toolsListChanged", Method::TOOLS_LIST_CHANGED, |versions| versions.tools),
    ("promptsListChanged", Method::PROMPTS_LIST_CHANGED, |versions| versions.prompts),
    ("resourcesListChanged", Method::RESOURCES_LIST_CHANGED, |versions| versions.resources),
];

/// What the `notifications` of a listen asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) lists: Lists,
    /// The URIs of `resourceSubscriptions`, those apart that are too long or too many.
    pub(super) uris: Vec<String>,
}

/// Which of [`KINDS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists([bool; 3]);

impl Wishes {
    /// `None` if `notifications` is no object.
    pub(super) fn parse(notifications: &Json) -> Option<Self> {
        let mut wishes = Self::default();
        object::each_member(notifications.as_bytes(), |key, value| {
            if let Some(at) = KINDS.iter().position(|(wish, ..)| *wish == key) {
                wishes.lists.0[at] = value.get() == "true";
            }
        })
        .ok()?;
        wishes.uris = notifications.member("resourceSubscriptions").map(|uris| read(&uris)).unwrap_or_default();
        Some(wishes)
    }
}

/// The URIs among the elements of an array.
fn read(uris: &Json) -> Vec<String> {
    let uris = uris.elements().into_iter().flatten();
    let uris = uris.filter(|uri| uri.as_bytes().len() <= MAX_URI).take(Hub::MAX_URIS);
    uris.filter_map(|uri| uri.read().ok()).collect()
}

impl Lists {
    pub(super) fn changed(self, old: &Versions, new: &Versions) -> Self {
        let mut changed = self;
        for (wanted, (_, _, count)) in changed.0.iter_mut().zip(&KINDS) {
            *wanted &= count(old) != count(new);
        }
        changed
    }

    pub(super) fn take_first(&mut self) -> Option<Method> {
        let at = self.0.iter().position(|wanted| *wanted)?;
        self.0[at] = false;
        Some(KINDS[at].1.clone())
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The note that says what is honoured (2026-07-28, "basic/patterns/subscriptions").
pub(super) fn acknowledgement<'a>(lists: Lists, uris: impl Iterator<Item = &'a str>) -> Note {
    let mut out = b"{\"notifications\":{".to_vec();
    for (_, (wish, ..)) in lists.0.iter().zip(&KINDS).filter(|(wanted, _)| **wanted) {
        push_member(&mut out, wish, b"true");
    }
    let mut array = b"[".to_vec();
    for uri in uris {
        if array.len() > 1 {
            array.push(b',');
        }
        write::string(&mut array, uri);
    }
    if array.len() > 1 {
        array.push(b']');
        push_member(&mut out, "resourceSubscriptions", &array);
    }
    out.extend_from_slice(b"}}");
    Note::new(Method::LISTEN_ACKNOWLEDGED, written(out))
}

/// The note that a resource has been updated.
pub(super) fn updated(uri: &str) -> Note {
    let mut out = b"{\"uri\":".to_vec();
    write::string(&mut out, uri);
    out.push(b'}');
    Note::new(Method::RESOURCES_UPDATED, written(out))
}

fn written(object: Vec<u8>) -> Params {
    Params::parse(Json::trusted(object.into())).expect("an object was written")
}
