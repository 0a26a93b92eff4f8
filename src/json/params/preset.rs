use super::{
    Params,
    places::{Known, Member, Places, Span, index},
};
use crate::{
    json::{Json, object::Edit},
    meta,
};
use bytes::Bytes;

/// What all requests of one client say in `_meta`, written once.
#[derive(Clone, Debug)]
pub(crate) struct Preset {
    /// Parameters with nothing but `_meta`.
    raw: Bytes,
    known: Known,
}

impl Preset {
    /// These members, of those that only a request of 2026-07-28 has.
    pub(crate) fn new(members: &[(&'static str, &[u8])]) -> Self {
        let length = members.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>();
        let (mut raw, mut known) = (Vec::with_capacity(length + OPEN.len() + 1), Known::default());
        raw.extend_from_slice(OPEN);
        for (key, value) in members {
            let key_at = raw.len() as u32;
            for text in [b"\"", key.as_bytes(), b"\":"] {
                raw.extend_from_slice(text);
            }
            let start = raw.len() as u32;
            raw.extend_from_slice(value);
            if let Some(at) = index(key.as_bytes()) {
                known[at] = Member { key: key_at, value: Span { start, end: raw.len() as u32 } };
            }
            raw.push(b',');
        }
        raw.pop();
        raw.extend_from_slice(b"}}");
        Self { raw: raw.into(), known }
    }

    /// The same with one member changed.
    #[must_use]
    pub(crate) fn with(&self, edit: Edit<'_>) -> Self {
        let Params { raw, places } = self.params().edit_meta(&[edit]);
        Self { raw, known: places.known }
    }

    /// One of its members, which shares its bytes.
    pub(crate) fn member(&self, key: &str) -> Option<Json> {
        self.params().meta_member(key)
    }

    fn params(&self) -> Params {
        Params { raw: self.raw.clone(), places: Places { meta: self.meta(), known: self.known, ..Places::default() } }
    }

    fn meta(&self) -> Member {
        Member { key: 1, value: Span { start: OPEN.len() as u32 - 1, end: self.raw.len() as u32 - 1 } }
    }
}

const OPEN: &[u8] = b"{\"_meta\":{";

impl Params {
    /// The parameters with what is preset, and without the other members of [`meta::MODERN`].
    pub(crate) fn with_preset(&self, preset: &Preset) -> Self {
        if self.places.meta.value.is_some() {
            let set = meta::MODERN.map(|key| (key, preset.member(key)));
            let edits = set.each_ref().map(|(key, value)| match value {
                Some(value) => Edit::Set(key, value.as_bytes()),
                None => Edit::Remove(key),
            });
            return self.edit_meta(&edits);
        }
        let open = &self.raw[..self.raw.len() - 1];
        let comma: &[u8] = if open.trim_ascii_end().ends_with(b"{") { b"" } else { b"," };
        let raw = [open, comma, &preset.raw[1..]].concat();
        let moved = (open.len() + comma.len()) as u32 - 1;
        let there = |member: Member| if member.value.is_some() { member.moved(moved) } else { member };
        let (meta, known) = (there(preset.meta()), preset.known.map(there));
        Self { raw: raw.into(), places: Places { meta, known, ..self.places } }
    }
}

impl Member {
    fn moved(self, by: u32) -> Self {
        let Self { key, value: Span { start, end } } = self;
        Self { key: key + by, value: Span { start: start + by, end: end + by } }
    }
}
