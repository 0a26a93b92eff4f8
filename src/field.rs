use crate::{error::Problem, param_headers::mismatch};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A field of a head by how often it stands there: of two values, another reader may take the other.
#[derive(Clone, Copy, Default)]
pub(crate) enum Field<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Twice,
}

impl<'a> Field<'a> {
    pub(crate) fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut field = Field::Absent;
        headers.get_all(name).iter().for_each(|value| field.note(value));
        field
    }

    /// Takes note of one more value.
    pub(crate) fn note(&mut self, value: &'a HeaderValue) {
        *self = if let Field::Absent = self { Field::Once(value) } else { Field::Twice };
    }

    pub(crate) fn is_absent(self) -> bool {
        matches!(self, Field::Absent)
    }

    /// The value where it stands once.
    pub(crate) fn once(self) -> Option<&'a HeaderValue> {
        if let Field::Once(value) = self { Some(value) } else { None }
    }

    /// The one value, without the white space around it.
    pub(crate) fn single(self, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
        match self {
            Field::Absent => Ok(None),
            Field::Once(value) => {
                let text = value.to_str().map_err(|_| mismatch(format!("the header {name} holds invalid characters")));
                text.map(|text| Some(text.trim_matches([' ', '\t'])))
            }
            Field::Twice => Err(mismatch(format!("the header {name} stands twice"))),
        }
    }
}
