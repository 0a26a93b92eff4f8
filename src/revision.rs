//! The revisions of the Model Context Protocol.

use std::{fmt, str::FromStr};

/// A published revision of the protocol, oldest first.
///
/// They are ordered, so that a rule which holds from one revision on is a comparison.
///
/// ```
/// use tower_mcp_gateway::Revision;
///
/// let spoken: Revision = "2025-06-18".parse()?;
/// assert!(spoken >= Revision::V2025_06_18 && !spoken.is_modern());
/// assert!("2025-06-19".parse::<Revision>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Revision {
    /// HTTP+SSE and stdio.
    V2024_11_05,
    /// Streamable HTTP, with batches.
    V2025_03_26,
    /// `MCP-Protocol-Version` header; no batches.
    V2025_06_18,
    /// The last one that opens with `initialize`.
    V2025_11_25,
    /// Stateless requests, `server/discover`.
    V2026_07_28,
}

impl Revision {
    /// The newest revision that opens with `initialize`: what the gateway offers to, and accepts from, that era.
    pub const LATEST_LEGACY: Revision = Revision::V2025_11_25;
    /// The newest revision of self-contained requests.
    pub const LATEST_MODERN: Revision = Revision::V2026_07_28;
    /// [`LATEST_MODERN`](Self::LATEST_MODERN) as JSON.
    pub(crate) const QUOTED_MODERN: &str = "\"2026-07-28\"";
    /// All revisions, oldest first.
    pub const ALL: [Revision; 5] = [
        Revision::V2024_11_05,
        Revision::V2025_03_26,
        Revision::V2025_06_18,
        Revision::V2025_11_25,
        Revision::V2026_07_28,
    ];

    /// Whether requests of this revision carry their version, client and capabilities themselves.
    pub const fn is_modern(self) -> bool {
        matches!(self, Revision::V2026_07_28)
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Revision::V2024_11_05 => "2024-11-05",
            Revision::V2025_03_26 => "2025-03-26",
            Revision::V2025_06_18 => "2025-06-18",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2026_07_28 => "2026-07-28",
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no revision this crate knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no protocol revision is named {0:?}")]
pub struct UnknownRevision(pub Box<str>);

impl FromStr for Revision {
    type Err = UnknownRevision;

    fn from_str(name: &str) -> Result<Self, UnknownRevision> {
        Self::ALL.into_iter().find(|r| r.as_str() == name).ok_or_else(|| UnknownRevision(name.into()))
    }
}
