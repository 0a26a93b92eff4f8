//! No process of a stdio server outlives the program that started it, however that ends.
//!
//! A program that stops in order stops its children first. One that is killed cannot, and a child that ignores the end of
//! its stdin would stay for ever. A [`Watchdog`] is a second process at the other end of a pipe: it is told of every
//! process group that begins and ends, and once the pipe closes it sends what is left of them SIGTERM, and a second
//! later SIGKILL. The `tower-mcp-gateway` command has one, itself, started again under another command line.
//!
//! A library cannot know how its program is started, so there it is a matter of two lines:
//!
//! ```no_run
//! use std::process::Command;
//! use tower_mcp_gateway::{config::Config, upstream::stdio::watchdog::{self, Watchdog}};
//!
//! if std::env::args().nth(1).as_deref() == Some("watchdog") {
//!     return watchdog::run(std::io::stdin());
//! }
//! let mut config = Config::new("my-gateway");
//! config.watchdog = Some(Watchdog::by(|| {
//!     let mut again = Command::new(std::env::current_exe().unwrap_or_default());
//!     again.arg("watchdog");
//!     again
//! }));
//! ```
//!
//! Without one, children of a program that is killed see their stdin close. Servers that follow the protocol leave then;
//! the others stay. A process that left its group (`setsid`) is out of reach either way, and so is one that is started
//! in the very moment in which the program is killed.

mod guard;

pub use self::guard::run;

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::Pid,
};
use std::{
    collections::BTreeSet,
    fmt,
    io::{self, PipeWriter, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

/// A watchdog that ends sooner is one that cannot be started, and not tried again at once.
const LIFE: Duration = Duration::from_secs(5);

/// The process that kills the groups of stdio servers when the one that holds this is gone. Clones are handles to one.
///
/// It is started with the first child, and again if somebody ends it.
#[derive(Clone)]
pub struct Watchdog(Arc<Inner>);

struct Inner {
    command: Box<dyn Fn() -> Command + Send + Sync>,
    state: Mutex<State>,
    gone: Condvar,
}

#[derive(Default)]
struct State {
    groups: BTreeSet<i32>,
    /// None before the first start, and while it cannot be started.
    pipe: Option<PipeWriter>,
    begun: bool,
    dismissed: bool,
}

impl Watchdog {
    /// A watchdog that `command` starts, whose program must call [`run`] with its stdin. Its stdin, stdout, stderr,
    /// environment, working directory and process group are set here.
    pub fn by(command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { command: Box::new(command), state: Mutex::default(), gone: Condvar::new() }))
    }

    /// Ends the process, which kills what is left, and waits for it for at most `patience`; blocks the thread. For a
    /// program that ends in order and wants to leave no process behind.
    pub fn dismiss(&self, patience: Duration) {
        let mut state = self.0.lock();
        (state.dismissed, state.pipe) = (true, None);
        // A lock that is poisoned is no reason to wait.
        let _ = self.0.gone.wait_timeout_while(state, patience, |state| state.begun);
    }

    /// From now on the group ends with this process.
    pub(super) fn watch(&self, group: Pid) {
        let mut state = self.0.lock();
        state.groups.insert(group.as_raw());
        if state.dismissed || std::mem::replace(&mut state.begun, true) {
            return state.tell('+', group.as_raw());
        }
        match state.launch((self.0.command)()) {
            Ok(child) => Inner::attend(&self.0, child),
            Err(error) => {
                state.begun = false;
                tracing::warn!(%error, "no watchdog: child processes may outlive a gateway that is killed");
            }
        }
    }

    /// The group has ended.
    pub(super) fn forget(&self, group: Pid) {
        let mut state = self.0.lock();
        if state.groups.remove(&group.as_raw()) {
            state.tell('-', group.as_raw());
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the process to end, which it does when nobody holds the handle, and starts it again before that. A
    /// thread, because the end must be seen in programs without a runtime of their own, and costs nothing until then.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own, outside any runtime")]
    fn attend(this: &Arc<Self>, mut child: Child) {
        let weak = Arc::downgrade(this);
        let attend = move || {
            let mut born = Instant::now();
            loop {
                // An error means that there is no such process any more.
                let _ = child.wait();
                if born.elapsed() < LIFE && !weak.upgrade().is_none_or(|this| this.lock().dismissed) {
                    thread::sleep(LIFE);
                }
                born = Instant::now();
                match Self::again(&weak) {
                    Some(Ok(again)) => child = again,
                    Some(Err(error)) => tracing::warn!(%error, "the watchdog cannot be started again"),
                    None => return,
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("watchdog".into()).spawn(attend) {
            tracing::warn!(%error, "nobody will notice if the watchdog ends");
        }
    }

    /// `None` if nobody wants it any more.
    fn again(this: &Weak<Self>) -> Option<io::Result<Child>> {
        let this = this.upgrade()?;
        let mut state = this.lock();
        if state.dismissed {
            state.begun = false;
            this.gone.notify_all();
            return None;
        }
        drop(state);
        tracing::warn!("the watchdog has ended; it is started again");
        let command = (this.command)();
        Some(this.lock().launch(command))
    }
}

impl State {
    fn launch(&mut self, mut command: Command) -> io::Result<Child> {
        self.pipe = None;
        let (told, pipe) = io::pipe()?;
        // One that does not read must not hold up the start of a server.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.pipe = Some(pipe);
        // Before it starts, so that at no moment it lives and knows of nobody.
        for group in self.groups.clone() {
            self.tell('+', group);
        }
        // A group of its own: what is sent to the program's group, as by Ctrl-C, is not meant for it.
        command.stdin(told).stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.env_clear().current_dir("/").process_group(0).spawn();
        started.inspect_err(|_| self.pipe = None)
    }

    /// A pipe that is broken is that of a process that has ended, whose successor is told of every group.
    fn tell(&mut self, what: char, group: i32) {
        let line = format!("{what}{group}\n");
        // So short a write is whole or not at all.
        if let Some(Err(error)) = self.pipe.as_mut().map(|pipe| pipe.write_all(line.as_bytes())) {
            tracing::debug!(%error, group, "the watchdog was not told");
        }
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").field("groups", &self.0.lock().groups).finish_non_exhaustive()
    }
}
