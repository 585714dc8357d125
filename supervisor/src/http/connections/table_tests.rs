//! Tests of the table of connections, single steps and random sequences.

use crate::http::connections::table::*;
use proptest::prelude::*;
use std::net::IpAddr;

const CAPACITY: Capacity = Capacity { connections_max: 4, streams_max: 2 };
const TABLE_MAX: usize = CAPACITY.connections_max + RESERVED;

fn client(n: u8) -> ClientAddress {
    ClientAddress::Remote(IpAddr::from([192, 0, 2, n]))
}

/// Opens a connection that must be admitted.
fn open(table: &mut Table, peer: u8) -> (u64, CancellationToken) {
    table.open(client(peer), None).expect("there is room")
}

fn begin(table: &mut Table, id: u64, owner: u8) -> u64 {
    table.begin(id, client(owner), usize::MAX).expect("within the limits").expect("it is open")
}

#[test]
fn the_longest_idle_connection_is_closed_for_a_new_one_and_no_busy_one() {
    let mut table = Table::new(CAPACITY);
    let all: Vec<_> = (0..TABLE_MAX).map(|_| open(&mut table, 1)).collect();
    begin(&mut table, all[0].0, 1);
    let number = begin(&mut table, all[1].0, 1);
    table.finish(all[1].0, number);
    let (_, newest) = open(&mut table, 2);
    let closed: Vec<_> = (0..TABLE_MAX).filter(|n| all[*n].1.is_cancelled()).collect();
    assert_eq!(closed, [2], "0 is busy, 1 was busy just before");
    assert!(!newest.is_cancelled());
    assert_eq!((table.connections(), table.evicted()), (TABLE_MAX, 1));
}

#[test]
fn the_address_with_most_idle_connections_loses_one_first() {
    let mut table = Table::new(CAPACITY);
    let (_, oldest) = open(&mut table, 1);
    let many: Vec<_> = (1..TABLE_MAX).map(|_| open(&mut table, 2)).collect();
    open(&mut table, 3);
    assert!(!oldest.is_cancelled() && many[0].1.is_cancelled());
}

#[test]
fn at_its_limit_a_client_loses_its_longest_idle_connection_or_is_refused() {
    let mut table = Table::new(CAPACITY);
    let (_, other) = open(&mut table, 9);
    let mut own = || table.open(client(1), Some(2));
    let (first, second) = (own().expect("one"), own().expect("the last one"));
    let (third, _) = own().expect("replaces the first");
    assert!(first.1.is_cancelled() && !other.is_cancelled());
    begin(&mut table, second.0, 1);
    begin(&mut table, third, 1);
    assert_eq!(table.open(client(1), Some(2)).map(|_| ()), Err(Limit::Client(2)));
    assert!(table.open(client(2), Some(2)).is_ok(), "another client");
}

#[test]
fn requests_have_a_limit_per_client_and_a_total_limit() {
    let mut table = Table::new(CAPACITY);
    let ids: Vec<_> = (0..TABLE_MAX).map(|_| open(&mut table, 1).0).collect();
    let mut begin = |id: u64, owner| table.begin(ids[id as usize], client(owner), 3).map(|_| ());
    assert_eq!([begin(0, 1), begin(1, 1), begin(2, 1)], [Ok(()); 3]);
    assert_eq!(begin(3, 1), Err(Limit::Client(3)), "above the limit of the client");
    assert_eq!(begin(3, 2), Ok(()), "the last one within the total");
    assert_eq!(begin(4, 2), Err(Limit::All(4)), "above the total limit");
    let checks = (4..TABLE_MAX).filter(|n| table.begin_reserved(ids[*n], client(1)).is_some());
    assert_eq!(checks.count(), RESERVED, "health checks exceed both limits");
    assert_eq!(table.in_use(), InUse { requests: 4, streams: 0 });
    assert_eq!(table.open(client(3), None).map(|_| ()), Err(Limit::All(4)), "all are busy");
}

#[test]
fn streams_have_separate_limits_and_leave_room_for_requests() {
    let mut table = Table::new(CAPACITY);
    let ids: Vec<_> = (0..TABLE_MAX).map(|_| open(&mut table, 1).0).collect();
    let mut stream = |id: usize, owner, own_max| {
        let number = begin(&mut table, ids[id], owner);
        let result = table.become_stream(ids[id], number, own_max);
        if result.is_err() {
            table.finish(ids[id], number);
        }
        result
    };
    assert_eq!(stream(0, 1, 1), Ok(()));
    assert_eq!(stream(1, 1, 1), Err(Limit::Client(1)), "above the limit of the client");
    assert_eq!(stream(1, 2, 1), Ok(()), "the last one in total");
    assert_eq!(stream(2, 3, 1), Err(Limit::All(2)), "above the total limit");
    assert_eq!(table.in_use(), InUse { requests: 0, streams: 2 });
    begin(&mut table, ids[2], 1);
    begin(&mut table, ids[3], 1);
}

#[test]
fn a_late_finish_ends_no_other_request() {
    let mut table = Table::new(CAPACITY);
    let (id, _) = open(&mut table, 1);
    let first = begin(&mut table, id, 1);
    let second = begin(&mut table, id, 1);
    assert_eq!(table.in_use().requests, 1);
    table.finish(id, first);
    assert_eq!(table.in_use().requests, 1, "the second continues");
    table.finish(id, second);
    assert_eq!(table.in_use(), InUse::default());
    table.close(id);
    table.finish(id, second);
    table.close(id);
    assert_eq!(table.connections(), 0);
}

#[test]
fn a_connection_closed_to_make_room_begins_no_request() {
    let mut table = Table::new(CAPACITY);
    let (id, closer) = open(&mut table, 1);
    assert!(table.evict_idle() && closer.is_cancelled() && !table.evict_idle());
    assert_eq!(table.begin(id, client(1), 1), Ok(None));
    assert_eq!(table.in_use(), InUse::default());
}

#[derive(Debug, Clone)]
enum Step {
    Open(u8),
    Begin(usize, u8),
    Reserve(usize),
    Stream(usize),
    Finish(usize),
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8).prop_map(Step::Open),
        4 => (0..40usize, 0..3u8).prop_map(|(n, owner)| Step::Begin(n, owner)),
        1 => (0..40usize).prop_map(Step::Reserve),
        2 => (0..40usize).prop_map(Step::Stream),
        3 => (0..40usize).prop_map(Step::Finish),
        1 => (0..40usize).prop_map(Step::Close),
    ]
}

/// Recomputes all counts from the entries and compares them.
fn check(table: &Table) {
    let mut in_use = InUse::default();
    let mut clients: HashMap<ClientAddress, InUse> = HashMap::new();
    let mut peers: HashMap<ClientAddress, (usize, usize)> = HashMap::new();
    for (id, entry) in &table.open {
        assert!(!entry.closer.is_cancelled());
        let peer = peers.entry(entry.peer).or_default();
        peer.0 += 1;
        match entry.state {
            State::Idle => {
                peer.1 += 1;
                assert_eq!(table.peers[&entry.peer].idle.get(&entry.since), Some(id));
            }
            State::Busy(_, Use::Reserved) => {}
            State::Busy(client, purpose) => {
                *in_use.count(purpose) += 1;
                *clients.entry(client).or_default().count(purpose) += 1;
            }
        }
    }
    assert_eq!((table.in_use, &table.clients), (in_use, &clients));
    let counted: HashMap<_, _> = table
        .peers
        .iter()
        .map(|(address, peer)| (*address, (peer.open, peer.idle.len())))
        .collect();
    assert_eq!(counted, peers);
    assert!(in_use.all() <= CAPACITY.connections_max && in_use.streams <= CAPACITY.streams_max);
    assert!(table.open.len() <= TABLE_MAX);
    assert!(peers.values().all(|(open, _)| *open <= 12));
    assert!(clients.values().all(|own| own.all() <= 3 && own.streams <= 1));
}

proptest! {
    #[test]
    fn counts_match_the_entries_after_any_steps_and_end_at_zero(
        steps in prop::collection::vec(step(), 1..300)
    ) {
        let mut table = Table::new(CAPACITY);
        let mut opened: Vec<(u64, CancellationToken)> = Vec::new();
        let mut numbers: HashMap<u64, u64> = HashMap::new();
        for step in steps {
            let id = |n: usize| opened.get(n).map_or(0, |(id, _)| *id);
            match step {
                Step::Open(peer) => opened.extend(table.open(client(peer), Some(12))),
                Step::Begin(n, owner) => {
                    if let Ok(Some(number)) = table.begin(id(n), client(owner), 3) {
                        numbers.insert(id(n), number);
                    }
                }
                Step::Reserve(n) => {
                    table.begin_reserved(id(n), client(0)).map(|number| numbers.insert(id(n), number));
                }
                Step::Stream(n) => {
                    let number = numbers.get(&id(n)).copied().unwrap_or(0);
                    let _ = table.become_stream(id(n), number, 1);
                }
                Step::Finish(n) => table.finish(id(n), numbers.get(&id(n)).copied().unwrap_or(0)),
                Step::Close(n) => {
                    if let Some((id, _)) = opened.get(n).filter(|(_, closer)| !closer.is_cancelled()) {
                        table.close(*id);
                    }
                }
            }
            check(&table);
        }
        for (id, _) in opened {
            table.close(id);
        }
        prop_assert_eq!(table.connections(), 0);
        prop_assert_eq!(table.in_use(), InUse::default());
        prop_assert!(table.peers.is_empty() && table.clients.is_empty());
    }
}
