use super::{
    inbox::Inbox,
    own::Arrival,
    room::Room,
    sight::Sight,
    topic::{Holder, Listener, State, Topic},
};
use crate::{
    EndpointId,
    auth::Mark,
    health::{Verdict, Verdicts},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map, hash_map::Entry},
    sync::Arc,
};
use tokio::sync::Notify;

/// The URIs one endpoint is asked to tell of.
pub(super) type Uris = BTreeSet<Arc<str>>;

/// All subscriptions to resources: which URI has which listeners, and which endpoint is asked for it.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// For each URI a topic for those who see the same: what one of them must not know of tells another of it.
    by_uri: HashMap<Arc<str>, HashMap<Sight, Topic>>,
    /// How many of the URIs have each length.
    lengths: BTreeMap<usize, usize>,
    posts: HashMap<EndpointId, Post>,
    room: Room,
    /// Counts listeners and posts.
    last: u64,
}

/// An endpoint that can be asked.
#[derive(Debug)]
struct Post {
    number: u64,
    wanted: Uris,
    /// Listeners that have come since the feed has looked, by number.
    arrivals: HashMap<u64, Arrival>,
    changed: Arc<Notify>,
}

impl Post {
    /// The listener comes for the URI; `last` counts arrivals.
    fn arrive(&mut self, uri: &Arc<str>, (number, listener): (u64, &mut Listener), last: &mut u64) {
        let Some(client) = listener.inbox.client() else { return };
        let arrival = self.arrivals.entry(number).or_insert_with(|| {
            *last += 1;
            Arrival::new(*last, client.clone(), listener.inbox.clone())
        });
        listener.stay = arrival.take(uri, listener.place);
        self.changed.notify_one();
    }

    /// A listener that has come for the URI need not be looked at for it any more.
    fn leave(&mut self, uri: &str, number: u64) {
        if let Entry::Occupied(mut arrival) = self.arrivals.entry(number)
            && !arrival.get_mut().leave(uri)
        {
            arrival.remove();
        }
    }
}

enum Place {
    At(EndpointId),
    /// Somebody may be there soon.
    Later,
    Nowhere,
}

impl Topics {
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether there is room for this principal to listen to all of these.
    pub(super) fn has_room(&self, owner: Mark, uris: &[Arc<str>]) -> bool {
        self.room.fits(owner, uris.iter().map(|uri| (uri, !self.has(uri))))
    }

    /// Listeners of all topics together.
    pub(super) const fn subscriptions(&self) -> usize {
        self.room.subscriptions()
    }

    /// Whether somebody listens to the URI.
    fn has(&self, uri: &str) -> bool {
        self.by_uri.contains_key(uri)
    }

    fn get(&self, uri: &str, sight: &Sight) -> Option<&Topic> {
        self.by_uri.get(uri)?.get(sight)
    }

    fn get_mut(&mut self, uri: &str, sight: &Sight) -> Option<&mut Topic> {
        self.by_uri.get_mut(uri)?.get_mut(sight)
    }

    /// What this endpoint is asked to tell of under this URI, with who sees it there.
    fn asked<'a>(&'a mut self, endpoint: &EndpointId, uri: &str) -> impl Iterator<Item = (&'a Sight, &'a mut Topic)> {
        let topics = self.by_uri.get_mut(uri).into_iter().flatten();
        topics.filter(move |(_, topic)| topic.place.as_ref() == Some(endpoint))
    }

    // ===== listeners =====

    pub(super) fn subscribe(
        &mut self,
        uri: &Arc<str>,
        Holder { number, sight, owner }: &Holder,
        (inbox, place): (Arc<Inbox>, usize),
        verdicts: &Verdicts,
    ) {
        let is_new = !self.has(uri);
        self.room.take(*owner, uri, is_new);
        if is_new {
            *self.lengths.entry(uri.len()).or_default() += 1;
        }
        let topic = self.by_uri.entry(uri.clone()).or_default().entry(sight.clone()).or_default();
        if topic.state == State::Live {
            inbox.decide(place, true);
        }
        let mut one = Listener { inbox, place, stay: None };
        if let Some(post) = topic.place.as_ref().and_then(|place| self.posts.get_mut(place)) {
            post.arrive(uri, (*number, &mut one), &mut self.last);
        }
        topic.listeners.insert(*number, one);
        if topic.place.is_none() {
            self.place(uri, sight, verdicts);
        }
    }

    /// Without effect where the listener has been let go before.
    pub(super) fn release(&mut self, uri: &Arc<str>, Holder { number, sight, owner }: &Holder) {
        let Some(topics) = self.by_uri.get_mut(uri) else { return };
        let Some(topic) = topics.get_mut(sight) else { return };
        if topic.listeners.remove(number).is_none() {
            return;
        }
        if let Some(post) = topic.place.as_ref().and_then(|place| self.posts.get_mut(place)) {
            post.leave(uri, *number);
        }
        if topic.listeners.is_empty() {
            let place = topics.remove(sight).and_then(|topic| topic.place);
            if topics.is_empty() {
                self.by_uri.remove(uri);
                self.forget_length(uri.len());
            }
            self.withdraw(uri, place);
        }
        let is_last = !self.has(uri);
        self.room.give_back(*owner, uri, is_last);
    }

    fn forget_length(&mut self, length: usize) {
        if let btree_map::Entry::Occupied(mut uris) = self.lengths.entry(length) {
            *uris.get_mut() -= 1;
            if *uris.get() == 0 {
                uris.remove();
            }
        }
    }

    // ===== endpoints =====

    /// Takes an endpoint in, in the place of an earlier one of its id.
    pub(super) fn attach(&mut self, endpoint: EndpointId, verdicts: &Verdicts) -> (u64, Arc<Notify>) {
        let (number, changed) = (self.number(), Arc::new(Notify::new()));
        let post = Post { number, wanted: Uris::new(), arrivals: HashMap::new(), changed: changed.clone() };
        let former = self.posts.insert(endpoint.clone(), post);
        self.unplace(&endpoint, former.map(|post| post.wanted).unwrap_or_default());
        self.review(verdicts);
        (number, changed)
    }

    pub(super) fn detach(&mut self, endpoint: &EndpointId, number: u64, verdicts: &Verdicts) {
        if self.posts.get(endpoint).is_some_and(|post| post.number == number) {
            let former = self.posts.remove(endpoint).map(|post| post.wanted).unwrap_or_default();
            self.unplace(endpoint, former);
            self.review(verdicts);
        }
    }

    fn unplace(&mut self, endpoint: &EndpointId, uris: Uris) {
        for uri in uris {
            for (_, topic) in self.asked(endpoint, &uri) {
                topic.place = None;
                topic.leave();
            }
        }
    }

    pub(super) fn wanted(&self, endpoint: &EndpointId) -> Uris {
        self.posts.get(endpoint).map(|post| post.wanted.clone()).unwrap_or_default()
    }

    /// Those that have come to the endpoint and not gone again.
    pub(super) fn arrivals(&mut self, endpoint: &EndpointId) -> Vec<Arrival> {
        let arrivals = self.posts.get_mut(endpoint).map(|post| std::mem::take(&mut post.arrivals));
        arrivals.unwrap_or_default().into_values().map(Arrival::seen).collect()
    }

    /// The endpoint has answered which of the URIs it tells of.
    pub(super) fn acknowledged(&mut self, endpoint: &EndpointId, asked: &Uris, honoured: &Uris, verdicts: &Verdicts) {
        for uri in asked {
            let mut refused = Vec::new();
            for (sight, topic) in self.asked(endpoint, uri) {
                if honoured.contains(uri) {
                    topic.live();
                } else {
                    topic.lost();
                    topic.refused.push(endpoint.clone());
                    refused.push(sight.clone());
                }
            }
            refused.iter().for_each(|sight| self.place(uri, sight, verdicts));
        }
    }

    /// The endpoint tells of these URIs without being asked again; those that came back to it are live.
    pub(super) fn told(&mut self, endpoint: &EndpointId, honoured: &Uris) {
        for uri in honoured {
            self.asked(endpoint, uri)
                .filter(|(_, topic)| topic.state != State::Live)
                .for_each(|(_, topic)| topic.live());
        }
    }

    /// The endpoint tells of nothing at present.
    pub(super) fn lost(&mut self, endpoint: &EndpointId) {
        for uri in self.wanted(endpoint) {
            self.asked(endpoint, &uri).for_each(|(_, topic)| topic.lost());
        }
    }

    /// The endpoint told of a change: of this URI, or of a part of a resource that is listened to.
    pub(super) fn updated(&self, endpoint: &EndpointId, uri: &str) {
        let topics = self.candidates(uri).filter_map(|uri| self.by_uri.get(uri)).flat_map(HashMap::values);
        for topic in topics.filter(|topic| topic.place.as_ref() == Some(endpoint)) {
            topic.update();
        }
    }

    /// The URI and those it may be a part of, as far as somebody listens to one of that length: so what is looked
    /// up is together no longer than what is listened to, however long the URI is that a server says has changed.
    fn candidates<'a>(&'a self, uri: &'a str) -> impl Iterator<Item = &'a str> {
        let is_end = |at: usize| uri.as_bytes().get(at).is_some_and(|byte| b"/?#".contains(byte));
        let lengths = self.lengths.range(..=uri.len()).map(|(length, _)| *length);
        let lengths =
            lengths.filter(move |at| *at == uri.len() || is_end(*at) || at.checked_sub(1).is_some_and(is_end));
        lengths.map(|length| &uri[..length])
    }

    // ===== places =====

    /// Looks again where each URI is to be asked for.
    pub(super) fn review(&mut self, verdicts: &Verdicts) {
        let all = self.by_uri.iter().flat_map(|(uri, topics)| topics.keys().map(|sight| (uri.clone(), sight.clone())));
        for (uri, sight) in all.collect::<Vec<_>>() {
            if let Some(topic) = self.get_mut(&uri, &sight)
                && topic.place.is_none()
            {
                topic.refused.clear();
            }
            self.place(&uri, &sight, verdicts);
        }
    }

    fn place(&mut self, uri: &Arc<str>, sight: &Sight, verdicts: &Verdicts) {
        let Some(topic) = self.get(uri, sight) else { return };
        let found = self.find(uri, (sight, topic), verdicts);
        let to = match &found {
            Place::At(endpoint) => Some(endpoint.clone()),
            Place::Later | Place::Nowhere => None,
        };
        let Some(topic) = self.by_uri.get_mut(uri).and_then(|topics| topics.get_mut(sight)) else { return };
        if matches!(found, Place::Nowhere) {
            topic.decide(false);
        }
        if topic.place == to {
            return;
        }
        topic.leave();
        let from = std::mem::replace(&mut topic.place, to.clone());
        if let Some(post) = from.as_ref().and_then(|from| self.posts.get_mut(from)) {
            topic.listeners.keys().for_each(|number| post.leave(uri, *number));
        }
        if let Some(post) = to.and_then(|to| self.posts.get_mut(&to)) {
            post.wanted.insert(uri.clone());
            post.changed.notify_one();
            for (number, listener) in &mut topic.listeners {
                post.arrive(uri, (*number, listener), &mut self.last);
            }
        }
        self.withdraw(uri, from);
    }

    /// The place it has, as long as that is not ill; else the first that is not.
    fn find(&self, uri: &str, (sight, topic): (&Sight, &Topic), verdicts: &Verdicts) -> Place {
        let mut watchers = sight.watchers(uri);
        watchers.retain(|id| self.posts.contains_key(id) && !topic.refused.contains(id));
        let is_ill = |id: &EndpointId| matches!(verdicts.get(id.as_str()), Verdict::Ill(_));
        let present = topic.place.as_ref().filter(|place| watchers.contains(place));
        let well = present.into_iter().chain(&watchers).find(|id| !is_ill(id));
        match well.or(present) {
            Some(endpoint) => Place::At(endpoint.clone()),
            None if !watchers.is_empty() || sight.is_starting() => Place::Later,
            None => Place::Nowhere,
        }
    }

    /// The endpoint need not tell of the URI any more, unless it is asked for it on behalf of those who see otherwise.
    fn withdraw(&mut self, uri: &Arc<str>, from: Option<EndpointId>) {
        let Some(from) = from.filter(|from| self.asked(from, uri).next().is_none()) else { return };
        if let Some(post) = self.posts.get_mut(&from)
            && post.wanted.remove(uri)
        {
            post.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Table, Tables};
    use proptest::prelude::*;

    /// Somebody who sees nothing.
    fn holder() -> Holder {
        Holder { number: 0, sight: Sight::new(Tables::new(Table::default())), owner: Mark::default() }
    }

    fn listening(uris: &[Arc<str>], holder: &Holder) -> Topics {
        let mut topics = Topics::default();
        for uri in uris {
            topics.subscribe(uri, holder, (Arc::new(Inbox::new(1, None)), 0), &Verdicts::default());
        }
        topics
    }

    #[test]
    fn of_a_long_uri_no_more_is_looked_up_than_somebody_listens_to() {
        let uris = ["file:///a".into(), "file:///a/".into(), "file:///b".into(), "file:///bcd".into()];
        let holder = holder();
        let mut topics = listening(&uris, &holder);
        let long = format!("file:///a{}", "/".repeat(1 << 20));
        assert_eq!(topics.candidates(&long).collect::<Vec<_>>(), ["file:///a", "file:///a/", "file:///a//"]);
        uris.iter().for_each(|uri| topics.release(uri, &holder));
        assert_eq!(topics.candidates(&long).count(), 0, "what nobody listens to any more is not looked up");
    }

    proptest! {
        #[test]
        fn every_uri_that_one_is_a_part_of_is_found(uris in prop::collection::vec("[é/?]{0,5}", 0..9), uri in "[é/?#]{0,6}") {
            let uris: Vec<Arc<str>> = uris.into_iter().map(Arc::from).collect();
            let topics = listening(&uris, &holder());
            let found: BTreeSet<&str> = topics.candidates(&uri).filter(|uri| topics.has(uri)).collect();
            let ancestors = uri.match_indices(['/', '?', '#']).flat_map(|(at, _)| [&uri[..=at], &uri[..at]]);
            let expected = ancestors.chain([&*uri]).filter(|uri| topics.has(uri)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
