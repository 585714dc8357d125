//! Whether one more upload is let in, weighed before its body is read. Pure.
//!
//! Called by the dispatcher, which alone knows the numbers.

use std::time::Duration;

/// What there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Whether the service takes jobs at all.
    pub is_open: bool,
    /// Whether the journal's files are not those that a next start would open.
    pub journal_is_lost: bool,
    /// Whether the host is so short of memory that it works on nothing but memory.
    pub memory_is_short: bool,
    /// Jobs that wait.
    pub queue_len: usize,
    /// Uploads under way, each of which will want a place in the queue and room on the disk.
    pub uploads: usize,
    /// Jobs that may wait.
    pub queue_max: usize,
    /// Attempts at once.
    pub workers: usize,
    /// How long one job takes, as measured.
    pub service_time: Duration,
    /// Largest video, in bytes.
    pub upload_bytes_max: u64,
    /// Whether the disk takes writes, as far as is known.
    pub disk_takes_writes: bool,
    /// Free room on the disk, in bytes.
    pub disk_free_bytes: u64,
    /// Free room that must be left, in bytes.
    pub disk_free_bytes_min: u64,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// Size of the body, where the client tells it.
    pub bytes: Option<u64>,
}

/// What else than the video a body may hold: the envelope of a form and its short fields.
pub(crate) const ENVELOPE_BYTES_MAX: u64 = 64 * 1024;

/// An upload may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted;

/// Why an upload may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The service is about to stop.
    Closing,
    /// What is accepted could not be found again.
    JournalLost,
    /// The body is larger than any video may be.
    TooLarge {
        /// The limit, in bytes.
        upload_bytes_max: u64,
    },
    /// As many jobs wait as may.
    QueueFull {
        /// When there will probably be a place.
        retry_after: Duration,
    },
    /// The host is short of memory.
    MemoryShort {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too little of the disk is free.
    DiskFull,
    /// The disk takes no writes.
    DiskRefuses,
}

/// Weighs one request.
pub(crate) fn decide(capacity: &Capacity, request: &Request) -> Result<Admitted, Refusal> {
    let upload_bytes_max = capacity.upload_bytes_max;
    if !capacity.is_open {
        return Err(Refusal::Closing);
    }
    if capacity.journal_is_lost {
        return Err(Refusal::JournalLost);
    }
    let body_bytes_max = upload_bytes_max.saturating_add(ENVELOPE_BYTES_MAX);
    if request.bytes.is_some_and(|bytes| bytes > body_bytes_max) {
        return Err(Refusal::TooLarge { upload_bytes_max });
    }
    if capacity.memory_is_short {
        return Err(Refusal::MemoryShort { retry_after: whole_seconds(capacity.service_time) });
    }
    let places = capacity.queue_len + capacity.uploads;
    if places >= capacity.queue_max {
        let missing = places - capacity.queue_max + 1;
        return Err(Refusal::QueueFull { retry_after: time_to_finish(missing, capacity) });
    }
    if !capacity.disk_takes_writes {
        return Err(Refusal::DiskRefuses);
    }
    // Each upload under way may still grow to the limit, and so may this one.
    let promised = upload_bytes_max.saturating_mul(capacity.uploads as u64);
    let needed = request.bytes.unwrap_or(upload_bytes_max).min(upload_bytes_max);
    let left = capacity.disk_free_bytes.saturating_sub(promised).checked_sub(needed);
    if left.is_none_or(|left| left < capacity.disk_free_bytes_min) {
        return Err(Refusal::DiskFull);
    }
    Ok(Admitted)
}

/// How long `workers` take to finish so many jobs.
fn time_to_finish(jobs: usize, capacity: &Capacity) -> Duration {
    let rounds = jobs.div_ceil(capacity.workers.max(1));
    whole_seconds(capacity.service_time.saturating_mul(rounds as u32))
}

/// What `Retry-After` can carry (RFC 9110, 10.2.3), from a second to ten minutes.
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
            journal_is_lost: false,
            memory_is_short: false,
            queue_len: 0,
            uploads: 0,
            queue_max: 10,
            workers: 2,
            service_time: Duration::from_millis(8200),
            upload_bytes_max: 30 * MIB,
            disk_takes_writes: true,
            disk_free_bytes: 1000 * MIB,
            disk_free_bytes_min: 100 * MIB,
        }
    }

    const SMALL: Request = Request { bytes: Some(1000) };

    #[test]
    fn the_last_place_is_given_and_no_more() {
        let at = Capacity { queue_len: 6, uploads: 3, ..capacity() };
        assert_eq!(decide(&at, &SMALL), Ok(Admitted));
        let past = Capacity { queue_len: 7, uploads: 3, ..capacity() };
        let retry_after = Duration::from_secs(9);
        assert_eq!(decide(&past, &SMALL), Err(Refusal::QueueFull { retry_after }));
    }

    #[test]
    fn the_wait_grows_with_the_number_of_jobs_in_the_way() {
        let wait = |queue_len| match decide(&Capacity { queue_len, ..capacity() }, &SMALL) {
            Err(Refusal::QueueFull { retry_after }) => retry_after.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!((wait(10), wait(11), wait(12)), (9, 9, 17));
    }

    #[test]
    fn the_largest_body_is_let_in_and_one_byte_more_is_not() {
        let limit = 30 * MIB + ENVELOPE_BYTES_MAX;
        assert_eq!(decide(&capacity(), &Request { bytes: Some(limit) }), Ok(Admitted));
        let refusal = Refusal::TooLarge { upload_bytes_max: 30 * MIB };
        assert_eq!(decide(&capacity(), &Request { bytes: Some(limit + 1) }), Err(refusal));
    }

    #[test]
    fn room_on_the_disk_counts_what_is_under_way() {
        let at = Capacity { disk_free_bytes: 190 * MIB, uploads: 2, ..capacity() };
        assert_eq!(decide(&at, &Request { bytes: None }), Ok(Admitted));
        let past = Capacity { disk_free_bytes: 190 * MIB - 1, ..at };
        assert_eq!(decide(&past, &Request { bytes: None }), Err(Refusal::DiskFull));
        let refusing = Capacity { disk_takes_writes: false, ..at };
        assert_eq!(decide(&refusing, &Request { bytes: None }), Err(Refusal::DiskRefuses));
    }

    #[test]
    fn a_closing_service_or_one_without_its_journal_says_so_before_anything_else() {
        let closing = Capacity { is_open: false, queue_len: 10, ..capacity() };
        assert_eq!(decide(&closing, &SMALL), Err(Refusal::Closing));
        let lost = Capacity { journal_is_lost: true, queue_len: 10, ..capacity() };
        assert_eq!(decide(&lost, &SMALL), Err(Refusal::JournalLost));
        let short = Capacity { memory_is_short: true, ..capacity() };
        assert!(matches!(decide(&short, &SMALL), Err(Refusal::MemoryShort { .. })));
    }

    proptest! {
        #[test]
        fn whatever_is_admitted_fits(
            queue_len in 0usize..20, uploads in 0usize..20, queue_max in 1usize..20,
            workers in 0usize..4, free in 0u64..2000, bytes in prop::option::of(0u64..40),
        ) {
            let capacity = Capacity {
                queue_len, uploads, queue_max, workers, disk_free_bytes: free * MIB, ..capacity()
            };
            let request = Request { bytes: bytes.map(|mib| mib * MIB) };
            match decide(&capacity, &request) {
                Ok(Admitted) => {
                    prop_assert!(queue_len + uploads < queue_max);
                    let worst = uploads as u64 * 30 + bytes.unwrap_or(30).min(30);
                    prop_assert!(free >= worst + 100);
                }
                Err(Refusal::QueueFull { retry_after }) => {
                    prop_assert!(queue_len + uploads >= queue_max);
                    prop_assert!((1..=600).contains(&retry_after.as_secs()));
                }
                Err(_) => {}
            }
        }
    }
}
