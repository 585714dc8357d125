//! The queue of pending jobs, fair between clients. Pure, without synchronisation.
//!
//! Used by the scheduler. Clients take turns: each job belongs to a round, a client has one job in each, and the rounds
//! start in order. Within a round, and for the jobs of one client, the order is that of acceptance. A round is closed
//! once a job of it starts: who comes then joins the next one, so that no number of new clients holds up a job for
//! longer than the rounds before its own. A job keeps its place while it runs, so a requeued job starts before all jobs
//! behind its place. Admission limits the number of jobs.

use crate::policy::client::ClientAddress;
use crate::policy::job::JobId;
use std::collections::{BTreeMap, HashMap};

/// The place of a job in the order of starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    round: u64,
    /// Its number in the order of acceptance.
    number: u64,
    client: ClientAddress,
}

/// Pending jobs in the order in which they will start.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: BTreeMap<Place, JobId>,
    accepted: u64,
    /// The round of the job that started last.
    round: u64,
    /// The next round of each client for which that is later than the one after `round`.
    next_rounds: HashMap<ClientAddress, u64>,
}

impl Queue {
    /// Adds a job of a client.
    pub(crate) fn push(&mut self, id: JobId, client: ClientAddress) {
        let round = self.next_rounds.get(&client).copied().unwrap_or(self.round + 1);
        self.next_rounds.insert(client, round + 1);
        self.jobs.insert(Place { round, number: self.accepted, client }, id);
        self.accepted += 1;
    }

    /// Takes a job out to start it; returns its place, if it is in the queue.
    pub(crate) fn start(&mut self, id: JobId) -> Option<Place> {
        let place = self.take(id)?;
        self.round = self.round.max(place.round);
        let open = self.round + 1;
        self.next_rounds.retain(|_, next| *next > open);
        Some(place)
    }

    /// Takes a job out for good; false if it is not in the queue.
    pub(crate) fn remove(&mut self, id: JobId) -> bool {
        let Some(place) = self.take(id) else { return false };
        // A client that cancels its jobs does not wait for their rounds.
        let jobs = self.jobs.keys().filter(|other| other.client == place.client);
        match jobs.map(|place| place.round + 1).max().filter(|next| *next > self.round + 1) {
            Some(next) => self.next_rounds.insert(place.client, next),
            None => self.next_rounds.remove(&place.client),
        };
        true
    }

    fn take(&mut self, id: JobId) -> Option<Place> {
        let (place, _) = self.jobs.iter().find(|(_, other)| **other == id)?;
        let place = *place;
        self.jobs.remove(&place);
        Some(place)
    }

    /// Returns a job to the place from which it was started.
    pub(crate) fn put_back(&mut self, place: Place, id: JobId) {
        self.jobs.insert(place, id);
    }

    /// The position of a job: 1 is next.
    pub(crate) fn position(&self, id: JobId) -> Option<usize> {
        self.iter().position(|other| other == id).map(|index| index + 1)
    }

    /// Number of jobs.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Number of jobs of a client.
    pub(crate) fn len_of(&self, client: ClientAddress) -> usize {
        self.jobs.keys().filter(|place| place.client == client).count()
    }

    /// Whether there are no jobs.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The jobs, next first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(n: u8) -> ClientAddress {
        ClientAddress::Remote([192, 0, 2, n].into())
    }

    struct Fixture {
        queue: Queue,
        clients: HashMap<JobId, u8>,
    }

    impl Fixture {
        fn new() -> Self {
            Self { queue: Queue::default(), clients: HashMap::new() }
        }

        fn push(&mut self, n: u8) -> JobId {
            let id = JobId::random();
            self.clients.insert(id, n);
            self.queue.push(id, client(n));
            id
        }

        fn push_all(&mut self, clients: &[u8]) -> Vec<JobId> {
            clients.iter().map(|n| self.push(*n)).collect()
        }

        /// Starts all jobs and returns the numbers of their clients.
        fn start_all(&mut self) -> Vec<u8> {
            let mut order = Vec::new();
            loop {
                let Some(id) = self.queue.iter().next() else { return order };
                self.queue.start(id).expect("it is queued");
                order.push(self.clients[&id]);
            }
        }
    }

    #[test]
    fn clients_take_turns() {
        let mut fixture = Fixture::new();
        fixture.push_all(&[1, 1, 1, 1, 2, 3, 2]);
        assert_eq!(fixture.queue.len_of(client(1)), 4);
        assert_eq!(fixture.start_all(), [1, 2, 3, 1, 2, 1, 1]);
        // Nobody gains by having been away.
        fixture.push_all(&[1, 1, 3, 2, 2]);
        assert_eq!(fixture.start_all(), [1, 3, 2, 1, 2]);
    }

    #[test]
    fn new_clients_do_not_hold_up_a_job_that_is_next() {
        let mut fixture = Fixture::new();
        fixture.push_all(&[1, 1, 1]);
        for n in 2..4 {
            let next = fixture.queue.iter().next().expect("a job");
            assert_eq!(fixture.clients[&next], 1);
            fixture.queue.start(next).expect("it is queued");
            fixture.push(n);
        }
        assert_eq!(fixture.start_all(), [2, 1, 3]);
    }

    #[test]
    fn a_client_that_cancels_neither_gains_nor_loses_turns() {
        let mut fixture = Fixture::new();
        let first = fixture.push(1);
        fixture.queue.start(first);
        let cancelled = fixture.push_all(&[1; 5]);
        fixture.push_all(&[2, 2, 2]);
        assert!(cancelled.iter().all(|id| fixture.queue.remove(*id)));
        assert!(!fixture.queue.remove(first), "it runs");
        fixture.push(1);
        assert_eq!(fixture.start_all(), [2, 1, 2, 2]);
    }

    #[test]
    fn what_is_remembered_of_clients_does_not_grow() {
        let mut fixture = Fixture::new();
        for n in 0..100 {
            let id = fixture.push(n);
            fixture.queue.start(id);
            assert!(fixture.queue.next_rounds.is_empty(), "{:?}", fixture.queue.next_rounds);
            let cancelled = fixture.push(n);
            assert!(fixture.queue.remove(cancelled));
            assert!(fixture.queue.next_rounds.is_empty(), "{:?}", fixture.queue.next_rounds);
        }
    }

    proptest! {
        /// Between two starts of a client whose jobs wait, any other client starts at most twice.
        #[test]
        fn no_client_waits_longer_than_a_round(
            steps in prop::collection::vec((0u8..3, 0u8..4), 0..80),
        ) {
            let mut fixture = Fixture::new();
            let mut since: HashMap<(u8, u8), u32> = HashMap::new();
            for (step, n) in steps {
                match step {
                    0 | 1 => {
                        if fixture.queue.len_of(client(n)) == 0 {
                            since.retain(|(waiting, _), _| *waiting != n);
                        }
                        fixture.push(n);
                    }
                    _ => {
                        let Some(id) = fixture.queue.iter().next() else { continue };
                        fixture.queue.start(id).expect("it is queued");
                        let started = fixture.clients[&id];
                        since.retain(|(waiting, _), _| *waiting != started);
                        for waiting in (0..4).filter(|other| *other != started) {
                            if fixture.queue.len_of(client(waiting)) > 0 {
                                let starts = since.entry((waiting, started)).or_default();
                                *starts += 1;
                                prop_assert!(*starts <= 2, "{started} before {waiting}");
                            }
                        }
                    }
                }
            }
        }

        #[test]
        fn jobs_of_one_client_are_in_the_order_of_their_acceptance(
            steps in prop::collection::vec((0u8..4, 0usize..8), 0..60),
        ) {
            let ids: Vec<_> = (0..8).map(|_| JobId::random()).collect();
            let mut queue = Queue::default();
            // All accepted jobs, and those that run.
            let mut accepted: Vec<JobId> = Vec::new();
            let mut running: Vec<(Place, JobId)> = Vec::new();
            for (step, pick) in steps {
                let id = ids[pick];
                match step {
                    0 if !accepted.contains(&id) => {
                        queue.push(id, ClientAddress::ThisHost);
                        accepted.push(id);
                    }
                    1 => running.extend(queue.start(id).map(|place| (place, id))),
                    2 if !running.is_empty() => {
                        let (place, id) = running.swap_remove(pick % running.len());
                        queue.put_back(place, id);
                    }
                    _ => {
                        let is_running = running.iter().any(|(_, other)| *other == id);
                        let is_queued = accepted.contains(&id) && !is_running;
                        prop_assert_eq!(queue.remove(id), is_queued);
                        accepted.retain(|other| *other != id || is_running);
                    }
                }
                let is_queued = |id: &&JobId| running.iter().all(|(_, other)| other != *id);
                let expected: Vec<_> = accepted.iter().filter(is_queued).copied().collect();
                prop_assert_eq!(queue.iter().collect::<Vec<_>>(), expected.clone());
                prop_assert_eq!((queue.len(), queue.is_empty()), (expected.len(), expected.is_empty()));
                for (index, id) in expected.iter().enumerate() {
                    prop_assert_eq!(queue.position(*id), Some(index + 1));
                }
            }
        }
    }
}
