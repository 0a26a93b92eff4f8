use super::{Candidates, Tried, policy::Policy};
use crate::{
    Call, EndpointId,
    load::{Meter, Metered},
};

/// An endpoint of the pool, as a policy sees it.
#[derive(Clone, Debug)]
pub struct Member {
    id: EndpointId,
    meter: Meter,
}

impl Member {
    /// A member with its meter.
    pub const fn new(id: EndpointId, meter: Meter) -> Self {
        Self { id, meter }
    }

    /// Who it is.
    pub fn id(&self) -> &EndpointId {
        &self.id
    }

    /// What is known of its load.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

/// The pool at one moment. Members are in the order of their ids, whatever order they were found in.
pub(super) struct Snapshot<S, P: Policy> {
    members: Box<[Member]>,
    services: Box<[Metered<S>]>,
    plan: P::Plan,
}

impl<S: Clone, P: Policy> Snapshot<S, P> {
    /// `found` is sorted by id.
    pub(super) fn new<'a>(policy: &P, found: impl Iterator<Item = (&'a EndpointId, &'a Metered<S>)>) -> Self
    where
        S: 'a,
    {
        let (members, services): (Vec<_>, Vec<_>) =
            found.map(|(id, service)| (Member::new(id.clone(), service.meter().clone()), service.clone())).unzip();
        let plan = policy.plan(&members);
        Self { members: members.into(), services: services.into(), plan }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// The endpoint this call goes to, with a service that has not been made ready.
    pub(super) fn pick(&self, call: &Call) -> Option<(EndpointId, Metered<S>)> {
        let index = match &call.pin {
            Some(pin) => self.find(pin).filter(|&index| self.members[index].meter.is_well())?,
            None => {
                let candidates = self.candidates(call);
                if candidates.is_empty() {
                    return None;
                }
                P::pick(&self.plan, &candidates, call)
            }
        };
        Some((self.members[index].id.clone(), self.services[index].clone()))
    }

    fn candidates(&self, call: &Call) -> Candidates<'_> {
        let mut candidates = Candidates::none(&self.members);
        match &call.providers {
            Some(providers) => providers.endpoints().iter().filter_map(|id| self.find(id)).for_each(|index| {
                candidates.set(index, self.members[index].meter.is_well());
            }),
            None => (0..self.members.len()).for_each(|index| {
                candidates.set(index, self.members[index].meter.is_well());
            }),
        }
        let candidates = match call.extensions.get::<Tried>() {
            Some(tried) => self.untried(candidates, tried),
            None => candidates,
        };
        self.warm(candidates)
    }

    /// Without those that have just come back, for as large a part of the calls as they are still to be spared; with
    /// them where nobody else is left. Done here rather than by each policy, so that every policy starts them slowly.
    fn warm<'a>(&self, candidates: Candidates<'a>) -> Candidates<'a> {
        let is_spared = |index: usize| !self.members[index].meter.takes_turn();
        let mut warm: Option<Candidates<'a>> = None;
        for index in candidates.iter().filter(|&index| is_spared(index)) {
            warm.get_or_insert_with(|| candidates.clone()).set(index, false);
        }
        warm.filter(|warm| !warm.is_empty()).unwrap_or(candidates)
    }

    /// Without those that failed this call already, unless no other is left: one that was full or just reconnecting may
    /// take it this time.
    fn untried<'a>(&self, candidates: Candidates<'a>, tried: &Tried) -> Candidates<'a> {
        let mut untried = candidates.clone();
        tried.endpoints().iter().filter_map(|id| self.find(id)).for_each(|index| untried.set(index, false));
        if untried.is_empty() { candidates } else { untried }
    }

    fn find(&self, id: &EndpointId) -> Option<usize> {
        self.members.binary_search_by(|member| member.id.cmp(id)).ok()
    }
}
