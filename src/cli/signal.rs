use std::{io, process::ExitCode};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the program to stop.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from here on; a signal that arrives before it is waited for is not lost.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one, and answers with the exit code shells give a program that dies of it.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}

/// The exit code of a command that was at work when the signal came.
pub(super) fn interrupted(code: i32) -> ExitCode {
    code.try_into().map_or(ExitCode::FAILURE, |code: u8| code.into())
}
