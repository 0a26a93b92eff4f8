use super::{Policy, Turn};
use crate::{
    Call,
    balance::{Candidates, Member},
};

/// The longest schedule, in turns. Weights whose sum is larger, after the greatest common divisor is taken out, are
/// scaled down to it.
const LONGEST: u64 = 4096;

/// In proportion to the weights, and evenly spread: weights 3 and 1 give `a a b a`, not `a a a b`.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params, load::Meter};
/// use tower_mcp_gateway::balance::{Candidates, Member, policy::{Policy, Weighted}};
///
/// let members = [("a", 3), ("b", 1)].map(|(id, weight)| Member::new(id.into(), Meter::new(weight)));
/// let plan = Weighted::default().plan(&members);
/// let (all, call) = (Candidates::of(&members, [0, 1]), Call::new(Method::PING, Params::empty()));
/// let round: Vec<_> = (0..4).map(|_| members[Weighted::pick(&plan, &all, &call)].id().as_str()).collect();
/// assert_eq!(round, ["a", "a", "b", "a"]);
/// ```
///
/// A whole pool follows a schedule that is made once per membership (smooth weighted round-robin). Over one round, as many
/// calls as the weights' sum, each endpoint gets exactly its weight. If only some members are eligible the same holds among
/// them. Weights come from [`Meter::weight`](crate::load::Meter::weight); sums above 4096 are scaled down to it, which rounds.
#[derive(Clone, Debug, Default)]
pub struct Weighted(Turn);

/// The order in which [`Weighted`] takes turns.
#[derive(Debug)]
pub struct Schedule {
    turn: Turn,
    weights: Box<[u32]>,
    order: Box<[u32]>,
}

impl Policy for Weighted {
    type Plan = Schedule;

    fn plan(&self, members: &[Member]) -> Schedule {
        let weights = scaled(members.iter().map(|member| member.meter().weight()).collect());
        Schedule { turn: self.0.clone(), order: smooth(&weights), weights }
    }

    fn pick(schedule: &Schedule, candidates: &Candidates<'_>, call: &Call) -> usize {
        let turn = schedule.turn.next(call);
        if candidates.is_all() && !schedule.order.is_empty() {
            return schedule.order[turn % schedule.order.len()] as usize;
        }
        schedule.pick_among(candidates, turn)
    }
}

impl Schedule {
    /// Lays the candidates' weights end to end and walks around in strides that meet every place once per round.
    fn pick_among(&self, candidates: &Candidates<'_>, turn: usize) -> usize {
        let weight = |index: usize| u64::from(self.weights[index]);
        let round: u64 = candidates.iter().map(weight).sum();
        let mut place = (turn as u64 % round) * stride(round) % round;
        let here = candidates.iter().find(|&index| match place.checked_sub(weight(index)) {
            Some(rest) => {
                place = rest;
                false
            }
            None => true,
        });
        here.unwrap_or_else(|| candidates.nth(0))
    }
}

/// The weights without their greatest common divisor, scaled so that their sum is at most [`LONGEST`].
fn scaled(mut weights: Box<[u32]>) -> Box<[u32]> {
    let divisor = weights.iter().fold(0, |divisor, &weight| gcd(divisor, weight.into())).max(1);
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight) / divisor).sum();
    for weight in &mut weights {
        let whole = u64::from(*weight) / divisor;
        let part = if sum > LONGEST { (whole * LONGEST / sum).max(1) } else { whole };
        *weight = u32::try_from(part).expect("no larger than before");
    }
    weights
}

/// Each turn every member earns its weight, and the one that has earned most pays for all.
fn smooth(weights: &[u32]) -> Box<[u32]> {
    let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
    let mut earned = vec![0; weights.len()];
    let mut turn = |_| {
        earned.iter_mut().zip(weights).for_each(|(earned, &weight)| *earned += i64::from(weight));
        // The first of equals.
        let most = (0..earned.len()).rev().max_by_key(|&index| earned[index]).unwrap_or_default();
        earned[most] -= sum;
        u32::try_from(most).expect("a pool has fewer members")
    };
    (0..sum).map(&mut turn).collect()
}

/// A number without a common divisor with `round`, near its golden section, where walks spread most evenly.
fn stride(round: u64) -> u64 {
    let section = (round * 618 / 1000).max(1);
    (section..).find(|&stride| gcd(stride, round) == 1).unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_smooth() {
        assert_eq!(*smooth(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(*smooth(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*smooth(&[1, 1, 1]), [0, 1, 2]);
        assert!(smooth(&[]).is_empty());
    }

    #[test]
    fn weights_are_reduced_and_the_schedule_is_bounded() {
        assert_eq!(*scaled([1000, 500].into()), [2, 1]);
        assert_eq!(*scaled([1000; 3].into()), [1, 1, 1]);
        let many = scaled((1..=1000).collect());
        let sum: u64 = many.iter().map(|&weight| u64::from(weight)).sum();
        assert!(sum <= LONGEST + 1000 && many.iter().all(|&weight| weight > 0), "{sum}");
    }

    #[test]
    fn strides_meet_every_place() {
        for round in 1..500 {
            let mut places: Vec<_> = (0..round).map(|turn| turn * stride(round) % round).collect();
            places.sort_unstable();
            assert_eq!(places, (0..round).collect::<Vec<_>>());
        }
    }
}
