use super::Member;

const BITS: usize = u64::BITS as usize;

/// The members of a pool, and which of them are eligible for one call.
///
/// Eligibility is a set of bits that does not change while a policy looks at it; up to 64 members it is one word, so that
/// a call to a partly eligible pool allocates nothing either.
///
/// ```
/// use tower_mcp_gateway::{balance::{Candidates, Member}, load::Meter};
///
/// let members = ["a", "b", "c"].map(|id| Member::new(id.into(), Meter::new(1)));
/// let candidates = Candidates::of(&members, [0, 2]);
/// assert_eq!((candidates.len(), candidates.nth(1)), (2, 2));
/// assert!(!candidates.contains(1));
/// ```
#[derive(Clone, Debug)]
pub struct Candidates<'a> {
    members: &'a [Member],
    eligible: Set,
    len: usize,
}

#[derive(Clone, Debug)]
enum Set {
    Word(u64),
    Words(Box<[u64]>),
}

impl<'a> Candidates<'a> {
    /// The members at these indices; for tests of a policy.
    ///
    /// # Panics
    ///
    /// If there is no member at one of them.
    pub fn of(members: &'a [Member], eligible: impl IntoIterator<Item = usize>) -> Self {
        let mut candidates = Self::none(members);
        eligible.into_iter().for_each(|index| candidates.set(index, true));
        candidates
    }

    pub(super) fn none(members: &'a [Member]) -> Self {
        let eligible = match members.len() {
            ..=BITS => Set::Word(0),
            more => Set::Words(vec![0; more.div_ceil(BITS)].into()),
        };
        Self { members, eligible, len: 0 }
    }

    pub(super) fn set(&mut self, index: usize, eligible: bool) {
        assert!(index < self.members.len(), "no member at {index}");
        let word = match &mut self.eligible {
            Set::Word(word) => word,
            Set::Words(words) => &mut words[index / BITS],
        };
        let bit = 1 << (index % BITS);
        self.len = self.len - usize::from(*word & bit != 0) + usize::from(eligible);
        *word = if eligible { *word | bit } else { *word & !bit };
    }

    /// All members, eligible or not.
    pub fn members(&self) -> &'a [Member] {
        self.members
    }

    /// How many are eligible.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is eligible.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether all are eligible.
    pub fn is_all(&self) -> bool {
        self.len == self.members.len()
    }

    /// Whether the member at `index` is eligible.
    pub fn contains(&self, index: usize) -> bool {
        self.words().get(index / BITS).is_some_and(|word| word & (1 << (index % BITS)) != 0)
    }

    /// The index of the `n`th eligible member.
    ///
    /// # Panics
    ///
    /// If `n` is not less than [`len`](Candidates::len).
    pub fn nth(&self, n: usize) -> usize {
        if self.is_all() && n < self.len {
            return n;
        }
        self.iter().nth(n).expect("fewer candidates than that")
    }

    /// The indices of the eligible members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words().iter().enumerate().flat_map(|(at, &word)| {
            let rest = std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)));
            rest.take_while(|&word| word != 0).map(move |word| at * BITS + word.trailing_zeros() as usize)
        })
    }

    fn words(&self) -> &[u64] {
        match &self.eligible {
            Set::Word(word) => std::slice::from_ref(word),
            Set::Words(words) => words,
        }
    }
}
