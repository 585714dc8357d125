//! output.mp4, clean.mp4 and preview.mp4: the boxes of an MP4 (ISO/IEC 14496-12) with one track of H.264 of the expected
//! size and number of frames, in the first two perhaps one of sound, and nothing else. Samples lie within the media
//! data; their content is not looked at.

use super::Expected;
use super::boxes::{Mp4Box, children, find, only};
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use bodyscript_protocol::layout::{encoded_size, preview_size};
use std::io::Read;

const TOP_LEVEL: [&[u8; 4]; 4] = [b"ftyp", b"free", b"moov", b"mdat"];
const IN_MOVIE: [&[u8; 4]; 4] = [b"mvhd", b"trak", b"udta", b"iods"];
const SOUND_CODECS: [&[u8; 4]; 3] = [b"mp4a", b".mp3", b"Opus"];

/// Most tracks: pictures and sound.
const TRACKS_MAX: usize = 2;

/// What the pictures of a file must be.
struct Pictures {
    size: [u32; 2],
    frames_min: u32,
    frames_max: u32,
    tracks_max: usize,
}

/// Each decoded frame is in it, whether it was processed or not.
pub(super) fn check_video(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let frames = expected.summary.frames_decoded;
    let pictures = Pictures {
        size: encoded_size(expected.picture_size()),
        frames_min: frames,
        frames_max: frames,
        tracks_max: TRACKS_MAX,
    };
    check(content, &pictures)
}

/// The frames of the first seconds are in it.
pub(super) fn check_preview(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let pictures = Pictures {
        size: encoded_size(preview_size(expected.picture_size())),
        frames_min: 1,
        frames_max: expected.summary.frames_decoded,
        tracks_max: 1,
    };
    check(content, &pictures)
}

fn check(content: &Content<'_>, pictures: &Pictures) -> Result<(), Invalid> {
    let whole = Mp4Box { kind: *b"file", from: 0, to: content.bytes() };
    let top = children(content, &whole)?;
    let is_known = |found: &Mp4Box| TOP_LEVEL.contains(&&found.kind);
    ensure(top.iter().all(is_known), "it has an unknown box")?;
    ensure(top.first().is_some_and(|first| first.kind == *b"ftyp"), "it does not begin as an MP4")?;
    let movie = only(&top, b"moov")?;
    let media: Vec<_> = top.iter().filter(|found| found.kind == *b"mdat").collect();
    let in_movie = children(content, movie)?;
    let is_known = |found: &Mp4Box| IN_MOVIE.contains(&&found.kind);
    ensure(in_movie.iter().all(is_known), "its index has an unknown box")?;
    only(&in_movie, b"mvhd")?;
    let tracks: Vec<_> = in_movie.iter().filter(|found| found.kind == *b"trak").collect();
    ensure(tracks.len() <= pictures.tracks_max, "it has too many tracks")?;
    let mut videos: u64 = 0;
    for track in tracks {
        let track = Track::read(content, track)?;
        track.check_samples(content, &media)?;
        match &track.handler {
            b"vide" => {
                check_pictures(content, &track, pictures)?;
                videos += 1;
            }
            b"soun" => ensure(SOUND_CODECS.contains(&&track.codec), "its sound has another codec")?,
            _ => ensure(false, "it has a track that is neither pictures nor sound")?,
        }
    }
    equal("tracks of pictures", videos, 1_u64)
}

/// One track: where its parts are.
struct Track {
    header: Mp4Box,
    handler: [u8; 4],
    /// The samples' descriptions, sizes and places.
    table: Vec<Mp4Box>,
    codec: [u8; 4],
    samples: u32,
}

impl Track {
    fn read(content: &Content<'_>, track: &Mp4Box) -> Result<Self, Invalid> {
        let parts = children(content, track)?;
        let header = only(&parts, b"tkhd")?.clone();
        let media = children(content, only(&parts, b"mdia")?)?;
        // Version and flags, and a field that is always zero.
        let handler = content.array(only(&media, b"hdlr")?.at(8, 4)?)?;
        let information = children(content, only(&media, b"minf")?)?;
        let table = children(content, only(&information, b"stbl")?)?;
        let descriptions = only(&table, b"stsd")?;
        equal("sample descriptions", number(content, descriptions, 4)?, 1_u64)?;
        let codec = content.array(descriptions.at(12, 4)?)?;
        let samples = number(content, only(&table, b"stsz")?, 8)?;
        Ok(Self { header, handler, table, codec, samples })
    }

    /// Checks that all samples fit into the media data, and that each chunk begins there.
    fn check_samples(&self, content: &Content<'_>, media: &[&Mp4Box]) -> Result<(), Invalid> {
        let sizes = only(&self.table, b"stsz")?;
        let each = number(content, sizes, 4)?;
        let mut total = u64::from(each) * u64::from(self.samples);
        if each == 0 {
            equal("bytes of sample sizes", sizes.bytes(), 12 + 4 * u64::from(self.samples))?;
            let mut reader = content.buffered(sizes.from + 12, sizes.to);
            for _ in 0..self.samples {
                total += u64::from(next_number(&mut reader)?);
            }
        }
        let available: u64 = media.iter().map(|media| media.bytes()).sum();
        ensure(total > 0 && total <= available, "its samples do not fit into its media data")?;
        let chunks = only(&self.table, b"stco")?;
        let count = number(content, chunks, 4)?;
        equal("bytes of chunk offsets", chunks.bytes(), 8 + 4 * u64::from(count))?;
        let mut reader = content.buffered(chunks.from + 8, chunks.to);
        for _ in 0..count {
            let at = u64::from(next_number(&mut reader)?);
            let is_inside = media.iter().any(|media| media.from <= at && at < media.to);
            ensure(is_inside, "a sample lies outside its media data")?;
        }
        Ok(())
    }
}

fn check_pictures(
    content: &Content<'_>,
    track: &Track,
    pictures: &Pictures,
) -> Result<(), Invalid> {
    ensure(track.codec == *b"avc1", "its pictures have another codec")?;
    let frames = track.samples;
    let expected = frames.clamp(pictures.frames_min, pictures.frames_max);
    equal("frames", frames, expected)?;
    let [width, height] = pictures.size;
    // The last fields of the header, as 16.16 fixed-point numbers.
    let end = track.header.bytes();
    let sides = end.checked_sub(8).ok_or(Invalid::Malformed("a track has a short header"))?;
    equal("width", number(content, &track.header, sides)? >> 16, width)?;
    equal("height", number(content, &track.header, sides + 4)? >> 16, height)?;
    let description = find(&track.table, b"stsd").ok_or(Invalid::Malformed("no description"))?;
    let [x1, x2, y1, y2] = content.array(description.at(40, 4)?)?;
    equal("coded width", u16::from_be_bytes([x1, x2]), width)?;
    equal("coded height", u16::from_be_bytes([y1, y2]), height)
}

/// A 32-bit number within a box.
fn number(content: &Content<'_>, inside: &Mp4Box, offset: u64) -> Result<u32, Invalid> {
    Ok(u32::from_be_bytes(content.array(inside.at(offset, 4)?)?))
}

fn next_number(reader: &mut impl Read) -> Result<u32, Invalid> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}
