use super::App;
use std::{ffi::OsString, path::PathBuf};

/// The file of this user's servers. Which are the same on every system: Claude Code's, Cursor's and Windsurf's lie in the
/// home folder, Claude Desktop's and VS Code's where the system keeps what belongs to programs.
pub(super) fn user(app: App, macos: bool, env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |variable| env(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("HOME")?;
    let programs = || match macos {
        true => home.join("Library/Application Support"),
        false => absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
    };
    Some(match app {
        App::ClaudeDesktop => programs().join("Claude/claude_desktop_config.json"),
        App::ClaudeCode => absolute("CLAUDE_CONFIG_DIR").unwrap_or(home).join(".claude.json"),
        App::Cursor => home.join(".cursor/mcp.json"),
        App::VsCode => programs().join("Code/User/mcp.json"),
        App::Windsurf => home.join(".codeium/windsurf/mcp_config.json"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_lies_where_its_program_looks() {
        let place = |app, macos, set: &'static [(&str, &str)]| {
            let env = |name: &str| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into());
            user(app, macos, &env).map(|path| path.display().to_string())
        };
        let home: &[_] = &[("HOME", "/h")];
        let of = |app, macos| place(app, macos, home).unwrap();
        assert_eq!(of(App::ClaudeDesktop, false), "/h/.config/Claude/claude_desktop_config.json");
        assert_eq!(of(App::ClaudeDesktop, true), "/h/Library/Application Support/Claude/claude_desktop_config.json");
        assert_eq!(of(App::VsCode, false), "/h/.config/Code/User/mcp.json");
        assert_eq!(of(App::VsCode, true), "/h/Library/Application Support/Code/User/mcp.json");
        for macos in [false, true] {
            assert_eq!(of(App::ClaudeCode, macos), "/h/.claude.json");
            assert_eq!(of(App::Cursor, macos), "/h/.cursor/mcp.json");
            assert_eq!(of(App::Windsurf, macos), "/h/.codeium/windsurf/mcp_config.json");
        }
        let moved: &[_] = &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("CLAUDE_CONFIG_DIR", "/c")];
        assert_eq!(place(App::VsCode, false, moved).unwrap(), "/x/Code/User/mcp.json");
        assert_eq!(place(App::ClaudeCode, false, moved).unwrap(), "/c/.claude.json");
        assert_eq!(place(App::Cursor, false, &[]), None);
    }
}
