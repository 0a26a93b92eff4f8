use crate::json::{Json, object::each_member};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt};

/// What a model is told of a tool, as digests (SHA-256) of the bytes that the server wrote.
///
/// One for each of [`FIELDS`](Self::FIELDS), so that it can be said what has changed. Icons, `_meta` and the like are no
/// part of it: models do not read them, and servers may put what differs each time there.
///
/// ```
/// use tower_mcp_gateway::{json::Json, pin::Fingerprint};
///
/// let tool = |text| Fingerprint::of(&Json::from_static(text));
/// assert_eq!(tool(r#"{"name":"a","title":"A"}"#), tool(r#"{"title":"A","name":"a","icons":[]}"#));
/// assert_eq!(tool(r#"{"name":"a"}"#).differences(&tool(r#"{"name":"a","annotations":{}}"#)), ["annotations"]);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Fingerprint([Option<[u8; 32]>; Self::FIELDS.len()]);

/// How much of its digest stands for a fingerprint: a server that wants two texts with the same digits, one to be looked at
/// and one to be accepted, has to try 2⁶⁴ of them.
const SHORT: usize = 16;

impl Fingerprint {
    /// The members of a tool that count.
    pub const FIELDS: [&str; 5] = ["title", "description", "inputSchema", "outputSchema", "annotations"];

    /// That of a tool as its server wrote it.
    pub fn of(tool: &Json) -> Self {
        let mut digests = [None; Self::FIELDS.len()];
        let read = each_member(tool.as_bytes(), |key, value| {
            if let Some(at) = Self::FIELDS.iter().position(|field| *field == key) {
                digests[at] = Some(digest(value.as_bytes()));
            }
        });
        match read {
            Ok(()) => Self(digests),
            // Which of two members of one name a client reads is unknown, so all of it counts as each of them.
            Err(_) => Self([Some(digest(tool.as_bytes())); Self::FIELDS.len()]),
        }
    }

    /// The fields that are not the same in `other`.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = Self::FIELDS.into_iter().zip(self.0.iter().zip(&other.0));
        pairs.filter(|(_, (own, others))| own != others).map(|(field, _)| field).collect()
    }

    /// Digits that tell it from others, for people.
    pub(super) fn short(&self) -> String {
        let all: Vec<u8> = self.0.iter().flat_map(|digest| digest.unwrap_or_default()).collect();
        digest(&all)[..SHORT].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.short())
    }
}

impl From<Fingerprint> for BTreeMap<String, String> {
    fn from(print: Fingerprint) -> Self {
        let fields = Fingerprint::FIELDS.into_iter().zip(print.0);
        fields.filter_map(|(field, digest)| Some((field.to_owned(), URL_SAFE_NO_PAD.encode(digest?)))).collect()
    }
}

impl TryFrom<BTreeMap<String, String>> for Fingerprint {
    type Error = String;

    fn try_from(fields: BTreeMap<String, String>) -> Result<Self, String> {
        let mut digests = [None; Self::FIELDS.len()];
        for (field, text) in fields {
            let at = Self::FIELDS.iter().position(|known| *known == field).ok_or("a field that is none of a tool")?;
            let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            digests[at] = Some(bytes.ok_or("a digest that is none")?);
        }
        Ok(Self(digests))
    }
}
