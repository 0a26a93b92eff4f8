use crate::{
    Glob, ServerName,
    pin::{Change, Pins},
};
use std::fmt;

/// What an operator should know about a merged table.
///
/// A notice belongs to a table as long as its cause lasts; it is logged when it first appears. `{}` says it in a
/// sentence.
///
/// ```
/// use std::sync::Arc;
/// use tower_mcp_gateway::{catalog::{Kind, Listing, Merge, Part}, json::Json};
///
/// let listing = Arc::new(Listing::default().with(Kind::Tools, Json::from_static(r#"[{"name":"search"}]"#)));
/// let parts = ["web", "files"].map(|server| Part::new(server, ()).listed(server, listing.clone()));
/// let table = Merge::new("platform", "1.0.0").table(&parts, None);
/// let said: Vec<_> = table.notices().iter().map(ToString::to_string).collect();
/// assert_eq!(said, [r#"the tool "search" of files appears as "files__search": the name is taken"#]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Notice {
    /// Its name belongs to another server, so clients see another one.
    Renamed {
        /// `tool` or `prompt`.
        kind: &'static str,
        /// Whose it is.
        server: ServerName,
        /// The server's own name for it.
        name: Box<str>,
        /// What clients see.
        exposed: Box<str>,
    },
    /// Its name, its qualified name or its URI belongs to another server, so clients do not see it.
    Hidden {
        /// `tool`, `prompt`, `resource` or `resource template`.
        kind: &'static str,
        /// Whose it is.
        server: ServerName,
        /// Its name or URI.
        name: Box<str>,
    },
    /// A tool whose name is longer than models take, so clients see a shorter one.
    Shortened {
        /// Whose it is.
        server: ServerName,
        /// The server's own name for it.
        name: Box<str>,
        /// What clients see.
        exposed: Box<str>,
    },
    /// A tool of an HTTP server with invalid `x-mcp-header` annotations, so clients do not see it.
    InvalidHeader {
        /// Whose it is.
        server: ServerName,
        /// Its name.
        name: Box<str>,
        /// What is wrong.
        fault: &'static str,
    },
    /// A pattern of the operator over tools, which none of the server's matches: most likely it is misspelt.
    Idle {
        /// Whose tools it is about.
        server: ServerName,
        /// The field it stands in.
        field: &'static str,
        /// The pattern.
        pattern: Glob,
    },
    /// A tool that can only be called as a task, so clients do not see it.
    NeedsTask {
        /// Whose it is.
        server: ServerName,
        /// Its name.
        name: Box<str>,
    },
    /// A tool that is not what was first seen.
    Changed {
        /// Whose it is.
        server: ServerName,
        /// Which, and what of it.
        change: Change,
        /// Whether clients do not see it.
        withheld: bool,
    },
    /// A server with more tools than are pinned.
    Unpinned {
        /// Whose they are.
        server: ServerName,
        /// Whether clients do not see those beyond.
        withheld: bool,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Renamed { kind, server, name, exposed } => {
                write!(f, "the {kind} {name:?} of {server} appears as {exposed:?}: the name is taken")
            }
            Notice::Hidden { kind, server, name } => {
                write!(f, "the {kind} {name:?} of {server} does not appear: another server has it")
            }
            Notice::Shortened { server, name, exposed } => {
                write!(f, "the tool {name:?} of {server} appears as {exposed:?}: models take 64 characters")
            }
            Notice::InvalidHeader { server, name, fault } => {
                write!(f, "the tool {name:?} of {server} does not appear: {fault}")
            }
            Notice::Idle { server, field, pattern } => {
                write!(f, "{pattern:?} in `{field}` of {server} matches none of its tools")
            }
            Notice::NeedsTask { server, name } => {
                write!(f, "the tool {name:?} of {server} does not appear: it can only be called as a task")
            }
            Notice::Changed { server, change, withheld } => {
                let (what, now) = (change.fields.join(", "), &change.now);
                // The name is the server's word, and what is printed may be copied into a shell: so it is no part of the
                // command.
                write!(f, "the tool {:?} of {server} is not what was first seen: {what} (now {now}); ", change.tool)?;
                f.write_str(if *withheld { "clients do not see it until it is accepted" } else { "clients see it" })?;
                f.write_str(" (`tower-mcp-gateway pins` shows and accepts)")
            }
            Notice::Unpinned { server, withheld } => {
                let max = Pins::MAX_TOOLS;
                write!(f, "{server} has more than {max} tools; changes of those beyond are not noticed")?;
                f.write_str(if *withheld { ", so clients do not see them" } else { "" })
            }
        }
    }
}
