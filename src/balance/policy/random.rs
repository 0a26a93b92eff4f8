use super::Policy;
use crate::{
    Call,
    balance::{Candidates, Member},
};

/// Any, each as likely as the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Policy for Random {
    type Plan = ();

    fn plan(&self, _: &[Member]) {}

    fn pick((): &(), candidates: &Candidates<'_>, _: &Call) -> usize {
        candidates.nth(fastrand::usize(..candidates.len()))
    }
}
