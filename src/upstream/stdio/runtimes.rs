use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::runtime::Handle;

/// The runtimes that the pipes of children are served on, each child on one of them.
///
/// Where clients are served by runtimes of one thread each, a child on a runtime of its own would be served by another
/// thread than any client: each message to it and each of its answers would wake a thread. On one of theirs, that is so
/// for the clients of the others only.
///
/// ```
/// use tokio::runtime::Handle;
/// use tower_mcp_gateway::{config::Config, upstream::stdio::Runtimes};
///
/// # tokio_test::block_on(async {
/// let mut config = Config::new("gateway");
/// config.runtimes = Runtimes::new([Handle::current()]);
/// # });
/// ```
///
/// A child ends with its runtime. It stays there also when the connection of the client that began it goes to another.
#[derive(Clone, Debug)]
pub struct Runtimes {
    /// Never empty.
    all: Arc<[Handle]>,
    turn: Arc<AtomicUsize>,
}

impl Runtimes {
    /// These; `None` if there are none.
    pub fn new(runtimes: impl IntoIterator<Item = Handle>) -> Option<Self> {
        let all: Arc<[Handle]> = runtimes.into_iter().collect();
        (!all.is_empty()).then(|| Self { all, turn: Arc::default() })
    }

    /// Where the next child belongs: with whoever begins it, if that is one of these, as the only client of a child does;
    /// otherwise with each in turn.
    pub(super) fn next(&self) -> &Handle {
        let current = Handle::try_current().ok().map(|current| current.id());
        let own = self.all.iter().find(|runtime| Some(runtime.id()) == current);
        own.unwrap_or_else(|| &self.all[self.turn.fetch_add(1, Relaxed) % self.all.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    #[test]
    fn each_in_turn_unless_one_of_them_asks() {
        let runtimes = [(); 2].map(|()| Builder::new_current_thread().build().unwrap());
        let all = Runtimes::new(runtimes.iter().map(|runtime| runtime.handle().clone())).unwrap();
        let ids = [0, 1].map(|at: usize| runtimes[at].handle().id());
        assert_eq!([0; 3].map(|_| all.next().id()), [ids[0], ids[1], ids[0]]);
        let _entered = runtimes[0].enter();
        assert_eq!([0; 2].map(|_| all.next().id()), [ids[0]; 2]);
        assert!(Runtimes::new([]).is_none());
    }
}
