//! A run: contenders that are measured by turns, and the results so far.

use crate::figures::{Figures, Metric, Pair, Place};
use crate::peers::Peer;
use crate::selection::Group;
use anyhow::Result;
use std::collections::BTreeMap;

/// The results of a run.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    pub(crate) figures: Figures,
    /// Turns of each contender.
    pub(crate) rounds: usize,
    /// What could not be measured, and what it was measured on.
    pub(crate) notes: Vec<String>,
    pub(crate) versions: BTreeMap<String, String>,
}

/// The values of one turn.
pub(crate) type Values = Vec<(Metric, f64)>;

/// A program that is measured by turns.
pub(crate) struct Contender<'a> {
    who: String,
    turn: Box<dyn FnMut() -> Result<Values> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(who: &str, turn: impl FnMut() -> Result<Values> + 'a) -> Self {
        Self { who: who.to_owned(), turn: Box::new(turn) }
    }
}

impl Bench {
    /// Measures all by turns, in reverse order every other round. One that fails is left out afterwards.
    pub(crate) fn alternate(
        &mut self,
        (group, case): (Group, &str),
        rounds: usize,
        mut contenders: Vec<Contender<'_>>,
    ) {
        for _ in 0..rounds {
            contenders.retain_mut(|Contender { who, turn }| match turn() {
                Ok(values) => {
                    self.add(Place { group, case, who }, &values);
                    true
                }
                Err(error) => {
                    self.note(format!("{case}, {who}: {error:#}"));
                    false
                }
            });
            contenders.reverse();
        }
    }

    /// Adds and prints the values of one turn.
    pub(crate) fn add(&mut self, place: Place<'_>, values: &[(Metric, f64)]) {
        let texts: Vec<_> =
            values.iter().map(|(metric, value)| format!("{value:.2} {}", metric.name)).collect();
        eprintln!("{}, {}, {}: {}", place.group.name(), place.case, place.who, texts.join(", "));
        self.figures.add(place, values);
    }

    /// Compares ours with a peer's by each of these.
    pub(crate) fn compare(&mut self, group: Group, case: &str, who: [&str; 2], by: &[Metric]) {
        let [ours, theirs] = who;
        for metric in by {
            self.figures.compare(Pair { group, case, ours, theirs, metric: *metric });
        }
    }

    /// Keeps a sentence for the document.
    pub(crate) fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    /// A peer, its versions taken down; none, and a note, if it cannot be started.
    pub(crate) fn peer(&mut self, who: &str, started: Result<Peer>) -> Option<Peer> {
        match started {
            Ok(peer) => {
                self.versions.extend(peer.versions());
                Some(peer)
            }
            Err(error) => {
                self.note(format!("{who}: {error:#}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::CPU_MS;
    use anyhow::bail;
    use std::cell::RefCell;

    #[test]
    fn rounds_alternate_and_a_failed_contender_is_excluded_and_named() {
        let order = RefCell::new(String::new());
        let turn = |who: &'static str| {
            let order = &order;
            move || {
                order.borrow_mut().push_str(who);
                Ok(vec![(CPU_MS, 1.0)])
            }
        };
        let failing = || {
            order.borrow_mut().push('c');
            bail!("no such codec")
        };
        let mut bench = Bench::default();
        let contenders = vec![
            Contender::new("A", turn("a")),
            Contender::new("B", turn("b")),
            Contender::new("C", failing),
        ];
        bench.alternate((Group::Jobs, "720p"), 3, contenders);
        assert_eq!(order.borrow().as_str(), "abcbaab");
        assert_eq!(bench.notes, ["720p, C: no such codec"]);
        let values =
            |who| bench.figures.values(Place { group: Group::Jobs, case: "720p", who }, CPU_MS);
        assert_eq!((values("A").len(), values("B").len(), values("C").len()), (3, 3, 0));
    }
}
