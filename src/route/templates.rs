use super::{Target, Template, table::Names};
use std::collections::hash_map::Entry;

/// The resource templates of all servers, each with where it leads; those of a server stand together.
pub(crate) struct Templates<S> {
    all: Vec<(Template, Target<S>)>,
    /// The first of each text.
    by_text: Names<usize>,
}

impl<S> Templates<S> {
    /// What of one server's templates is held against a URI, in steps of [`Template::steps`]: a quarter of a millisecond.
    /// What is beyond matches nothing, so that a server with many and involved templates keeps no thread from the calls
    /// of others. A thousand usual ones are far below it.
    pub(crate) const MAX_STEPS: usize = 256 << 10;

    /// The target of the first template with this text.
    pub(crate) fn get(&self, text: &str) -> Option<&Target<S>> {
        self.by_text.get(text).map(|&at| &self.all[at].1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Template, Target<S>)> {
        self.all.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The first match of each server, in order. What `skip` names is not looked at.
    pub(crate) fn matching<'a>(
        &'a self,
        uri: &str,
        skip: impl Fn(&Target<S>) -> bool,
    ) -> impl Iterator<Item = &'a Target<S>> {
        let of_one = self.all.chunk_by(|(_, one), (_, next)| one.server() == next.server());
        of_one.filter(move |templates| !skip(&templates[0].1)).filter_map(|templates| first(templates, uri))
    }
}

fn first<'a, S>(templates: &'a [(Template, Target<S>)], uri: &str) -> Option<&'a Target<S>> {
    let mut left = Templates::<S>::MAX_STEPS;
    for (template, target) in templates {
        left = left.checked_sub(template.steps(uri))?;
        if template.matches(uri) {
            return Some(target);
        }
    }
    None
}

impl<S> FromIterator<(Template, Target<S>)> for Templates<S> {
    fn from_iter<I: IntoIterator<Item = (Template, Target<S>)>>(templates: I) -> Self {
        let all: Vec<_> = templates.into_iter().collect();
        let mut by_text = Names::default();
        for (at, (template, _)) in all.iter().enumerate() {
            if let Entry::Vacant(first) = by_text.entry(template.as_str().into()) {
                first.insert(at);
            }
        }
        Self { all, by_text }
    }
}
