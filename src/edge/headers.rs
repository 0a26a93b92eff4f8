use crate::{header::name, param_headers::PREFIX};
use http::{Extensions, HeaderMap, Uri};

pub(super) use crate::{
    field::Field,
    param_headers::{decoded, mismatch},
};

/// The fields of a request's head that an edge reads, found in one pass: a look-up of each would hash its name, also
/// where it is missing.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields<'a> {
    pub(super) media: Media<'a>,
    pub(super) target: Target<'a>,
}

/// What the body is, and what may answer it.
#[derive(Clone, Copy, Default)]
pub(super) struct Media<'a> {
    pub(super) content_type: Field<'a>,
    pub(super) content_encoding: Field<'a>,
    pub(super) content_length: Field<'a>,
    pub(super) accept: Field<'a>,
}

/// What the message is for.
#[derive(Clone, Copy, Default)]
pub(super) struct Target<'a> {
    pub(super) version: Field<'a>,
    pub(super) method: Field<'a>,
    pub(super) name: Field<'a>,
    #[cfg_attr(not(feature = "legacy"), allow(dead_code, reason = "only sessions have ids"))]
    pub(super) session: Field<'a>,
    #[cfg_attr(not(feature = "legacy"), allow(dead_code, reason = "only streams of sessions are gone on with"))]
    pub(super) last_event: Field<'a>,
    /// Whether any `Mcp-Param-*` is among them.
    pub(super) has_params: bool,
}

/// What stands before a message that was read, and says what it is for.
pub(super) struct Head<'a> {
    #[cfg_attr(not(feature = "legacy"), allow(dead_code, reason = "sessions of HTTP+SSE are named in it"))]
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) target: &'a Target<'a>,
    pub(super) extensions: Extensions,
}

impl<'a> Fields<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        let Self { media, target } = &mut fields;
        for (key, value) in headers {
            let field = match key.as_str() {
                "content-type" => &mut media.content_type,
                "content-encoding" => &mut media.content_encoding,
                "content-length" => &mut media.content_length,
                "accept" => &mut media.accept,
                name::PROTOCOL_VERSION => &mut target.version,
                name::METHOD => &mut target.method,
                name::NAME => &mut target.name,
                name::SESSION_ID => &mut target.session,
                name::LAST_EVENT_ID => &mut target.last_event,
                other => {
                    target.has_params |= other.starts_with(PREFIX);
                    continue;
                }
            };
            field.note(value);
        }
        fields
    }
}
