//! Uploads in progress: which of them need a place in the queue, and how much of the disk they may still use. Without
//! I/O; the caller passes the time.
//!
//! A place counts only while bytes arrive, so that a client that sends nothing, or next to nothing, keeps nobody out.
//! Every byte pays for the time it would take at the minimum rate.

use crate::policy::client::ClientAddress;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How long a place counts after the start of an upload, and at most after its last byte.
const COUNTS_MAX: Duration = Duration::from_secs(2);

/// An upload in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenUpload {
    client: ClientAddress,
    opened: Instant,
    /// Lowest rate at which its place always counts; 0 is any.
    bytes_per_s_min: u64,
    /// Most bytes that may still arrive.
    bytes_left: AtomicU64,
    /// Until when its place counts, in milliseconds after `opened`.
    counts_until_ms: AtomicU64,
}

impl OpenUpload {
    pub(crate) fn new(
        client: ClientAddress,
        bytes_max: u64,
        bytes_per_s_min: u64,
        now: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            opened: now,
            bytes_per_s_min,
            bytes_left: AtomicU64::new(bytes_max),
            counts_until_ms: AtomicU64::new(COUNTS_MAX.as_millis() as u64),
        })
    }

    /// The client that sends it.
    pub(crate) const fn client(&self) -> ClientAddress {
        self.client
    }

    /// Records bytes. To be called by one task only.
    pub(crate) fn receive(&self, bytes: usize, now: Instant) {
        let bytes = bytes as u64;
        let left = self.bytes_left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.bytes_left.store(left, Ordering::Relaxed);
        let now_ms = self.ms(now);
        let paid_ms =
            (bytes.saturating_mul(1000).checked_div(self.bytes_per_s_min)).unwrap_or(u64::MAX);
        let until_ms = self.counts_until_ms.load(Ordering::Relaxed).max(now_ms);
        let until_ms_max = now_ms + COUNTS_MAX.as_millis() as u64;
        let until_ms = until_ms.saturating_add(paid_ms).min(until_ms_max);
        self.counts_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// All bytes have arrived: the place counts until the upload is dropped.
    pub(crate) fn complete(&self) {
        self.counts_until_ms.store(u64::MAX, Ordering::Relaxed);
    }

    fn counts(&self, now: Instant) -> bool {
        self.ms(now) < self.counts_until_ms.load(Ordering::Relaxed)
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.opened).as_millis() as u64
    }
}

/// All uploads in progress.
#[derive(Debug, Default)]
pub(crate) struct OpenUploads(Vec<Weak<OpenUpload>>);

impl OpenUploads {
    pub(crate) fn add(&mut self, upload: &Arc<OpenUpload>) {
        self.0.retain(|upload| upload.strong_count() > 0);
        self.0.push(Arc::downgrade(upload));
    }

    fn iter(&self) -> impl Iterator<Item = Arc<OpenUpload>> + '_ {
        self.0.iter().filter_map(Weak::upgrade)
    }

    /// Number of uploads.
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// The clients of those that need a place now, one entry for each upload.
    pub(crate) fn places(&self, now: Instant) -> impl Iterator<Item = ClientAddress> + '_ {
        self.iter().filter(move |upload| upload.counts(now)).map(|upload| upload.client)
    }

    /// Bytes that all of them together may still write.
    pub(crate) fn bytes_left(&self) -> u64 {
        let left = self.iter().map(|upload| upload.bytes_left.load(Ordering::Relaxed));
        left.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn open(bytes_per_s_min: u64) -> (OpenUploads, Arc<OpenUpload>, Instant) {
        let now = Instant::now();
        let upload = OpenUpload::new(ClientAddress::ThisHost, 10_000, bytes_per_s_min, now);
        let mut uploads = OpenUploads::default();
        uploads.add(&upload);
        (uploads, upload, now)
    }

    fn places(uploads: &OpenUploads, now: Instant) -> usize {
        uploads.places(now).count()
    }

    #[test]
    fn a_place_counts_while_bytes_arrive_at_the_minimum_rate() {
        let (uploads, upload, start) = open(1000);
        assert_eq!(places(&uploads, start + 1999 * MS), 1);
        assert_eq!(places(&uploads, start + 2000 * MS), 0, "nothing arrived");
        // At twice the rate, it counts as long as that lasts and two seconds more.
        for n in 0..30 {
            upload.receive(200, start + n * 100 * MS);
        }
        assert_eq!(places(&uploads, start + 4899 * MS), 1);
        assert_eq!(places(&uploads, start + 4900 * MS), 0);
        // At a hundredth of the rate, it counts a hundredth of the time.
        let later = start + 10_000 * MS;
        upload.receive(10, later);
        assert_eq!((places(&uploads, later + 9 * MS), places(&uploads, later + 10 * MS)), (1, 0));
        assert_eq!(uploads.len(), 1, "it is still in progress");
        upload.complete();
        assert_eq!(places(&uploads, later + 1_000_000 * MS), 1, "until it is in the queue");
    }

    #[test]
    fn without_a_minimum_rate_each_byte_counts_for_two_seconds() {
        let (uploads, upload, start) = open(0);
        let later = start + 10_000 * MS;
        upload.receive(1, later);
        assert_eq!(places(&uploads, later + 1999 * MS), 1);
        assert_eq!(places(&uploads, later + 2000 * MS), 0);
    }

    #[test]
    fn bytes_on_the_disk_are_not_reserved_any_more() {
        let (mut uploads, upload, start) = open(1000);
        let second = OpenUpload::new(ClientAddress::ThisHost, u64::MAX, 1000, start);
        uploads.add(&second);
        assert_eq!(uploads.bytes_left(), u64::MAX);
        drop(second);
        upload.receive(4000, start);
        assert_eq!(uploads.bytes_left(), 6000);
        upload.receive(usize::MAX, start);
        assert_eq!(uploads.bytes_left(), 0);
        drop(upload);
        assert_eq!((uploads.len(), places(&uploads, start)), (0, 0));
    }
}
