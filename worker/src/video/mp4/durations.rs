//! Corrects wrong times in the headers of an MP4 or QuickTime file, for which the demuxer drops
//! frames or whole tracks: durations that are zero, unknown, or of another length than the samples
//! last, and missing timescales. Called by `file_facts`; pure.

use super::time_header::TimeHeader;
use super::tracks::{Track, Tracks};
use crate::video::corrected_file::Patch;

/// The timescale of a movie that states none, and whose tracks imply none.
const TIMESCALE_DEFAULT: u32 = 1000;
/// The demuxer takes a track for a still preview if the movie lasts more than this many times as
/// long.
const PREVIEW_RATIO: u128 = 5;

/// The patches of the headers; none for a file whose headers are right.
pub(in crate::video) fn corrections(index: &Tracks) -> Vec<Patch> {
    let Some(movie) = index.movie else { return Vec::new() };
    let movie_timescale = match movie.timescale {
        0 => index.tracks.iter().find_map(movie_timescale).unwrap_or(TIMESCALE_DEFAULT),
        stated => stated,
    };
    let mut patches = Vec::new();
    if movie.timescale == 0 {
        patches.push(movie.with_timescale(movie_timescale));
    }
    let mut media = Vec::new();
    for track in &index.tracks {
        let timescale = match track.media.timescale {
            0 => media_timescale(track, &movie, movie_timescale),
            stated => stated,
        };
        if track.media.timescale == 0 {
            patches.push(track.media.with_timescale(timescale));
        }
        if is_wrong_duration(track, timescale, index.is_fragmented) {
            patches.extend(track.media.with_duration(track.ticks));
        }
        media.push(Media { track, timescale });
    }
    if is_wrong_movie(&movie, movie_timescale, &media) {
        // The demuxer then takes the durations of the tracks.
        patches.extend(movie.with_duration(0));
    }
    patches
}

/// A track with its corrected timescale.
struct Media<'a> {
    track: &'a Track,
    timescale: u32,
}

impl Media<'_> {
    /// Duration of the samples in ticks of the movie.
    fn in_movie(&self, movie_timescale: u32) -> u128 {
        u128::from(self.track.ticks) * u128::from(movie_timescale) / u128::from(self.timescale)
    }
}

/// Whether the stated duration of a track's media is not that of its samples. A longer one is right
/// in a file with fragments, and tolerated up to a second in others.
fn is_wrong_duration(track: &Track, timescale: u32, is_fragmented: bool) -> bool {
    let latest = track.ticks.saturating_add(timescale.into());
    track.ticks > 0
        && track
            .media
            .duration
            .is_none_or(|stated| stated < track.ticks || (!is_fragmented && stated > latest))
}

/// Whether the stated duration of the movie makes the demuxer cut or skip a track.
fn is_wrong_movie(movie: &TimeHeader, movie_timescale: u32, media: &[Media<'_>]) -> bool {
    let Some(stated) = movie.duration.map(u128::from) else { return true };
    let sampled = || media.iter().filter(|media| media.track.ticks > 0);
    // Where there are edit lists, they state what is presented.
    let cuts = sampled()
        .any(|media| !media.track.has_edits && media.in_movie(movie_timescale) > stated + 1);
    let mut pictures = sampled().filter(|media| media.track.is_picture).peekable();
    let skips = pictures.peek().is_some()
        && pictures.all(|media| media.in_movie(movie_timescale) * PREVIEW_RATIO <= stated);
    stated > 0 && (cuts || skips)
}

/// The timescale of a track without one: that at which its samples last as long as the presented
/// part is stated to; otherwise the movie's, as other players assume.
fn media_timescale(track: &Track, movie: &TimeHeader, movie_timescale: u32) -> u32 {
    let presented = match track.presented {
        0 => movie.duration.unwrap_or(0),
        stated => stated,
    };
    ratio(track.ticks, movie_timescale, presented).unwrap_or(movie_timescale)
}

/// The timescale of a movie in which this track is presented as long as its samples last.
fn movie_timescale(track: &Track) -> Option<u32> {
    ratio(track.presented, track.media.timescale, track.ticks)
}

/// `ticks * timescale / of`, rounded, if it is a timescale.
fn ratio(ticks: u64, timescale: u32, of: u64) -> Option<u32> {
    let scaled = u128::from(ticks) * u128::from(timescale);
    let of = u128::from(of);
    let ratio = (scaled + of / 2).checked_div(of)?;
    u32::try_from(ratio).ok().filter(|timescale| *timescale > 0)
}
