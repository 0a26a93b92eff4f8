//! The programs that people use MCP servers in: where each keeps its list of them, and in which words.

mod jsonc;
mod place;
mod source;

pub(super) use self::{
    jsonc::{Document, Unusable, same},
    source::{Found, find},
};

use jsonc_parser::cst::CstInputValue;
use std::{ffi::OsString, path::PathBuf};

/// A program that connects to MCP servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub(super) enum App {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    #[value(name = "vscode")]
    VsCode,
    Windsurf,
}

/// How a program reaches the gateway.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// It starts a gateway of its own.
    Launch { command: String, args: Vec<String> },
    /// It connects to one that runs.
    Url { url: String, headers: Vec<(String, String)> },
}

impl App {
    pub(super) const ALL: [App; 5] = [App::ClaudeDesktop, App::ClaudeCode, App::Cursor, App::VsCode, App::Windsurf];

    /// The word on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            App::ClaudeDesktop => "claude-desktop",
            App::ClaudeCode => "claude-code",
            App::Cursor => "cursor",
            App::VsCode => "vscode",
            App::Windsurf => "windsurf",
        }
    }

    /// The name on its title bar.
    pub(super) fn name(self) -> &'static str {
        match self {
            App::ClaudeDesktop => "Claude Desktop",
            App::ClaudeCode => "Claude Code",
            App::Cursor => "Cursor",
            App::VsCode => "VS Code",
            App::Windsurf => "Windsurf",
        }
    }

    /// The file in which it keeps this user's servers; `None` where the environment does not tell.
    pub(super) fn user_file(self, env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        place::user(self, cfg!(target_os = "macos"), env)
    }

    /// The file, from the root of a project, in which it keeps the servers of that project.
    pub(super) fn project_file(self) -> Option<&'static str> {
        match self {
            App::ClaudeCode => Some(".mcp.json"),
            App::Cursor => Some(".cursor/mcp.json"),
            App::VsCode => Some(".vscode/mcp.json"),
            App::ClaudeDesktop | App::Windsurf => None,
        }
    }

    /// The member of that file which holds the servers.
    pub(super) fn key(self) -> &'static str {
        match self {
            App::VsCode => "servers",
            _ => "mcpServers",
        }
    }

    /// Whether its file can name a server by its address. Claude Desktop's can only name programs to launch.
    pub(super) fn takes_urls(self) -> bool {
        self != App::ClaudeDesktop
    }

    /// The entry of the gateway, in this program's words.
    pub(super) fn entry(self, way: &Way) -> CstInputValue {
        let text = |text: &str| CstInputValue::String(text.to_owned());
        let mut members = Vec::new();
        match way {
            Way::Launch { command, args } => {
                if self == App::VsCode {
                    members.push(("type".to_owned(), text("stdio")));
                }
                members.push(("command".to_owned(), text(command)));
                members.push(("args".to_owned(), CstInputValue::Array(args.iter().map(|arg| text(arg)).collect())));
            }
            Way::Url { url, headers } => {
                if matches!(self, App::ClaudeCode | App::VsCode) {
                    members.push(("type".to_owned(), text("http")));
                }
                let key = if self == App::Windsurf { "serverUrl" } else { "url" };
                members.push((key.to_owned(), text(url)));
                if !headers.is_empty() {
                    let headers = headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
                    members.push(("headers".to_owned(), CstInputValue::Object(headers)));
                }
            }
        }
        CstInputValue::Object(members)
    }
}
