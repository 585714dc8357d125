//! Sets the presentation times of the tracks of a finished MP4 in their edit lists (ISO/IEC 14496-12,
//! 8.6.6): a late start is an empty edit at the front, and decoder pre-roll is skipped. Called by
//! `encode` when the muxer is done: the muxer moves the first frame to zero, skips no pre-roll, and
//! has no properties for either.

use super::boxes::{BoxHeader, boxes, contents_of};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Offset of a header's field in its box, by the box's version.
struct FieldOffset([usize; 2]);

const MOVIE_DURATION: FieldOffset = FieldOffset([24, 32]);
const TRACK_DURATION: FieldOffset = FieldOffset([28, 36]);
/// Ticks a second, in 32 bits, of the movie's and the media's header alike.
const TIMESCALE: FieldOffset = FieldOffset([20, 28]);
/// Offset of an edit list's entries in its box: after header, version and number.
const EDITS_AT: usize = 16;
/// The handler type in a `hdlr` box.
const HANDLER_TYPE: Range<usize> = 16..20;
/// The media time of an empty edit.
const EMPTY_EDIT: u64 = u64::MAX;

/// The presentation times of the tracks of one type.
#[derive(Debug, Clone, Copy)]
pub(in crate::video) struct TrackTiming {
    /// `vide` or `soun`.
    pub(in crate::video) kind: [u8; 4],
    /// Start, from the start of the movie.
    pub(in crate::video) start: Duration,
    /// Media at the beginning that is skipped.
    pub(in crate::video) skipped: Duration,
    /// Latest end, from the start of the movie.
    pub(in crate::video) end_max: Duration,
}

/// Sets the edit lists. A longer index takes space from the empty box after it.
///
/// # Errors
/// The file cannot be read or written, has another layout than the muxer's, or no space.
pub(in crate::video) fn set(file: &File, timings: &[TrackTiming]) -> io::Result<()> {
    let heads = boxes(file, 0..file.metadata()?.len()).collect::<io::Result<Vec<_>>>()?;
    let place = heads.windows(2).find(|pair| &pair[0].kind == b"moov" && &pair[1].kind == b"free");
    let [index, free] = place.ok_or_else(|| unexpected("no empty box after the index"))? else {
        unreachable!("windows of two");
    };
    let index_bytes = movie(file, index, timings)?;
    let left = free.whole.end.checked_sub(index.whole.start + index_bytes.len() as u64);
    let left = left.and_then(|left| u32::try_from(left).ok()).filter(|left| *left >= 8);
    let left = left.ok_or_else(|| unexpected("too little space after the index"))?;
    let free = [&left.to_be_bytes(), b"free".as_slice()].concat();
    file.write_all_at(&[index_bytes, free].concat(), index.whole.start)
}

/// The index with the edit lists set, and the duration of its longest track.
fn movie(file: &File, index: &BoxHeader, timings: &[TrackTiming]) -> io::Result<Vec<u8>> {
    let children = boxes(file, index.contents.clone()).collect::<io::Result<Vec<_>>>()?;
    let header = children.iter().find(|child| &child.kind == b"mvhd");
    let mut header =
        read(file, &header.ok_or_else(|| unexpected("no header of the movie"))?.whole)?;
    let ticks_a_second = timescale(&header)?;
    let mut longest = 0;
    let mut rest = Vec::new();
    for child in children.iter().filter(|child| &child.kind != b"mvhd") {
        let mut whole = read(file, &child.whole)?;
        if &child.kind == b"trak" {
            let track = Track::read(file, child)?;
            let timing = timings.iter().find(|timing| timing.kind == track.kind);
            let edits = track.edits(ticks_a_second, timing)?;
            longest = longest.max(edits.iter().map(|edit| edit.length).sum());
            whole = track.with(file, child, &edits)?;
        }
        rest.extend(whole);
    }
    set_number(&mut header, &MOVIE_DURATION, longest)?;
    Ok(boxed(*b"moov", &[header, rest].concat()))
}

/// One entry of an edit list.
#[derive(Debug, Clone, Copy)]
struct Edit {
    /// In ticks of the movie's timescale.
    length: u64,
    /// In ticks of the track's timescale.
    from: u64,
}

/// The properties of a track.
struct Track {
    kind: [u8; 4],
    timescale: u64,
    /// The last of the muxer's edits, which presents the whole media.
    whole: Edit,
}

impl Track {
    fn read(file: &File, head: &BoxHeader) -> io::Result<Self> {
        let only = |path: &[[u8; 4]]| {
            let found = contents_of(file, head.contents.clone(), path)?;
            let found = found.first().ok_or_else(|| unexpected("a track lacks a box"))?;
            read(file, &(found.start - 8..found.end))
        };
        let handler = only(&[*b"mdia", *b"hdlr"])?;
        let kind = handler.get(HANDLER_TYPE).and_then(|kind| kind.try_into().ok());
        let timescale = timescale(&only(&[*b"mdia", *b"mdhd"])?)?;
        let list = only(&[*b"edts", *b"elst"])?;
        let width = width(&list)?;
        let last = list.get(EDITS_AT..).and_then(|edits| edits.rchunks_exact(2 * width + 4).next());
        let last = last.ok_or_else(|| unexpected("an empty edit list"))?;
        let whole = Edit { length: value(&last[..width]), from: value(&last[width..2 * width]) };
        Ok(Self { kind: kind.ok_or_else(|| unexpected("a short handler"))?, timescale, whole })
    }

    /// The edits for this timing.
    fn edits(&self, movie_timescale: u64, timing: Option<&TrackTiming>) -> io::Result<Vec<Edit>> {
        let Some(timing) = timing else { return Ok(vec![self.whole]) };
        let start = ticks(timing.start, movie_timescale);
        let skipped = ticks(timing.skipped, movie_timescale);
        let end_max = ticks(timing.end_max, movie_timescale);
        let whole = Edit {
            length: self.whole.length.saturating_sub(skipped).min(end_max.saturating_sub(start)),
            from: self.whole.from + ticks(timing.skipped, self.timescale),
        };
        let empty = (start > 0).then_some(Edit { length: start, from: EMPTY_EDIT });
        Ok(empty.into_iter().chain([whole]).collect())
    }

    /// The track's box with these edits.
    fn with(&self, file: &File, head: &BoxHeader, edits: &[Edit]) -> io::Result<Vec<u8>> {
        let mut contents = Vec::new();
        for child in boxes(file, head.contents.clone()) {
            let child = child?;
            let mut whole = read(file, &child.whole)?;
            if &child.kind == b"tkhd" {
                let length = edits.iter().map(|edit| edit.length).sum();
                set_number(&mut whole, &TRACK_DURATION, length)?;
            }
            if &child.kind == b"edts" {
                whole = boxed(*b"edts", &edit_list(edits)?);
            }
            contents.extend(whole);
        }
        Ok(boxed(*b"trak", &contents))
    }
}

/// An edit list of version 0, in which every time has 32 bits.
fn edit_list(edits: &[Edit]) -> io::Result<Vec<u8>> {
    let mut contents = vec![0; 4];
    contents.extend((edits.len() as u32).to_be_bytes());
    for edit in edits {
        let from = if edit.from == EMPTY_EDIT { vec![0xff; 4] } else { number(edit.from, 4)? };
        // Length, media time, and rate (1 in 16.16).
        contents.extend([number(edit.length, 4)?, from, vec![0, 1, 0, 0]].concat());
    }
    Ok(boxed(*b"elst", &contents))
}

/// To the nearest tick.
fn ticks(time: Duration, timescale: u64) -> u64 {
    let ticks = (time.as_nanos() * u128::from(timescale) + 500_000_000) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Number of bytes of a time in a box.
fn width(whole: &[u8]) -> io::Result<usize> {
    Ok([4, 8][version(whole)?])
}

fn version(whole: &[u8]) -> io::Result<usize> {
    let version = whole.get(8).copied().map(usize::from).filter(|version| *version < 2);
    version.ok_or_else(|| unexpected("an unknown version of a header"))
}

fn timescale(header: &[u8]) -> io::Result<u64> {
    let place = header.get(TIMESCALE.0[version(header)?]..).and_then(|rest| rest.get(..4));
    Ok(value(place.ok_or_else(|| unexpected("a short header"))?))
}

fn set_number(header: &mut [u8], at: &FieldOffset, value: u64) -> io::Result<()> {
    let version = version(header)?;
    let width = width(header)?;
    let place = header.get_mut(at.0[version]..).and_then(|rest| rest.get_mut(..width));
    let place = place.ok_or_else(|| unexpected("a short header"))?;
    place.copy_from_slice(&number(value, width)?);
    Ok(())
}

fn value(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The lower bytes of a number, if the upper ones are zero.
fn number(value: u64, width: usize) -> io::Result<Vec<u8>> {
    let (upper, lower) = (value.to_be_bytes(), 8 - width);
    if upper[..lower].iter().any(|byte| *byte != 0) {
        return Err(unexpected("a time too long for its header"));
    }
    Ok(upper[lower..].to_vec())
}

fn boxed(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
    let size = (8 + contents.len()) as u32;
    [&size.to_be_bytes(), kind.as_slice(), contents].concat()
}

fn read(file: &File, place: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (place.end - place.start) as usize];
    file.read_exact_at(&mut bytes, place.start)?;
    Ok(bytes)
}

fn unexpected(what: &str) -> io::Error {
    io::Error::other(format!("the index has another layout than the muxer's: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full box: version, flags, contents.
    fn versioned(kind: [u8; 4], version: u8, contents: &[u8]) -> Vec<u8> {
        boxed(kind, &[&[version, 0, 0, 0], contents].concat())
    }

    const MOVIE_TIMESCALE: u32 = 90_000;
    const WHOLE: [u8; 12] = [0, 0, 0, 100, 0, 0, 0, 0, 0, 1, 0, 0];

    /// A track of headers of version 0, with a second of media at this timescale.
    fn track(kind: &[u8; 4], timescale: u32, length: u32, edits: &[&[u8]]) -> Vec<u8> {
        let header = [&[7; 16], length.to_be_bytes().as_slice(), &[9; 60]].concat();
        let count = (edits.len() as u32).to_be_bytes();
        let list = versioned(*b"elst", 0, &[count.as_slice(), &edits.concat()].concat());
        let media = [&[1; 8], timescale.to_be_bytes().as_slice(), &[2; 8]].concat();
        let media = versioned(*b"mdhd", 0, &media);
        let handler = versioned(*b"hdlr", 0, &[[0; 4].as_slice(), kind, &[0; 13]].concat());
        let header = versioned(*b"tkhd", 0, &header);
        let media = boxed(*b"mdia", &[media, handler].concat());
        boxed(*b"trak", &[header, boxed(*b"edts", &list), media].concat())
    }

    fn index(length: u32, tracks: &[Vec<u8>]) -> Vec<u8> {
        let times = [MOVIE_TIMESCALE.to_be_bytes(), length.to_be_bytes()].concat();
        let movie = versioned(*b"mvhd", 0, &[&[7; 8], times.as_slice(), &[9; 80]].concat());
        boxed(*b"moov", &[movie, tracks.concat()].concat())
    }

    fn pictures(length: u32, edits: &[&[u8]]) -> Vec<u8> {
        track(b"vide", MOVIE_TIMESCALE, length, edits)
    }

    fn entry(length: u32, from: u32) -> Vec<u8> {
        [&length.to_be_bytes(), from.to_be_bytes().as_slice(), &[0, 1, 0, 0]].concat()
    }

    /// A video track that starts at this tick.
    fn starting_at(ticks: u64) -> TrackTiming {
        let start = Duration::from_nanos(ticks * 1_000_000_000 / u64::from(MOVIE_TIMESCALE));
        TrackTiming { kind: *b"vide", start, skipped: Duration::ZERO, end_max: Duration::MAX }
    }

    fn edited(bytes: &[u8], timings: &[TrackTiming]) -> io::Result<Vec<u8>> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        set(&file, timings)?;
        read(&file, &(0..bytes.len() as u64))
    }

    #[test]
    fn a_late_track_starts_with_an_empty_edit_and_the_media_stays_in_place() {
        let media = boxed(*b"mdat", b"media");
        let before = index(100, &[pictures(100, &[&WHOLE])]);
        let before = [before, boxed(*b"free", &[0; 40]), media.clone()].concat();
        let edits = [entry(45, u32::MAX), WHOLE.to_vec()].concat();
        let after = index(145, &[pictures(145, &[&edits[..12], &edits[12..]])]);
        let after = [after, boxed(*b"free", &[0; 28]), media].concat();
        assert_eq!(edited(&before, &[starting_at(45)]).expect("there is room"), after);
    }

    #[test]
    fn each_track_type_is_set_separately_and_the_muxers_own_empty_edit_is_removed() {
        let sound = |length, edits: &[&[u8]]| track(b"soun", 48_000, length, edits);
        let muxed = entry(1800, u32::MAX);
        let tracks =
            [pictures(93_600, &[&entry(93_600, 0)]), sound(91_800, &[&muxed, &entry(90_000, 0)])];
        let before = [index(93_600, &tracks), boxed(*b"free", &[0; 40])].concat();
        let timing = TrackTiming {
            kind: *b"soun",
            start: Duration::ZERO,
            skipped: Duration::from_millis(20),
            end_max: Duration::from_millis(900),
        };
        let tracks = [
            pictures(93_645, &[&entry(45, u32::MAX), &entry(93_600, 0)]),
            sound(81_000, &[&entry(81_000, 960)]),
        ];
        let after = [index(93_645, &tracks), boxed(*b"free", &[0; 40])].concat();
        assert_eq!(edited(&before, &[starting_at(45), timing]).expect("there is room"), after);
    }

    #[test]
    fn a_file_without_space_is_an_error() {
        let index = index(100, &[pictures(100, &[&WHOLE])]);
        let no_room = [index.clone(), boxed(*b"free", &[0; 11])].concat();
        assert!(edited(&no_room, &[starting_at(45)]).is_err());
        assert!(edited(&index, &[starting_at(45)]).is_err(), "nothing after the index");
        let room = [index, boxed(*b"free", &[0; 40])].concat();
        assert!(
            edited(&room, &[starting_at(1 << 32)]).is_err(),
            "longer than the headers can state"
        );
    }
}
