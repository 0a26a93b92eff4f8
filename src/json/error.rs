use super::Id;
use std::fmt;

/// A text that is not the JSON it should be, with the id of the request it belongs to where that could be read.
#[derive(Debug)]
pub struct Malformed(Box<Inner>);

/// Boxed, because every step of a scan says that it has not failed.
#[derive(Debug)]
struct Inner {
    fault: Fault,
    id: Option<Id>,
    /// It has a method, and nothing that only an answer has.
    asks: bool,
}

/// What is wrong with a [`Malformed`] text.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Not UTF-8 from this byte on.
    Utf8 {
        /// Bytes before the fault.
        offset: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep {
        /// Bytes before the fault.
        offset: usize,
    },
    /// Not JSON.
    Text {
        /// Bytes before the fault.
        offset: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A value of another type than the one it is read as.
    Type(serde_json::Error),
    /// A member that stands twice: two readers could disagree about which one counts.
    Duplicate(Box<str>),
    /// A member that a reader which is lax about spelling takes for one that is known: it differs from it in the case of its
    /// letters alone, or by a NUL behind it.
    Alike {
        /// As it is spelled.
        member: Box<str>,
        /// What it may be taken for.
        known: &'static str,
    },
    /// JSON, but no JSON-RPC 2.0 message; says why.
    Shape(&'static str),
}

impl Malformed {
    pub(crate) fn new(fault: Fault) -> Self {
        Self(Box::new(Inner { fault, id: None, asks: false }))
    }

    pub(crate) fn shape(reason: &'static str) -> Self {
        Self::new(Fault::Shape(reason))
    }

    pub(crate) fn with_id(mut self, id: Option<Id>) -> Self {
        self.0.id = id;
        self
    }

    pub(crate) fn asking(mut self, asks: bool) -> Self {
        self.0.asks = asks;
        self
    }

    /// What is wrong.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// The id of the faulty request, where it could be read.
    pub fn id(&self) -> Option<&Id> {
        self.0.id.as_ref()
    }

    /// Whether it is a faulty request or notification for certain, so that its id, if any, is one of its sender's.
    pub fn asks(&self) -> bool {
        self.0.asks
    }

    /// Whether the text is JSON at all: `false` is JSON-RPC's −32700, `true` its −32600.
    pub fn is_json(&self) -> bool {
        match &self.0.fault {
            Fault::Utf8 { .. } | Fault::TooDeep { .. } | Fault::Text { .. } => false,
            Fault::Type(error) => error.is_data(),
            Fault::Duplicate(_) | Fault::Alike { .. } | Fault::Shape(_) => true,
        }
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Fault::Type(error))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.fault {
            Fault::Utf8 { offset } => write!(f, "not UTF-8 at byte {offset}"),
            Fault::TooDeep { offset } => {
                write!(f, "nested deeper than {} levels at byte {offset}", super::MAX_DEPTH)
            }
            Fault::Text { offset, expected } => write!(f, "expected {expected} at byte {offset}"),
            Fault::Type(error) => write!(f, "{error}"),
            Fault::Duplicate(key) => write!(f, "the member {key:?} stands twice"),
            Fault::Alike { member, known } => write!(f, "the member {member:?} may be taken for {known:?}"),
            Fault::Shape(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Malformed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.fault {
            Fault::Type(error) => Some(error),
            _ => None,
        }
    }
}
