use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A configuration that cannot be used.
///
/// Its text is meant for the operator: one line per mistake, all of a file at once.
///
/// ```
/// use tower_mcp_gateway::config::Config;
///
/// let error = Config::parse("{\n\"prot\": 4000,\n\"balancer\": \"fastest\" }", |_| None).unwrap_err();
/// let fields: Vec<_> = error.all().iter().map(|mistake| (mistake.line, mistake.field.as_str())).collect();
/// assert_eq!(fields, [(2, "prot"), (3, "balancer")]);
/// ```
#[derive(Debug)]
pub struct ConfigError {
    file: Option<PathBuf>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Unreadable(io::Error),
    Mistakes(Vec<Mistake>),
}

/// One thing in a configuration that is wrong.
///
/// `{}` says it in a line, with the place; the fields are for programs that show a configuration and mark mistakes in it.
///
/// ```
/// use tower_mcp_gateway::config::Config;
///
/// let error = Config::parse("{\n\"balancer\": \"randon\" }", |_| None).unwrap_err();
/// let mistake = &error.all()[0];
/// assert_eq!((mistake.field.as_str(), mistake.line), ("balancer", 2));
/// assert!(mistake.to_string().starts_with("`balancer` at line 2: "), "{mistake}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// The field as a path, such as `servers[1].connection.url`; empty where the text is no JSON.
    pub field: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub reason: String,
    /// Whether the field itself is what is wrong, not its value.
    pub(super) unknown: bool,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, error: io::Error) -> Self {
        Self { file: Some(file.into()), cause: Cause::Unreadable(error) }
    }

    pub(super) fn mistakes(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.line);
        Self { file: None, cause: Cause::Mistakes(mistakes) }
    }

    pub(super) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The mistakes in the order of their lines; none where the file could not be read.
    pub fn all(&self) -> &[Mistake] {
        match &self.cause {
            Cause::Unreadable(_) => &[],
            Cause::Mistakes(mistakes) => mistakes,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, line, reason, unknown } = self;
        match (field.is_empty(), unknown) {
            (true, _) => write!(f, "line {line}: {reason}"),
            (false, true) => write!(f, "unknown field `{field}` at line {line}: {reason}"),
            (false, false) => write!(f, "`{field}` at line {line}: {reason}"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or(Path::new("configuration"));
        match &self.cause {
            Cause::Unreadable(error) => write!(f, "{}: cannot be read: {error}", file.display()),
            Cause::Mistakes(mistakes) => {
                for (n, mistake) in mistakes.iter().enumerate() {
                    let end_of_line = if n == 0 { "" } else { "\n" };
                    write!(f, "{end_of_line}{}: {mistake}", file.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Unreadable(error) => Some(error),
            Cause::Mistakes(_) => None,
        }
    }
}
