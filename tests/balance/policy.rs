use crate::{calls::call, provided_by};
use proptest::prelude::{any, prop, prop_assert, proptest};
use std::collections::HashMap;
use tower_mcp_gateway::{
    Call,
    balance::{
        Candidates, Member,
        policy::{LeastConnections, PeakEwma, Policy, Random, RoundRobin, Strategy, Weighted},
    },
    load::Meter,
};

fn members<const N: usize>(weights: [u32; N]) -> [Member; N] {
    let mut id = 0;
    weights.map(|weight| {
        id += 1;
        Member::new(format!("e-{id:03}").into(), Meter::new(weight))
    })
}

/// Who gets `n` calls like `call`.
fn picks<P: Policy>(policy: &P, candidates: &Candidates<'_>, call: &Call, n: usize) -> Vec<usize> {
    let plan = policy.plan(candidates.members());
    let picks: Vec<_> = (0..n).map(|_| P::pick(&plan, candidates, call)).collect();
    assert!(picks.iter().all(|&index| candidates.contains(index)), "only eligible members are picked");
    picks
}

fn count(picks: &[usize]) -> HashMap<usize, usize> {
    picks.iter().fold(HashMap::new(), |mut counts, &index| {
        *counts.entry(index).or_default() += 1;
        counts
    })
}

#[test]
fn round_robin_alternates_each_of_two_tools_called_in_turn() {
    let members = members([1, 1]);
    let all = Candidates::of(&members, [0, 1]);
    let (search, reindex) = (provided_by(["e-001", "e-002"]), provided_by(["e-001", "e-002"]));
    let policy = RoundRobin::default();
    let plan = policy.plan(&members);
    let turns = [&search, &reindex, &search, &reindex].map(|call| RoundRobin::pick(&plan, &all, call));
    assert_eq!(turns, [0, 0, 1, 1]);
}

#[test]
fn round_robin_is_even_among_the_eligible() {
    let members = members([1; 5]);
    let some = Candidates::of(&members, [0, 1, 4]);
    assert_eq!(picks(&RoundRobin::default(), &some, &call(), 6), [0, 1, 4, 0, 1, 4]);
}

#[test]
fn round_robin_goes_on_where_it_was_when_members_change() {
    let members = members([1; 3]);
    let (policy, all) = (RoundRobin::default(), Candidates::of(&members, 0..3));
    assert_eq!(picks(&policy, &all, &call(), 2), [0, 1]);
    assert_eq!(picks(&policy, &all, &call(), 2), [2, 0]);
}

#[test]
fn least_connections_counts_calls_in_flight_and_rotates_among_equals() {
    let members = members([1; 3]);
    let all = Candidates::of(&members, 0..3);
    let policy = LeastConnections::default();
    assert_eq!(picks(&policy, &all, &call(), 4), [0, 1, 2, 0]);
    let busy = members[0].meter().start();
    assert_eq!(count(&picks(&policy, &all, &call(), 4)), HashMap::from([(1, 2), (2, 2)]));
    let _busy = [members[1].meter().start(), members[1].meter().start(), members[2].meter().start()];
    drop(busy);
    assert_eq!(picks(&policy, &all, &call(), 2), [0, 0]);
    assert_eq!(picks(&policy, &Candidates::of(&members, [1, 2]), &call(), 2), [2, 2]);
}

#[test]
fn weighted_is_exact_over_a_round_and_smooth() {
    let members = members([3, 1, 2]);
    let all = Candidates::of(&members, 0..3);
    let two_rounds = picks(&Weighted::default(), &all, &call(), 12);
    assert_eq!(count(&two_rounds), HashMap::from([(0, 6), (1, 2), (2, 4)]));
    assert_eq!(two_rounds[..6], [0, 2, 0, 1, 2, 0], "spread, not in blocks");
}

#[test]
fn weighted_is_exact_over_a_round_of_those_that_are_eligible() {
    let members = members([3, 1, 2, 7]);
    let some = Candidates::of(&members, [0, 1, 3]);
    let round = picks(&Weighted::default(), &some, &call(), 11);
    assert_eq!(count(&round), HashMap::from([(0, 3), (1, 1), (3, 7)]));
    let one = Candidates::of(&members, [1]);
    assert_eq!(picks(&Weighted::default(), &one, &call(), 3), [1, 1, 1]);
}

#[test]
fn random_reaches_all_and_peak_ewma_prefers_the_idle() {
    fastrand::seed(7);
    let members = members([1; 4]);
    let all = Candidates::of(&members, 0..4);
    let random = count(&picks(&Random, &all, &call(), 4000));
    assert!((0..4).all(|index| (850..1150).contains(&random[&index])), "{random:?}");

    let _busy: Vec<_> = (0..50).map(|_| members[2].meter().start()).collect();
    let cheap = count(&picks(&PeakEwma, &all, &call(), 4000));
    assert_eq!(cheap.get(&2), None, "it loses against any other");
    assert_eq!(picks(&PeakEwma, &Candidates::of(&members, [2]), &call(), 1), [2]);
}

#[test]
fn no_strategy_picks_one_that_is_not_eligible() {
    fastrand::seed(8);
    let members: [Member; 130] = members([2; 130]);
    for strategy in Strategy::ALL {
        for eligible in [vec![0], vec![63, 64], vec![129], (5..100).step_by(3).collect(), (0..130).collect()] {
            let candidates = Candidates::of(&members, eligible.iter().copied());
            assert_eq!(candidates.iter().collect::<Vec<_>>(), eligible);
            assert_eq!(candidates.len(), eligible.len());
            picks(&strategy, &candidates, &call(), 300);
        }
    }
}

#[test]
fn names_are_read_and_written() {
    for strategy in Strategy::ALL {
        assert_eq!(strategy.to_string().parse(), Ok(strategy));
        let json = serde_json::to_string(&strategy).unwrap();
        assert_eq!(json, format!("\"{strategy}\""));
        assert_eq!(serde_json::from_str::<Strategy>(&json).unwrap(), strategy);
    }
    let closest = |name: &str| name.parse::<Strategy>().unwrap_err().closest();
    assert_eq!(closest("roundrobin"), Some(Strategy::RoundRobin));
    assert_eq!(closest("LEAST_CONNECTIONS"), Some(Strategy::LeastConnections));
    assert_eq!(closest("sticky"), None);
    assert_eq!(closest(&"w".repeat(100_000)), None);
    let error = serde_json::from_str::<Strategy>("\"wieghted\"").unwrap_err().to_string();
    assert!(error.contains("did you mean weighted?") && error.contains("peak-ewma"), "{error}");
}

proptest! {
    /// Over whole rounds, turns are exactly even (round-robin) or exactly in proportion (weighted), whoever is eligible.
    #[test]
    fn turns_are_fair_among_any_eligible_members(
        weights in prop::collection::vec(1u32..20, 1..80),
        chosen in prop::collection::vec(any::<bool>(), 80),
    ) {
        let members: Vec<_> =
            weights.iter().enumerate().map(|(n, w)| Member::new(format!("e-{n:03}").into(), Meter::new(*w))).collect();
        let mut eligible: Vec<_> = (0..members.len()).filter(|&n| chosen[n]).collect();
        if eligible.is_empty() {
            eligible.push(0);
        }
        let candidates = Candidates::of(&members, eligible.iter().copied());
        let even = count(&picks(&RoundRobin::default(), &candidates, &call(), eligible.len() * 3));
        prop_assert!(eligible.iter().all(|n| even[n] == 3), "{even:?}");

        // A schedule is in lowest terms; a round of the weights as they are is a whole number of its rounds.
        let round: u32 = eligible.iter().map(|&n| weights[n]).sum();
        let weighted = count(&picks(&Weighted::default(), &candidates, &call(), round as usize));
        prop_assert!(eligible.iter().all(|&n| weighted[&n] == weights[n] as usize), "{weighted:?} for {weights:?}");
    }

    /// Nobody but an eligible member is picked, whatever the loads are, and the least loaded is where load decides.
    #[test]
    fn only_eligible_members_are_picked_under_any_load(
        loads in prop::collection::vec(0usize..6, 1..80),
        chosen in prop::collection::vec(any::<bool>(), 80),
    ) {
        let members: Vec<_> =
            (0..loads.len()).map(|n| Member::new(format!("e-{n:03}").into(), Meter::new(1))).collect();
        let _flights: Vec<_> = loads
            .iter()
            .zip(&members)
            .flat_map(|(load, member)| (0..*load).map(|_| member.meter().start()))
            .collect();
        let mut eligible: Vec<_> = (0..members.len()).filter(|&n| chosen[n]).collect();
        if eligible.is_empty() {
            eligible.push(0);
        }
        let candidates = Candidates::of(&members, eligible.iter().copied());
        for strategy in Strategy::ALL {
            // `picks` asserts eligibility.
            picks(&strategy, &candidates, &call(), 50);
        }
        let least = eligible.iter().map(|&n| loads[n]).min().unwrap();
        let picked = picks(&LeastConnections::default(), &candidates, &call(), 20);
        prop_assert!(picked.iter().all(|&n| loads[n] == least));
    }
}
