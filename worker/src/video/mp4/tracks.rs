//! What the index of an MP4 or QuickTime file states of its tracks: times, edit lists, and how coded
//! pictures are framed (ISO/IEC 14496-12). Called by `file_facts`.

use super::boxes::contents_of;
use super::entry_type;
use super::fields::Fields;
use super::framing::{self, Framing};
use super::tables::{for_each_entry, number_of};
use super::time_header::{TimeHeader, known};
use crate::video::corrected_file::Patch;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Most tracks that are read; further ones are ignored.
const TRACKS_MAX: usize = 64;

/// The index.
#[derive(Debug, Default)]
pub(in crate::video) struct Tracks {
    /// Timescale and duration of the movie.
    pub(super) movie: Option<TimeHeader>,
    /// Whether the index announces fragments, whose samples it does not describe.
    pub(super) is_fragmented: bool,
    /// The tracks.
    pub(super) tracks: Vec<Track>,
}

/// One track.
#[derive(Debug)]
pub(in crate::video) struct Track {
    /// Its number, by which the demuxer names it.
    number: u32,
    /// Whether it has an edit list, which states the presented part of the media.
    pub(in crate::video) has_edits: bool,
    /// How its coded pictures are framed.
    pub(in crate::video) framing: Framing,
    /// The type of its sample entry, where the demuxer has to be given another one.
    entry_type: Option<Patch>,
    /// Whether it carries pictures.
    pub(super) is_picture: bool,
    /// Timescale and duration of its media.
    pub(super) media: TimeHeader,
    /// Ticks of all its samples together.
    pub(super) ticks: u64,
    /// Whether it has several samples, all at the same time.
    pub(in crate::video) lacks_times: bool,
    /// Duration of the presented part in ticks of the movie; zero where none is stated.
    pub(super) presented: u64,
}

impl Tracks {
    /// Reads the index of this file; empty if there is none.
    pub(in crate::video) fn of(file: &File) -> io::Result<Self> {
        let index = contents_of(file, 0..file.metadata()?.len(), &[*b"moov"])?;
        let Some(index) = index.into_iter().next() else { return Ok(Self::default()) };
        let movie = first(file, &index, &[*b"mvhd"])?;
        let movie = movie.map(|header| TimeHeader::read(file, &header)).transpose()?.flatten();
        let is_fragmented = first(file, &index, &[*b"mvex"])?.is_some();
        let mut tracks = Vec::new();
        for track in contents_of(file, index, &[*b"trak"])?.into_iter().take(TRACKS_MAX) {
            tracks.extend(Track::of(file, &track)?);
        }
        Ok(Self { movie, is_fragmented, tracks })
    }

    /// The track of this number.
    pub(in crate::video) fn of_number(&self, number: u64) -> Option<&Track> {
        self.tracks.iter().find(|track| u64::from(track.number) == number)
    }

    /// The types of sample entries that the demuxer has to be given.
    pub(in crate::video) fn entry_types(&self) -> impl Iterator<Item = Patch> {
        self.tracks.iter().filter_map(|track| track.entry_type.clone())
    }

    /// Whether a track has coded pictures with start codes.
    pub(in crate::video) fn have_start_codes(&self) -> bool {
        self.tracks.iter().any(|track| track.framing == Framing::StartCodes)
    }
}

impl Track {
    /// Reads the track with these contents; none if it lacks a header.
    fn of(file: &File, track: &Range<u64>) -> io::Result<Option<Self>> {
        let media = first(file, track, &[*b"mdia", *b"mdhd"])?;
        let media = media.map(|header| TimeHeader::read(file, &header)).transpose()?.flatten();
        let header = first(file, track, &[*b"tkhd"])?;
        let header = header.map(|header| Fields::read(file, &header)).transpose()?;
        let Some((media, header)) = media.zip(header) else { return Ok(None) };
        // After version, flags and two times: the number, four unused bytes, the duration.
        let width = header.time_width();
        let at = 4 + 2 * width;
        let Some(number) = header.word(at) else { return Ok(None) };
        let duration = header.number(at + 8, width).and_then(|ticks| known(ticks, width));

        let edits = first(file, track, &[*b"edts", *b"elst"])?;
        let presented = edits.as_ref().map(|list| presented(file, list)).transpose()?;
        let handler = first(file, track, &[*b"mdia", *b"hdlr"])?;
        let handler = handler.map(|handler| Fields::read(file, &handler)).transpose()?;
        let is_picture = handler.and_then(|handler| handler.bytes(8)) == Some(*b"vide");
        let samples = first(file, track, &[*b"mdia", *b"minf", *b"stbl"])?.unwrap_or(0..0);
        let entry = if is_picture { framing::sample_entry(file, &samples)? } else { None };
        let framing = entry.as_ref().map(|entry| framing::of(file, &samples, entry)).transpose()?;
        let (count, ticks) = durations(file, &samples)?;
        Ok(Some(Self {
            number,
            has_edits: edits.is_some(),
            framing: framing.unwrap_or_default(),
            entry_type: entry.as_ref().and_then(entry_type::correction),
            is_picture,
            media,
            ticks,
            lacks_times: count > 1 && ticks == 0,
            presented: presented.filter(|ticks| *ticks > 0).or(duration).unwrap_or(0),
        }))
    }
}

/// The contents of the first box on a path of types.
pub(super) fn first(
    file: &impl FileExt,
    within: &Range<u64>,
    path: &[[u8; 4]],
) -> io::Result<Option<Range<u64>>> {
    Ok(contents_of(file, within.clone(), path)?.into_iter().next())
}

/// Duration of the presented part of an edit list, in ticks of the movie.
fn presented(file: &File, list: &Range<u64>) -> io::Result<u64> {
    let mut ticks: u64 = 0;
    let width = Fields::read(file, list)?.time_width();
    if width == 4 {
        // Length, media time, which is -1 for an empty edit, and rate.
        for_each_entry(file, list, |edit: &[u8; 12]| {
            if edit[4..8] != [0xff; 4] {
                ticks = ticks.saturating_add(number_of(&edit[..4]));
            }
        })?;
    } else {
        for_each_entry(file, list, |edit: &[u8; 20]| {
            if edit[8..16] != [0xff; 8] {
                ticks = ticks.saturating_add(number_of(&edit[..8]));
            }
        })?;
    }
    Ok(ticks)
}

/// Number of all samples of a track, and their ticks together.
fn durations(file: &File, samples: &Range<u64>) -> io::Result<(u64, u64)> {
    let (mut count, mut ticks): (u64, u64) = (0, 0);
    let Some(table) = first(file, samples, &[*b"stts"])? else { return Ok((0, 0)) };
    // Number of samples, and the ticks of each.
    for_each_entry(file, &table, |run: &[u8; 8]| {
        let [samples, each] = [&run[..4], &run[4..]].map(number_of);
        count = count.saturating_add(samples);
        ticks = ticks.saturating_add(samples * each);
    })?;
    Ok((count, ticks))
}
