use sha2::{Digest, Sha256};
use std::{
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

/// The name under which a configuration is looked for.
pub(super) const NAME: &str = "tower-mcp-gateway.json";

/// No configuration file was named and none is where one is looked for.
#[derive(Debug)]
pub(super) struct Absent {
    looked: Vec<PathBuf>,
}

/// The configuration file to use if none was named.
pub(super) fn file(env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Absent> {
    let looked: Vec<_> =
        [Some(PathBuf::from(NAME)), folder(env).map(|folder| folder.join(NAME))].into_iter().flatten().collect();
    let found = looked.iter().find(|file| file.is_file()).cloned();
    found.ok_or(Absent { looked })
}

/// What tells a configuration from every other one of the machine, wherever it is named from: of equal names in two of them
/// neither servers nor gateways are the same.
pub(super) fn name_of(config: &Path) -> String {
    digest(&fs::canonicalize(config).unwrap_or_else(|_| config.to_owned()))
}

/// The same, wherever a file that is a link leads to: one that is led elsewhere and read again is still that gateway's.
pub(super) fn place_of(config: &Path) -> String {
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    digest(&folder.join(config.file_name().unwrap_or_default()))
}

fn digest(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The user's config folder of this program, by the XDG base directory rules: a relative path counts as none.
pub(super) fn folder(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |variable| env(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(base.join("tower-mcp-gateway"))
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looked: Vec<_> = self.looked.iter().map(|file| file.display().to_string()).collect();
        write!(f, "no configuration file: neither --config was given nor is there {}.\n\n", looked.join(" or "))?;
        write!(
            f,
            "Make one: `tower-mcp-gateway init` writes it with comments, `tower-mcp-gateway init --import` with the \
                   servers of\nClaude, Cursor, VS Code and Windsurf. Or write {NAME} yourself, for example:\n\n{EXAMPLE}"
        )
    }
}

/// The smallest file that shows both ways to reach a server.
pub(super) const EXAMPLE: &str = r#"{
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "."] },
    "search": { "type": "sse", "url": "http://localhost:3510" }
  }
}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_example_is_a_configuration() {
        let config = Config::parse(EXAMPLE, |_| None).unwrap();
        assert_eq!((config.servers.len(), config.notes), (2, vec![]));
    }

    #[test]
    fn the_users_folder_is_the_xdg_one_or_the_one_in_home() {
        let with = |set: &'static [(&str, &str)]| {
            folder(move |name| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]), Some("/x/tower-mcp-gateway".into()));
        assert_eq!(with(&[("XDG_CONFIG_HOME", "x"), ("HOME", "/h")]), Some("/h/.config/tower-mcp-gateway".into()));
        assert_eq!(with(&[]), None);
    }
}
