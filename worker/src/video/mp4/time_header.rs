//! The timescale and duration in the header of a movie or of a track's media (ISO/IEC 14496-12:
//! `mvhd`, `mdhd`), and the patches that change them. Called by `tracks` and `durations`.

use super::fields::Fields;
use crate::video::corrected_file::Patch;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Timescale and duration of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeHeader {
    /// Ticks a second; zero where it is missing.
    pub(super) timescale: u32,
    /// In ticks; none where it is stated as unknown.
    pub(super) duration: Option<u64>,
    /// Offset of the timescale in the file; the duration follows it.
    place: u64,
    /// Number of bytes of the duration.
    width: usize,
}

impl TimeHeader {
    /// Reads the header with these contents; none if it is too short.
    pub(super) fn read(file: &File, contents: &Range<u64>) -> io::Result<Option<Self>> {
        let fields = Fields::read(file, contents)?;
        let width = fields.time_width();
        // After version, flags and two times.
        let at = 4 + 2 * width;
        let found = fields.word(at).zip(fields.number(at + 4, width));
        Ok(found.map(|(timescale, duration)| Self {
            timescale,
            duration: known(duration, width),
            place: contents.start + at as u64,
            width,
        }))
    }

    /// Replaces the timescale.
    pub(super) fn with_timescale(&self, timescale: u32) -> Patch {
        Patch { at: self.place, bytes: timescale.to_be_bytes().into() }
    }

    /// Replaces the duration; none if it does not fit.
    pub(super) fn with_duration(&self, duration: u64) -> Option<Patch> {
        let bytes = match self.width {
            4 => u32::try_from(duration).ok()?.to_be_bytes().into(),
            _ => duration.to_be_bytes().into(),
        };
        Some(Patch { at: self.place + 4, bytes })
    }
}

/// A duration, unless all its bits are set, which means that it is unknown.
pub(super) fn known(duration: u64, width: usize) -> Option<u64> {
    let unknown = if width == 4 { u32::MAX.into() } else { u64::MAX };
    (duration != unknown).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn read(bytes: &[u8]) -> Option<TimeHeader> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        TimeHeader::read(&file, &(0..bytes.len() as u64)).expect("readable")
    }

    #[test]
    fn both_versions_are_read_and_patched() {
        let narrow = [[0; 12].as_slice(), &[0, 0, 3, 232], &[0, 0, 0, 9]].concat();
        let header = read(&narrow).expect("a header");
        assert_eq!((header.timescale, header.duration), (1000, Some(9)));
        assert_eq!(header.with_timescale(7), Patch { at: 12, bytes: vec![0, 0, 0, 7] });
        assert_eq!(header.with_duration(8), Some(Patch { at: 16, bytes: vec![0, 0, 0, 8] }));
        assert_eq!(header.with_duration(1 << 32), None);

        let wide = [[1].as_slice(), &[0; 19], &[0, 0, 3, 232], &[0xff; 8]].concat();
        let header = read(&wide).expect("a header");
        assert_eq!((header.timescale, header.duration), (1000, None));
        assert_eq!(header.with_duration(1 << 32).map(|patch| patch.at), Some(24));
    }

    #[test]
    fn a_short_header_is_not_read() {
        assert_eq!(read(&[0; 19]), None);
        assert_eq!(read(&[[1].as_slice(), &[0; 30]].concat()), None);
        assert_eq!(read(&[]), None);
    }
}
