use crate::registry::{Connection, Server};
use std::{collections::BTreeMap, fmt, io, path::PathBuf, process::Stdio as Pipe};
use tokio::process::{Child, Command};

/// The variables of the gateway's own environment that children get; everything else may hold a secret of another
/// server.
pub const INHERITED: [&str; 7] = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG"];

/// How a child is started. Has no `Debug`: arguments and environment may be secrets.
pub(super) struct Recipe {
    command: String,
    args: Vec<String>,
    cwd: Option<PathBuf>,
    env: BTreeMap<String, String>,
}

impl Recipe {
    /// The recipe of a stdio server; `None` for any other.
    pub(super) fn of(server: &Server) -> Option<Self> {
        let Connection::Stdio { command, args, cwd, env } = server.connection() else { return None };
        Some(Self { command: command.clone(), args: args.clone(), cwd: cwd.clone(), env: env.clone() })
    }

    /// Starts a child as the leader of a process group, with all three pipes.
    pub(super) fn spawn(&self) -> Result<Child, CannotStart> {
        let mut command = Command::new(&self.command);
        command.args(&self.args).env_clear();
        command.envs(INHERITED.iter().filter_map(|key| Some((key, std::env::var_os(key)?)))).envs(&self.env);
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command.stdin(Pipe::piped()).stdout(Pipe::piped()).stderr(Pipe::piped());
        command.process_group(0).kill_on_drop(true);
        command.spawn().map_err(|source| self.explain(source))
    }

    fn explain(&self, source: io::Error) -> CannotStart {
        let reason = match &self.cwd {
            Some(cwd) if !cwd.is_dir() => "its working directory does not exist".into(),
            _ if source.kind() == io::ErrorKind::NotFound => "the command was not found".into(),
            _ if source.kind() == io::ErrorKind::PermissionDenied => "the command may not be executed".into(),
            _ => source.to_string(),
        };
        CannotStart { command: self.command.clone(), reason }
    }
}

/// A child could not be started: its command is missing, may not be executed, or has nowhere to run.
///
/// It is the source of a [`Connect`](crate::upstream::error::Connect), for the operator; clients are not told.
#[derive(Clone, Debug)]
pub struct CannotStart {
    command: String,
    reason: String,
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start {:?}: {}", self.command, self.reason)
    }
}

impl std::error::Error for CannotStart {}
