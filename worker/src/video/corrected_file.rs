//! The bytes of a video as the demuxer gets them: those of the file, with wrong numbers of its
//! headers replaced. Called by `reader`; the corrections come from `corrections`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes in place of those of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch {
    /// Offset in the file.
    pub(super) at: u64,
    /// The bytes from there on.
    pub(super) bytes: Vec<u8>,
}

/// What differs from the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Corrections {
    /// Bytes in front of the first of the file.
    pub(super) lead: Vec<u8>,
    /// Replaced bytes.
    pub(super) patches: Vec<Patch>,
    /// Number of zero bytes after the last of the file.
    pub(super) tail_bytes: u64,
}

/// A file with its corrections; the file itself is never written.
#[derive(Debug)]
pub(super) struct CorrectedFile {
    file: File,
    corrections: Corrections,
    /// Number of reads.
    reads: AtomicU64,
}

impl CorrectedFile {
    pub(super) fn new(file: File, corrections: Corrections) -> Self {
        Self { file, corrections, reads: AtomicU64::new(0) }
    }

    /// The file as it is.
    pub(super) const fn original(&self) -> &File {
        &self.file
    }

    /// Number of bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        let Corrections { lead, tail_bytes, .. } = &self.corrections;
        let own = self.file.metadata()?.len();
        Ok(own.saturating_add(lead.len() as u64).saturating_add(*tail_bytes))
    }

    /// Number of reads so far.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Reads from this offset on; returns the number of bytes, which is zero at the end.
    pub(super) fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let Corrections { lead, patches, tail_bytes } = &self.corrections;
        self.reads.fetch_add(1, Ordering::Relaxed);
        let lead_bytes = lead.len() as u64;
        let left = lead.get(offset.min(lead_bytes) as usize..).unwrap_or_default();
        let (own, rest) = into.split_at_mut(left.len().min(into.len()));
        own.copy_from_slice(&left[..own.len()]);
        // Both parts at once: the demuxer takes a short part for the end.
        let offset = offset.saturating_sub(lead_bytes);
        let read = self.file.read_at(rest, offset)?;
        patches.iter().for_each(|patch| patch.apply(&mut rest[..read], offset));
        if read == rest.len() || *tail_bytes == 0 {
            return Ok(own.len() + read);
        }
        let left = self.size()?.saturating_sub(lead_bytes).saturating_sub(offset + read as u64);
        let zeros = left.min((rest.len() - read) as u64) as usize;
        rest[read..read + zeros].fill(0);
        Ok(own.len() + read + zeros)
    }
}

impl Patch {
    /// Replaces the bytes of a part of the file that begins at this offset.
    fn apply(&self, part: &mut [u8], offset: u64) {
        let from = self.at.max(offset);
        let end = self.at.saturating_add(self.bytes.len() as u64);
        let end = end.min(offset.saturating_add(part.len() as u64));
        if from < end {
            let bytes = &self.bytes[(from - self.at) as usize..(end - self.at) as usize];
            part[(from - offset) as usize..(end - offset) as usize].copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrected(lead: &[u8], patches: &[(u64, &[u8])]) -> CorrectedFile {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(b"0123456789", 0).expect("room");
        let patches = patches.iter().map(|(at, bytes)| Patch { at: *at, bytes: bytes.to_vec() });
        let corrections =
            Corrections { lead: lead.to_vec(), patches: patches.collect(), tail_bytes: 0 };
        CorrectedFile::new(file, corrections)
    }

    /// All bytes, read in parts of this length.
    fn contents(file: &CorrectedFile, part: usize) -> String {
        let (mut all, mut bytes) = (Vec::new(), vec![0; part]);
        loop {
            let read = file.read_at(&mut bytes, all.len() as u64).expect("readable");
            if read == 0 {
                break String::from_utf8(all).expect("text");
            }
            all.extend(&bytes[..read]);
        }
    }

    #[test]
    fn parts_of_every_length_give_the_same_corrected_bytes() {
        let file = corrected(b"ab", &[(0, b"X"), (4, b"YZ"), (9, b"WV"), (30, b"U")]);
        for part in 1..14 {
            assert_eq!(contents(&file, part), "abX123YZ678W", "parts of {part}");
        }
        assert_eq!(file.size().expect("a size"), 12);
        assert_eq!(file.read_at(&mut [0; 12], 0).expect("readable"), 12, "not cut at the lead");
    }

    #[test]
    fn zeros_follow_the_last_byte() {
        let mut file = corrected(b"ab", &[(8, b"XYZ")]);
        file.corrections.tail_bytes = 3;
        for part in 1..17 {
            assert_eq!(contents(&file, part), "ab01234567XY\0\0\0", "parts of {part}");
        }
        assert_eq!(file.size().expect("a size"), 15);
    }

    #[test]
    fn a_file_without_corrections_is_unchanged() {
        assert_eq!(contents(&corrected(b"", &[]), 64), "0123456789");
    }
}
