//! One at a time of all gateways of a user.

use super::error::Failed;
use std::{io, path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep};

/// The longest wait for another gateway: an authorization server may let it wait for 15 s, and then it writes a file.
const WAIT: Duration = Duration::from_secs(20);
/// How often is looked whether it has finished: a person does not notice, and nobody's processor does.
const LOOK: Duration = Duration::from_millis(50);

/// The right to renew, to replace and to remove the tokens of one server, until it is dropped.
///
/// It holds nothing where no lock can be had, as in a folder that cannot be written: what would be guarded cannot be kept
/// there either.
#[derive(Default)]
pub(super) struct Held {
    #[cfg(unix)]
    _lock: Option<nix::fcntl::Flock<std::fs::File>>,
}

/// Waits until no other gateway holds `file`, which is made and left there: one that was removed could be held twice.
///
/// # Errors
///
/// [`Failed::Busy`] if another holds it for too long: it was stopped, or hangs.
pub(super) async fn hold(file: PathBuf) -> Result<Held, Failed> {
    let end = Instant::now() + WAIT;
    loop {
        let file = file.clone();
        let tried = tokio::task::spawn_blocking(move || attempt(&file)).await.map_err(io::Error::other);
        match tried.and_then(|tried| tried) {
            Ok(Some(held)) => return Ok(held),
            Ok(None) if Instant::now() < end => sleep(LOOK).await,
            Ok(None) => return Err(Failed::Busy(WAIT)),
            Err(error) => {
                tracing::debug!(%error, "the tokens are not guarded against other gateways");
                return Ok(Held::default());
            }
        }
    }
}

/// Without waiting, so that nothing is left behind that waits when the time is over; `None` if another holds it.
#[cfg(unix)]
fn attempt(file: &std::path::Path) -> io::Result<Option<Held>> {
    use nix::{
        errno::Errno,
        fcntl::{Flock, FlockArg},
    };
    use std::os::unix::fs::OpenOptionsExt;

    super::store::make(file.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(Held { _lock: Some(lock) })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn attempt(_: &std::path::Path) -> io::Result<Option<Held>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_hangs_is_waited_for_and_not_for_ever() {
        let folder = std::env::temp_dir().join(format!("gateway-{}", crate::oauth::pkce::random().unwrap()));
        let file = folder.join("issues.lock");
        let first = hold(file.clone()).await.unwrap();
        let began = Instant::now();
        assert!(matches!(hold(file.clone()).await, Err(Failed::Busy(WAIT))));
        assert!((WAIT..WAIT * 2).contains(&began.elapsed()));
        drop(first);
        hold(file).await.unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        // Where nothing can be kept there is nothing to guard.
        hold("/proc/none/issues.lock".into()).await.unwrap();
    }
}
