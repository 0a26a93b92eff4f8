use super::{
    Params,
    places::{self, Member, Places},
    splice::{self, Splice},
};
use crate::{
    json::{
        Json, Malformed,
        object::{self, Edit},
        write,
    },
    meta,
};
use bytes::Bytes;

impl Params {
    /// The parameters with another `name`.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Self {
        self.with_string(|places| &mut places.name, "name", name)
    }

    /// The parameters with another `uri`.
    #[must_use]
    pub fn with_uri(&self, uri: &str) -> Self {
        self.with_string(|places| &mut places.uri, "uri", uri)
    }

    /// The parameters with `_meta` edited; a `_meta` that ends up empty is taken out, one that is missing or no object
    /// is made anew.
    ///
    /// # Panics
    ///
    /// If the value of a member that is not [reserved](crate::meta) is no JSON, or is nested so deep that the parameters would be
    /// deeper than [`MAX_DEPTH`](crate::json::MAX_DEPTH).
    #[must_use]
    pub fn edit_meta(&self, edits: &[Edit<'_>]) -> Self {
        let meta = self.places.meta.value.range();
        let is_object = meta.as_ref().is_some_and(|meta| self.raw[meta.clone()].starts_with(b"{"));
        if edits.iter().all(|edit| places::index(edit.key().as_bytes()).is_some()) {
            if is_object {
                return self.splice_meta(edits);
            }
            if meta.is_none() {
                return self.insert_meta(edits);
            }
        }
        let old = self.meta().filter(|_| is_object).map_or(Bytes::from_static(b"{}"), Json::into_bytes);
        let new = object::edit(&old, edits).expect("checked when the value was made");
        match (self.places.meta.value.is_some(), &new[..]) {
            (false, b"{}") => self.clone(),
            (true, b"{}") => self.edit_shallow(&[Edit::Remove(meta::META)]),
            (_, value) => self.edit_shallow(&[Edit::Set(meta::META, value)]),
        }
    }

    /// The parameters with top-level members edited.
    ///
    /// ```
    /// use tower_mcp_gateway::json::{MAX_DEPTH, Params, object::Edit};
    ///
    /// let params = Params::empty().edit(&[Edit::Set("cursor", b"\"2\"")])?;
    /// assert_eq!(params.as_str(), r#"{"cursor":"2"}"#);
    /// let deepest = ["[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)].concat();
    /// assert!(params.edit(&[Edit::Set("cursor", deepest.as_bytes())]).is_err());
    /// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the parameters would be nested deeper than [`MAX_DEPTH`](crate::json::MAX_DEPTH), as a value may be that
    /// stood less deep where it came from; also if a value is no JSON, or a member that is not there is set twice.
    pub fn edit(&self, edits: &[Edit<'_>]) -> Result<Self, Malformed> {
        Self::parse(Json::trusted(object::edit(&self.raw, edits)?))
    }

    /// [`edit`](Self::edit) with values of the gateway's own, or that stood at least as deep where they came from.
    #[must_use]
    pub(crate) fn edit_shallow(&self, edits: &[Edit<'_>]) -> Self {
        self.edit(edits).expect("nothing stands deeper than in the message it came in")
    }

    /// Edits of known members alone, of a `_meta` that is an object.
    fn splice_meta(&self, edits: &[Edit<'_>]) -> Self {
        let mut wanted = places::each(|_| None);
        for edit in edits {
            let Some(at) = places::index(edit.key().as_bytes()) else { continue };
            if matches!(edit, Edit::Set(..)) || self.places.known[at].value.is_some() {
                wanted[at] = Some(*edit);
            }
        }
        if wanted.iter().all(Option::is_none) {
            return self.clone().without_empty_meta();
        }
        let mut splice = Splice::new(&self.raw, edits.iter().map(Edit::grown).sum());
        let mut changed = places::each(|_| None);
        for at in self.places.in_order() {
            changed[at] = wanted[at].take_if(|_| self.places.known[at].value.is_some()).map(|edit| match edit {
                Edit::Set(_, value) => splice.set(self.places.known[at], value),
                Edit::Remove(_) => splice.remove(self.places.known[at]),
            });
        }
        let end = self.places.meta.value.end as usize - 1;
        splice.replace(end..end, |out| {
            for (edit, changed) in wanted.iter().zip(&mut changed) {
                if let Some(Edit::Set(key, value)) = edit {
                    *changed = Some(splice::append(out, key, |out| out.extend_from_slice(value)));
                }
            }
        });
        let mut places = self.places;
        let raw = splice.finish(&mut places);
        for (known, changed) in places.known.iter_mut().zip(changed) {
            *known = changed.unwrap_or(*known);
        }
        Self { raw, places }.without_empty_meta()
    }

    /// Sets known members of a `_meta` that is not there.
    fn insert_meta(&self, edits: &[Edit<'_>]) -> Self {
        let mut sets = edits.iter().filter(|edit| matches!(edit, Edit::Set(..))).peekable();
        if sets.peek().is_none() {
            return self.clone();
        }
        let mut places = self.places;
        let grown = meta::META.len() + 6 + edits.iter().map(Edit::grown).sum::<usize>();
        let mut splice = Splice::new(&self.raw, grown);
        let (end, mut known) = (self.raw.len() - 1, places.known);
        let mut meta = Member::default();
        let members = |out: &mut Vec<u8>| {
            out.push(b'{');
            for edit in sets {
                if let (Edit::Set(key, value), Some(at)) = (edit, places::index(edit.key().as_bytes())) {
                    known[at] = splice::append(out, key, |out| out.extend_from_slice(value));
                }
            }
            out.push(b'}');
        };
        splice.replace(end..end, |out| meta = splice::append(out, meta::META, members));
        let raw = splice.finish(&mut places);
        Self { raw, places: Places { meta, known, ..places } }
    }

    fn without_empty_meta(self) -> Self {
        let meta = self.places.meta.value.range().and_then(|meta| self.raw[meta].strip_prefix(b"{"));
        if meta.is_none_or(|rest| rest.trim_ascii_start() != b"}") {
            return self;
        }
        let (meta, known) = (Member::default(), places::each(|_| Member::default()));
        let mut places = Places { meta, known, ..self.places };
        let mut splice = Splice::new(&self.raw, 0);
        splice.remove(self.places.meta);
        Self { raw: splice.finish(&mut places), places }
    }

    /// Gives the parameters of a note of progress another token.
    pub(crate) fn tell(&mut self, token: &Json) {
        if self.places.told.value.is_some() {
            self.raw = self.places.set(&self.raw, |places| &mut places.told, token.as_bytes());
        } else {
            *self = self.edit_shallow(&[Edit::Set(meta::PROGRESS_TOKEN, token.as_bytes())]);
        }
    }

    fn with_string(&self, place: fn(&mut Places) -> &mut Member, key: &str, text: &str) -> Self {
        let mut value = Vec::with_capacity(text.len() + 2);
        write::string(&mut value, text);
        self.with_value(place, key, &value)
    }

    fn with_value(&self, place: fn(&mut Places) -> &mut Member, key: &str, value: &[u8]) -> Self {
        let mut places = self.places;
        if !place(&mut places).value.is_some() {
            return self.edit_shallow(&[Edit::Set(key, value)]);
        }
        let raw = places.set(&self.raw, place, value);
        Self { raw, places }
    }
}

impl Places {
    /// The text with another value of a member that it has; all places are those in the new one then.
    fn set(&mut self, raw: &Bytes, place: fn(&mut Self) -> &mut Member, value: &[u8]) -> Bytes {
        let member = *place(self);
        let (start, end) = (member.value.start as usize, member.value.end as usize);
        if raw[start..end] == *value {
            return raw.clone();
        }
        let mut out = Vec::with_capacity(raw.len() - (end - start) + value.len());
        out.extend_from_slice(&raw[..start]);
        out.extend_from_slice(value);
        out.extend_from_slice(&raw[end..]);
        self.shift(member.value.end, (value.len() as u32).wrapping_sub(member.value.end - member.value.start));
        out.into()
    }
}
