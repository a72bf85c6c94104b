//! Which instances a selector chooses from, and the rows of numbers that it is shown. Its buffers are a worker's, used
//! again for every call.

use std::{
    cell::{RefCell, RefMut},
    sync::Arc,
};

use symgate_sdk::select::{Inputs, MAX_CANDIDATES};

use crate::routing::{Instance, Live};

/// How much is to be said for an instance, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Connected, and nothing speaks against it.
    Ready,
    /// Not connected: never yet, or not any more.
    Untried,
    /// Connected, but it is ejected or says that it does not serve.
    Shunned,
    /// Not connected, and ejected.
    Last,
}

/// Places of the candidates in a list of instances.
#[derive(Default)]
pub(super) struct Chosen {
    places: Vec<usize>,
    numbers: RefCell<Vec<u64>>,
}

impl Chosen {
    /// Chooses among the known instances those of the best standing that is there; of more than fit, a sample.
    pub(super) fn among(
        &mut self,
        known: &[Arc<Instance>],
        may_try: impl Fn(&Instance) -> bool,
        standing: impl Fn(&Live) -> Standing,
    ) {
        self.places.clear();
        let mut best = Standing::Last;
        for (at, instance) in known.iter().enumerate().filter(|(_, instance)| may_try(instance)) {
            let standing = standing(&instance.live);
            if standing < best {
                best = standing;
                self.places.clear();
            }
            if standing == best {
                self.places.push(at);
            }
        }
        self.sample();
    }

    /// Keeps as many as fit, each with the same chance.
    fn sample(&mut self) {
        let count = self.places.len();
        if count > MAX_CANDIDATES {
            for at in 0..MAX_CANDIDATES {
                self.places.swap(at, fastrand::usize(at..count));
            }
            self.places.truncate(MAX_CANDIDATES);
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The candidate of this index.
    pub(super) fn get<'a>(&self, known: &'a [Arc<Instance>], index: usize) -> Option<&'a Arc<Instance>> {
        known.get(*self.places.get(index)?)
    }

    /// A row of numbers per candidate, of what the selector wants.
    pub(super) fn numbers(&self, known: &[Arc<Instance>], wanted: &Inputs) -> RefMut<'_, Vec<u64>> {
        let mut numbers = self.numbers.borrow_mut();
        numbers.clear();
        for instance in self.instances(known) {
            let live = &instance.live;
            numbers.extend([instance.weight, live.in_flight(), live.latency_us()].map(u64::from));
            numbers.extend(wanted.ids.then(|| live.id()));
            numbers.extend(wanted.orders.then_some(instance.order));
        }
        numbers
    }

    /// For each candidate one entry per name.
    pub(super) fn labels<'a>(&self, known: &'a [Arc<Instance>], names: &[String]) -> Vec<Option<&'a str>> {
        if names.is_empty() {
            return Vec::new();
        }
        self.instances(known).flat_map(|instance| names.iter().map(|name| instance.labels.get(name))).collect()
    }

    fn instances<'a>(&self, known: &'a [Arc<Instance>]) -> impl Iterator<Item = &'a Arc<Instance>> {
        self.places.iter().filter_map(|at| known.get(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Labels;

    fn instances(count: u16) -> Vec<Arc<Instance>> {
        let instance = |port: u16| {
            let live = Arc::new(Live::new(format!("10.0.0.1:{port}").parse().expect("an address")));
            let labels: Labels = [("zone".into(), format!("z{port}"))].into_iter().collect();
            Arc::new(Instance { labels, weight: port.into(), order: port.into(), owner: 1, draining: false, live })
        };
        (1..=count).map(instance).collect()
    }

    fn port(live: &Live) -> u16 {
        live.address().port()
    }

    #[track_caller]
    fn check(failed: &[u16], standings: [Standing; 4], expected: &[u16]) {
        let known = instances(4);
        let mut chosen = Chosen::default();
        let standing = |live: &Live| standings[usize::from(port(live)) - 1];
        chosen.among(&known, |it| !failed.contains(&port(&it.live)), standing);
        let ports: Vec<_> =
            (0..chosen.len()).filter_map(|at| chosen.get(&known, at)).map(|it| port(&it.live)).collect();
        assert_eq!(ports, expected, "failed {failed:?}, {standings:?}");
    }

    #[test]
    fn the_best_standing_that_is_there_and_failed_ones_not_at_all() {
        use Standing::{Last, Ready, Shunned, Untried};
        check(&[], [Untried; 4], &[1, 2, 3, 4]);
        check(&[], [Untried, Ready, Shunned, Ready], &[2, 4]);
        check(&[2], [Untried, Ready, Last, Ready], &[4]);
        check(&[2, 4], [Untried, Ready, Shunned, Ready], &[1]);
        check(&[1, 2, 4], [Untried, Ready, Shunned, Ready], &[3]);
        check(&[], [Last, Shunned, Last, Shunned], &[2, 4]);
        check(&[], [Last; 4], &[1, 2, 3, 4]);
        check(&[1, 2, 3, 4], [Ready; 4], &[]);
    }

    #[test]
    fn a_selector_is_shown_what_it_wants_of_64_at_most() {
        let known = instances(100);
        let mut chosen = Chosen::default();
        chosen.among(&known, |_| true, |_| Standing::Ready);
        assert_eq!(chosen.len(), MAX_CANDIDATES);
        let first = chosen.get(&known, 0).expect("a candidate");
        let (weight, id, order) = (u64::from(first.weight), first.live.id(), first.order);
        for (ids, orders) in [(false, false), (true, false), (false, true), (true, true)] {
            let numbers = chosen.numbers(&known, &Inputs { ids, orders, ..Inputs::default() });
            let expected = [Some(weight), Some(0), Some(0), ids.then_some(id), orders.then_some(order)];
            let expected: Vec<_> = expected.into_iter().flatten().collect();
            assert_eq!((numbers.len(), &numbers[..expected.len()]), (64 * expected.len(), &expected[..]));
        }
        let labels = chosen.labels(&known, &["none".into(), "zone".into()]);
        assert_eq!((labels.len(), labels[0], labels[1]), (128, None, first.labels.get("zone")));
    }
}
