//! Which gateway this is, for a gateway that is behind itself must notice: it would list its own tools once more at each
//! round, under longer names, without end.
//!
//! A gateway tells an id of its process, and those of the gateways behind it, in `_meta` of what it answers to
//! `server/discover` and `initialize`. One that finds its own id at a server does not list it.

use crate::{
    json::{Json, object::push_member},
    meta,
};
use serde::{Deserialize, Serialize};

/// The member of `_meta`.
const KEY: &str = "tower-mcp-gateway/identity";

/// The most gateways that one may have behind it in turn; beyond them a circle is not noticed.
const MAX_GATEWAYS: usize = 64;

/// The longest id that is kept of another gateway; theirs are as long as this one's.
const MAX_ID_BYTES: usize = 64;

/// A gateway and those behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Itself first.
    gateways: Vec<Box<str>>,
    /// What tells its configuration file from others of the machine, where it was read from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) configuration: Option<Box<str>>,
}

impl Identity {
    /// A gateway unlike any other, with this configuration.
    pub(crate) fn new(configuration: Option<Box<str>>) -> Self {
        Self { gateways: vec![format!("{:032x}", fastrand::u128(..)).into()], configuration }
    }

    /// What is known of a gateway before it is made.
    pub(crate) fn of_configuration(configuration: Option<Box<str>>) -> Self {
        Self { configuration, ..Self::default() }
    }

    /// What a server says of itself in the result of `server/discover` or `initialize`; `None` of most, which are no
    /// gateways.
    pub(crate) fn of(result: &Json) -> Option<Self> {
        let mut read: Self = result.member(meta::META)?.member(KEY)?.read().ok()?;
        read.gateways.retain(|id| id.len() <= MAX_ID_BYTES);
        read.gateways.truncate(MAX_GATEWAYS);
        Some(read)
    }

    /// Whether `other` is this gateway, or has it behind it.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        self.gateways.first().is_some_and(|own| other.gateways.contains(own))
    }

    /// With the gateways behind those that it has.
    pub(crate) fn before<'a>(&self, others: impl Iterator<Item = &'a Self>) -> Self {
        let mut all = self.clone();
        for id in others.flat_map(|other| &other.gateways) {
            if all.gateways.len() == MAX_GATEWAYS {
                break;
            }
            if !all.gateways.contains(id) {
                all.gateways.push(id.clone());
            }
        }
        all
    }

    /// Writes it into a `_meta` that is being written; nothing of one that has no id.
    pub(crate) fn write(&self, meta: &mut Vec<u8>) {
        if !self.gateways.is_empty() {
            push_member(meta, KEY, &serde_json::to_vec(self).expect("strings are JSON"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(identity: &Identity) -> Json {
        let mut out = b"{\"_meta\":{".to_vec();
        identity.write(&mut out);
        out.extend_from_slice(b"}}");
        Json::parse(bytes::Bytes::from(out)).unwrap()
    }

    #[test]
    fn a_gateway_knows_itself_also_behind_others() {
        let (one, other) = (Identity::new(None), Identity::new(Some("file".into())));
        let read = Identity::of(&told(&other)).unwrap();
        assert_eq!(read, other);
        assert!(!one.is_in(&read) && other.is_in(&read));
        let both = Identity::of(&told(&one.before([&read, &read].into_iter()))).unwrap();
        assert!(one.is_in(&both) && other.is_in(&both));
        assert_eq!(both.gateways.len(), 2);
    }

    #[test]
    fn what_a_server_says_is_bounded_and_what_is_none_is_nothing() {
        let many: Vec<_> = (0..MAX_GATEWAYS + 9).map(|id| Box::from(id.to_string())).collect();
        let long = Box::from("x".repeat(MAX_ID_BYTES + 1));
        let boastful = Identity { gateways: [vec![long], many].concat(), configuration: None };
        let read = Identity::of(&told(&boastful)).unwrap();
        assert_eq!((read.gateways.len(), &*read.gateways[0]), (MAX_GATEWAYS, "0"));
        let all = Identity::new(None).before([&read].into_iter());
        assert_eq!(all.gateways.len(), MAX_GATEWAYS);
        for text in [r#"{"_meta":{"tower-mcp-gateway/identity":7}}"#, r#"{"_meta":{}}"#, "{}"] {
            assert_eq!(Identity::of(&Json::parse(text.to_owned()).unwrap()), None);
        }
        assert_eq!(told(&Identity::default()).as_str(), r#"{"_meta":{}}"#);
    }
}
