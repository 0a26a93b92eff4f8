use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for what has come of long bodies, of all clients together; clones share it.
///
/// The bodies come before anything knows whose they are or whether there is room for their calls. Without this, as many
/// connections as there are could each hold a body up to its limit for as long as it may take to arrive.
#[derive(Clone, Debug)]
pub(super) struct Uploads(Arc<Semaphore>);

/// The part of it that one body has.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Uploads {
    /// All of it, in bytes: 64 bodies of 4 MiB that are on their way at once.
    pub(super) const BYTES: usize = 256 << 20;
    /// What a body may be without a part of it, in bytes: nearly all are, and cost nothing here.
    pub(super) const FREE: usize = 64 << 10;
    /// What it is counted in, in bytes.
    const UNIT: usize = 1 << 10;

    /// Makes `share` large enough for a body of which so many `bytes` are here; false if there is no room.
    pub(super) fn cover(&self, share: &mut Share, bytes: usize) -> bool {
        if bytes <= share.bytes.max(Self::FREE) {
            return true;
        }
        // As a buffer grows: so that a long body is counted a few times, not with each piece.
        let wanted = bytes.next_power_of_two();
        let Ok(units) = ((wanted - share.bytes) / Self::UNIT).try_into() else { return false };
        let Ok(more) = self.0.clone().try_acquire_many_owned(units) else { return false };
        match &mut share.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        share.bytes = wanted;
        true
    }
}

impl Uploads {
    /// Room for so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / Self::UNIT).min(Semaphore::MAX_PERMITS))))
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self::of(Self::BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_share_room_that_comes_back_and_short_ones_take_none() {
        let uploads = Uploads::default();
        let mut shares: Vec<_> = (0..64).map(|_| Share::default()).collect();
        for bytes in [1, 64 << 10, (64 << 10) + 1, 1 << 20, (4 << 20) - 1, 4 << 20] {
            assert!(shares.iter_mut().all(|share| uploads.cover(share, bytes)), "{bytes}");
        }
        let mut late = Share::default();
        assert!(uploads.cover(&mut late, Uploads::FREE) && !uploads.cover(&mut late, Uploads::FREE + 1));
        shares.pop();
        assert!(uploads.cover(&mut late, 4 << 20) && !uploads.cover(&mut late, (4 << 20) + 1));
        assert!(!uploads.cover(&mut late, usize::MAX / 2 + 1));
    }
}
