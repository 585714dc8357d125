//! Decides whether an upload is accepted, before its body is read. Pure.
//!
//! Called by the dispatcher, which provides the numbers.

use crate::policy::client::ClientAddress;
use std::time::Duration;

/// State of the service, as far as an admission depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Whether the service accepts jobs; false once it is stopping.
    pub is_open: bool,
    /// Whether an operator has paused this host.
    pub is_paused: bool,
    /// Whether the files of the journal are not those that the next start would open.
    pub journal_is_lost: bool,
    /// Whether the journal, if hosts share it, answers.
    pub journal_is_reachable: bool,
    /// Whether processes on the host are stalled for lack of memory.
    pub memory_is_short: bool,
    /// Number of queued jobs.
    pub queue_len: usize,
    /// Uploads in progress that need a place in the queue.
    pub uploads: usize,
    /// How many of these and of the queued jobs are the client's; none for a client without a share.
    pub places_of_client: Option<usize>,
    /// Bytes that uploads in progress may still write.
    pub upload_bytes_left: u64,
    /// Maximum number of queued jobs.
    pub queue_max: usize,
    /// Maximum number of concurrent attempts.
    pub workers: usize,
    /// Measured mean duration of an attempt.
    pub service_time: Duration,
    /// Largest video, in bytes.
    pub upload_bytes_max: u64,
    /// Whether the last writes to the disk succeeded.
    pub disk_takes_writes: bool,
    /// Whether the store that hosts share, if there is one, answers.
    pub store_is_reachable: bool,
    /// Free disk space in bytes.
    pub disk_free_bytes: u64,
    /// Free disk space that must remain, in bytes.
    pub disk_free_bytes_min: u64,
}

/// A request to upload a video.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// Who sends it.
    pub client: ClientAddress,
    /// Size of the body, if the client declares it.
    pub bytes: Option<u64>,
}

impl Request {
    /// Most bytes that the upload writes to the disk.
    pub(crate) fn bytes_max(&self, upload_bytes_max: u64) -> u64 {
        self.bytes.unwrap_or(upload_bytes_max).min(upload_bytes_max)
    }
}

/// Bytes of a body besides the video: the multipart framing of a form and its short fields.
pub(crate) const ENVELOPE_BYTES_MAX: u64 = 64 * 1024;

/// The upload is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted;

/// Why an upload is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The service is stopping.
    Closing,
    /// An operator has paused this host.
    Paused,
    /// An accepted job would be lost at the next start.
    JournalLost,
    /// The body is larger than the limit on videos.
    TooLarge {
        /// The limit, in bytes.
        upload_bytes_max: u64,
    },
    /// The queue is full, or what is left of it is kept for clients with fewer places.
    QueueFull {
        /// Estimated time until a place is free.
        retry_after: Duration,
    },
    /// The host is low on memory.
    MemoryShort {
        /// When to retry.
        retry_after: Duration,
    },
    /// Too little disk space is free.
    DiskFull,
    /// Writes to the disk fail.
    DiskRefuses,
    /// The store that hosts share does not answer.
    StoreUnreachable,
    /// The journal that hosts share does not answer.
    JournalUnreachable,
}

/// Decides one request.
pub(crate) fn decide(capacity: &Capacity, request: &Request) -> Result<Admitted, Refusal> {
    let upload_bytes_max = capacity.upload_bytes_max;
    if !capacity.is_open {
        return Err(Refusal::Closing);
    }
    if capacity.is_paused {
        return Err(Refusal::Paused);
    }
    if capacity.journal_is_lost {
        return Err(Refusal::JournalLost);
    }
    if !capacity.journal_is_reachable {
        return Err(Refusal::JournalUnreachable);
    }
    let body_bytes_max = upload_bytes_max.saturating_add(ENVELOPE_BYTES_MAX);
    if request.bytes.is_some_and(|bytes| bytes > body_bytes_max) {
        return Err(Refusal::TooLarge { upload_bytes_max });
    }
    if capacity.memory_is_short {
        return Err(Refusal::MemoryShort { retry_after: whole_seconds(capacity.service_time) });
    }
    let places = capacity.queue_len + capacity.uploads;
    // A client with as many places as are left gets no more, so that the next client finds one.
    let free = capacity.queue_max.saturating_sub(places);
    if free == 0 || capacity.places_of_client.is_some_and(|own| own >= free) {
        let missing = (places + 1).saturating_sub(capacity.queue_max).max(1);
        return Err(Refusal::QueueFull { retry_after: time_to_finish(missing, capacity) });
    }
    if !capacity.disk_takes_writes {
        return Err(Refusal::DiskRefuses);
    }
    if !capacity.store_is_reachable {
        return Err(Refusal::StoreUnreachable);
    }
    let unreserved = capacity.disk_free_bytes.saturating_sub(capacity.upload_bytes_left);
    let left = unreserved.checked_sub(request.bytes_max(upload_bytes_max));
    if left.is_none_or(|left| left < capacity.disk_free_bytes_min) {
        return Err(Refusal::DiskFull);
    }
    Ok(Admitted)
}

/// Estimated time in which the workers finish this many jobs.
fn time_to_finish(jobs: usize, capacity: &Capacity) -> Duration {
    let rounds = jobs.div_ceil(capacity.workers.max(1));
    whole_seconds(capacity.service_time.saturating_mul(rounds as u32))
}

/// Whole seconds, as `Retry-After` requires (RFC 9110, 10.2.3), from one second to ten minutes.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_millis().div_ceil(1000).clamp(1, 600) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn capacity() -> Capacity {
        Capacity {
            is_open: true,
            is_paused: false,
            journal_is_lost: false,
            journal_is_reachable: true,
            memory_is_short: false,
            queue_len: 0,
            uploads: 0,
            places_of_client: None,
            upload_bytes_left: 0,
            queue_max: 10,
            workers: 2,
            service_time: Duration::from_millis(8200),
            upload_bytes_max: 30 * MIB,
            disk_takes_writes: true,
            store_is_reachable: true,
            disk_free_bytes: 1000 * MIB,
            disk_free_bytes_min: 100 * MIB,
        }
    }

    const fn request(bytes: Option<u64>) -> Request {
        Request { client: ClientAddress::ThisHost, bytes }
    }

    const SMALL: Request = request(Some(1000));

    #[test]
    fn the_queue_is_filled_to_its_limit_and_not_beyond() {
        let at = Capacity { queue_len: 6, uploads: 3, ..capacity() };
        assert_eq!(decide(&at, &SMALL), Ok(Admitted));
        let past = Capacity { queue_len: 7, uploads: 3, ..capacity() };
        let retry_after = Duration::from_secs(9);
        assert_eq!(decide(&past, &SMALL), Err(Refusal::QueueFull { retry_after }));
    }

    /// The places of each client once none gets another, when they come one after the other.
    fn filled(queue_max: usize, clients: usize) -> Vec<usize> {
        let mut places = vec![0; clients];
        for client in 0..clients {
            loop {
                let queue_len = places.iter().sum();
                let places_of_client = Some(places[client]);
                let at = Capacity { queue_len, queue_max, places_of_client, ..capacity() };
                if decide(&at, &SMALL).is_err() {
                    break;
                }
                places[client] += 1;
            }
        }
        places
    }

    #[test]
    fn the_first_clients_leave_places_for_others() {
        assert_eq!(filled(10, 5), [5, 3, 1, 1, 0]);
        assert_eq!(filled(100, 8), [50, 25, 13, 6, 3, 2, 1, 0]);
        assert_eq!(filled(2, 2), [1, 1]);
        assert_eq!(filled(1, 2), [1, 0]);
    }

    #[test]
    fn retry_after_grows_with_the_number_of_queued_jobs() {
        let wait = |queue_len| match decide(&Capacity { queue_len, ..capacity() }, &SMALL) {
            Err(Refusal::QueueFull { retry_after }) => retry_after.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!((wait(10), wait(11), wait(12)), (9, 9, 17));
    }

    #[test]
    fn a_body_at_the_limit_is_admitted_and_one_byte_more_is_refused() {
        let limit = 30 * MIB + ENVELOPE_BYTES_MAX;
        assert_eq!(decide(&capacity(), &request(Some(limit))), Ok(Admitted));
        let refusal = Refusal::TooLarge { upload_bytes_max: 30 * MIB };
        assert_eq!(decide(&capacity(), &request(Some(limit + 1))), Err(refusal));
    }

    #[test]
    fn disk_space_is_reserved_for_uploads_in_progress() {
        let at = Capacity { disk_free_bytes: 190 * MIB, upload_bytes_left: 60 * MIB, ..capacity() };
        assert_eq!(decide(&at, &request(None)), Ok(Admitted));
        let past = Capacity { disk_free_bytes: 190 * MIB - 1, ..at };
        assert_eq!(decide(&past, &request(None)), Err(Refusal::DiskFull));
        let refusing = Capacity { disk_takes_writes: false, ..at };
        assert_eq!(decide(&refusing, &request(None)), Err(Refusal::DiskRefuses));
    }

    #[test]
    fn stopping_and_a_lost_journal_take_precedence_over_other_refusals() {
        let closing = Capacity { is_open: false, queue_len: 10, ..capacity() };
        assert_eq!(decide(&closing, &SMALL), Err(Refusal::Closing));
        let paused = Capacity { is_paused: true, journal_is_reachable: false, ..capacity() };
        assert_eq!(decide(&paused, &SMALL), Err(Refusal::Paused));
        assert_eq!(decide(&Capacity { is_open: false, ..paused }, &SMALL), Err(Refusal::Closing));
        let lost = Capacity { journal_is_lost: true, queue_len: 10, ..capacity() };
        assert_eq!(decide(&lost, &SMALL), Err(Refusal::JournalLost));
        let unreachable = Capacity { journal_is_reachable: false, ..capacity() };
        assert_eq!(decide(&unreachable, &SMALL), Err(Refusal::JournalUnreachable));
        let short = Capacity { memory_is_short: true, ..capacity() };
        assert!(matches!(decide(&short, &SMALL), Err(Refusal::MemoryShort { .. })));
    }

    proptest! {
        #[test]
        fn an_admitted_upload_fits_into_queue_and_disk(
            (queue_len, uploads, queue_max) in (0usize..20, 0usize..20, 1usize..20),
            places_of_client in prop::option::of(0usize..20), workers in 0usize..4,
            (free, bytes_left) in (0u64..2000, 0u64..100), bytes in prop::option::of(0u64..40),
        ) {
            let capacity = Capacity {
                queue_len, uploads, queue_max, workers, disk_free_bytes: free * MIB,
                places_of_client, upload_bytes_left: bytes_left * MIB, ..capacity()
            };
            let request = request(bytes.map(|mib| mib * MIB));
            match decide(&capacity, &request) {
                Ok(Admitted) => {
                    prop_assert!(queue_len + uploads < queue_max);
                    let free_places = queue_max - queue_len - uploads;
                    prop_assert!(places_of_client.is_none_or(|own| own < free_places));
                    let worst = bytes_left + bytes.unwrap_or(30).min(30);
                    prop_assert!(free >= worst + 100);
                }
                Err(Refusal::QueueFull { retry_after }) => {
                    let places = queue_len + uploads + places_of_client.unwrap_or(0);
                    prop_assert!(places >= queue_max);
                    prop_assert!((1..=600).contains(&retry_after.as_secs()));
                }
                Err(_) => {}
            }
        }
    }
}
