use crate::auth::Mark;
use std::collections::HashMap;

/// How much one principal may have, in parts of what is left to all others: three, so that one under whose name a whole
/// fleet comes has three quarters of everything, and whoever comes next finds room, however much the ones before want.
const SHARE: usize = 3;

/// Room that principals share: there is so much in all, and nobody takes so much of it that too little is left.
///
/// Those who are [nobody](Mark) cannot be told apart, and so are bounded together by what there is in all.
#[derive(Debug)]
pub(super) struct Shares {
    limit: usize,
    taken: usize,
    owned: HashMap<Mark, usize>,
}

impl Shares {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, taken: 0, owned: HashMap::new() }
    }

    /// Whether there is room for `more`, of which `owner` would have `own` for itself: less where it has some of it
    /// already, more where others have.
    pub(super) fn fits(&self, owner: Mark, own: usize, more: usize) -> bool {
        let Some(left) = (self.limit - self.taken).checked_sub(more) else { return false };
        let had = self.owned.get(&owner).copied().unwrap_or_default();
        // One more than the share, so that where there is room for one, one fits.
        more == 0 || owner == Mark::default() || had.saturating_add(own) <= left.saturating_mul(SHARE).saturating_add(1)
    }

    /// Takes what [fits](Self::fits).
    pub(super) fn take(&mut self, owner: Mark, own: usize, more: usize) {
        self.taken += more;
        if owner != Mark::default() && own > 0 {
            *self.owned.entry(owner).or_default() += own;
        }
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&mut self, owner: Mark, own: usize, less: usize) {
        self.taken -= less;
        if let Some(had) = self.owned.get_mut(&owner) {
            *had -= own;
            if *had == 0 {
                self.owned.remove(&owner);
            }
        }
    }

    pub(super) const fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `limit` places each of these gets who takes what it can, one after the other.
    fn greedy<const N: usize>(limit: usize, owners: [Mark; N]) -> [usize; N] {
        let mut shares = Shares::new(limit);
        let got = owners.map(|owner| {
            let takes = |_: &usize| {
                let fits = shares.fits(owner, 1, 1);
                if fits {
                    shares.take(owner, 1, 1);
                }
                fits
            };
            (0..=limit).take_while(takes).count()
        });
        for (owner, got) in owners.into_iter().zip(got) {
            shares.give_back(owner, got, got);
        }
        assert_eq!((shares.taken, shares.owned.len()), (0, 0), "everything is given back");
        got
    }

    #[test]
    fn each_leaves_a_quarter_to_those_who_come_after_it() {
        assert_eq!(greedy(1024, [[1; 16], [2; 16], [3; 16]]), [768, 192, 48]);
        assert_eq!(greedy(4, [[1; 16], [2; 16]]), [3, 1]);
        assert_eq!(greedy(1, [[1; 16], [2; 16]]), [1, 0], "where there is room for one, one has it");
    }

    #[test]
    fn nobody_has_all_that_is_left() {
        assert_eq!(greedy(1024, [Mark::default()]), [1024]);
        assert_eq!(greedy(1024, [[1; 16], Mark::default()]), [768, 256]);
        assert!(!Shares::new(0).fits(Mark::default(), 1, 1));
    }

    #[test]
    fn what_others_have_anyway_takes_no_room() {
        let mut shares = Shares::new(10);
        shares.take([1; 16], 7, 7);
        assert!(!shares.fits([2; 16], 8, 3) && shares.fits([2; 16], 7, 0));
    }
}
