//! Checks the format of a track's pictures, as stated by caps, against the limits. Pure; called by
//! `guard` for every change of caps and by `decode` once, before a decoder exists.

use super::colour::Colours;
use super::error::VideoError;
use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::options::Part;
use gstreamer as gst;
use std::time::Duration;

/// From here on a stated frame rate is taken for the tick of a clock.
const TICKS_MIN: u32 = 1000;
/// Least side of a picture, as stored and with square pixels. In smaller ones the networks find
/// people where there are none.
const SIDE_PX_MIN: u32 = 32;

/// What is known of a video before its first frame is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Width of the upright picture with square pixels.
    pub width: u32,
    /// Height of the upright picture with square pixels.
    pub height: u32,
    /// Width and height of the area of it that is processed.
    pub area: [u32; 2],
    /// Nominal frames per second as a fraction; 0/1 where the rate varies or is unknown.
    pub frame_rate: (u32, u32),
    /// Duration of the whole video, where the container states it.
    pub duration_ms: Option<u64>,
    /// Whether the video is known to be longer than the limit and will be trimmed.
    pub trimmed: bool,
    /// Media type of the container.
    pub container: String,
    /// Media type of the codec.
    pub codec: String,
    /// Bits of a sample, as stated; eight where nothing is.
    pub bit_depth: u32,
    /// Clockwise rotation that makes the picture upright: 0, 90, 180 or 270.
    pub rotation_degrees: u32,
    /// Whether the stored picture is mirrored left to right before that rotation.
    pub mirrored: bool,
    /// The colours of the pictures: as the file describes them, or BT.709 if they are mapped to it.
    pub colours: Colours,
    /// Expected number of frames in the processed part, by duration and frame rate.
    pub frames_estimate: Option<u32>,
    /// Longer than what is processed: the stated duration, with a margin because it may be wrong, or
    /// what a file of this size can contain, but not more than the limit.
    pub length_max: Duration,
}

/// Size and rate of a track's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TrackFormat {
    /// Width with square pixels, before any rotation.
    pub(super) width: u32,
    /// Height with square pixels, before any rotation.
    pub(super) height: u32,
    /// Nominal frames per second; 0/1 where unknown.
    pub(super) frame_rate: (u32, u32),
}

impl TrackFormat {
    /// The format of these caps, if within the limits, both as stored and with square pixels.
    pub(super) fn of(caps: &gst::CapsRef, limits: &MediaLimits) -> Result<Self, VideoError> {
        let unsized_track = || VideoError::Damaged(format!("no picture size in {caps}"));
        let track = caps.structure(0).ok_or_else(unsized_track)?;
        let side = |name| {
            track.get::<i32>(name).ok().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
        };
        let (width, height) = side("width").zip(side("height")).ok_or_else(unsized_track)?;
        check_size(width, height, limits)?;
        let (width, height) =
            square(width, height, fraction(track, "pixel-aspect-ratio").unwrap_or((1, 1)));
        check_size(width, height, limits)?;
        let frame_rate = fraction(track, "framerate")
            .filter(|(num, den)| num / den < TICKS_MIN)
            .unwrap_or((0, 1));
        check_frame_rate(frame_rate, limits)?;
        Ok(Self { width, height, frame_rate })
    }

    /// Nominal duration of a frame; a 25th of a second where the rate is unknown.
    pub(super) fn frame_duration(&self) -> Duration {
        match self.frame_rate {
            (0, _) => Duration::from_millis(40),
            (num, den) => Duration::from_nanos(1_000_000_000 * u64::from(den) / u64::from(num)),
        }
    }
}

/// Rejects a picture over the limits or under the least size.
pub(super) fn check_size(width: u32, height: u32, limits: &MediaLimits) -> Result<(), VideoError> {
    let MediaLimits { side_px_max, area_px_max, .. } = *limits;
    let area = u64::from(width) * u64::from(height);
    if width.max(height) > side_px_max || area > u64::from(area_px_max) {
        return Err(VideoError::PictureTooLarge { width, height, side_px_max, area_px_max });
    }
    check_size_min(width, height)
}

/// Rejects a picture under the least size.
pub(super) const fn check_size_min(width: u32, height: u32) -> Result<(), VideoError> {
    if width < SIDE_PX_MIN || height < SIDE_PX_MIN {
        return Err(too_small([width, height]));
    }
    Ok(())
}

/// Rejects an area under the least size.
pub(super) fn check_crop([width, height]: [u32; 2]) -> Result<(), VideoError> {
    let side_px_min = SIDE_PX_MIN;
    check_size_min(width, height).map_err(|_| VideoError::CropTooSmall {
        width,
        height,
        side_px_min,
    })
}

/// The error for a picture of this size.
pub(super) const fn too_small([width, height]: [u32; 2]) -> VideoError {
    VideoError::PictureTooSmall { width, height, side_px_min: SIDE_PX_MIN }
}

/// Half a frame a second more is tolerated: containers estimate, and 60 may be stated as 60.02.
fn check_frame_rate((num, den): (u32, u32), limits: &MediaLimits) -> Result<(), VideoError> {
    let frame_rate_max = limits.frame_rate_max;
    let (num, den) = (u64::from(num), u64::from(den));
    if 2 * num > (2 * u64::from(frame_rate_max) + 1) * den {
        let frame_rate = num.div_ceil(den).try_into().unwrap_or(u32::MAX);
        return Err(VideoError::FrameRateTooHigh { frame_rate, frame_rate_max });
    }
    Ok(())
}

/// The size with square pixels; the shorter side grows, so that no detail is lost.
fn square(width: u32, height: u32, (num, den): (u32, u32)) -> (u32, u32) {
    let grown = |side: u32, by: u32, over: u32| {
        let (side, by, over) = (u64::from(side), u64::from(by), u64::from(over));
        u32::try_from((side * by + over / 2) / over).unwrap_or(u32::MAX)
    };
    match num.cmp(&den) {
        std::cmp::Ordering::Greater => (grown(width, num, den), height),
        std::cmp::Ordering::Equal => (width, height),
        std::cmp::Ordering::Less => (width, grown(height, den, num)),
    }
}

/// A positive fraction of the caps; none where it is absent, zero or not positive.
fn fraction(track: &gst::StructureRef, name: &str) -> Option<(u32, u32)> {
    let value = track.get::<gst::Fraction>(name).ok()?;
    let positive = |n: i32| u32::try_from(n).ok().filter(|n| *n > 0);
    positive(value.numer()).zip(positive(value.denom()))
}

/// The processed part of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProcessedPart {
    /// Whether it is less than the whole video.
    pub(super) trimmed: bool,
    /// Its number of frames.
    pub(super) frames: Option<u32>,
}

impl ProcessedPart {
    /// The processed part of a video of this duration, if this part is chosen; half a frame over the limit
    /// is tolerated, since at 29.97 frames a second no whole number of frames lasts ten seconds.
    pub(super) fn of(
        duration: Option<Duration>,
        format: &TrackFormat,
        limits: &MediaLimits,
        chosen: Part,
    ) -> Result<Self, VideoError> {
        let Some(duration) = duration else {
            return Ok(Self { trimmed: false, frames: None });
        };
        let end = chosen.end.map_or(duration, |end| end.min(duration));
        let length = end.saturating_sub(chosen.start);
        let limit = length_limit(limits);
        let trimmed = length > limit + format.frame_duration() / 2;
        if trimmed && limits.on_long == OnLong::Reject {
            return Err(too_long(length, limits));
        }
        let (num, den) = format.frame_rate;
        let seconds = length.min(limit).as_secs_f64();
        let frames = (seconds * f64::from(num) / f64::from(den)).round() as u32;
        Ok(Self { trimmed, frames: (num > 0).then_some(frames) })
    }
}

/// An upper bound on the duration, for the size of an index.
pub(super) fn length_max(stated: Option<Duration>, bytes: u64, limit: Duration) -> Duration {
    /// Even a still picture takes more in most frames.
    const FRAME_BYTES_MIN: u64 = 400;
    const FRAMES_PER_S: u64 = 240;
    const LEAST: Duration = Duration::from_secs(10);
    let contained = || Duration::from_secs(bytes / FRAME_BYTES_MIN / FRAMES_PER_S);
    let length = stated.map_or_else(contained, |stated| stated.saturating_mul(2));
    length.saturating_add(LEAST).min(limit)
}

/// Longest part that is processed.
pub(super) fn length_limit(limits: &MediaLimits) -> Duration {
    Duration::from_millis(limits.duration_ms_max.into())
}

/// The error for a video that lasts at least this long.
pub(super) fn too_long(duration: Duration, limits: &MediaLimits) -> VideoError {
    VideoError::TooLong {
        duration_ms: duration.as_millis().try_into().unwrap_or(u64::MAX),
        duration_ms_max: limits.duration_ms_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_for_the_chosen_part_only() {
        let s = Duration::from_secs;
        let format = TrackFormat { width: 64, height: 64, frame_rate: (30, 1) };
        let limits = MediaLimits {
            duration_ms_max: 10_000,
            on_long: OnLong::Reject,
            side_px_max: 64,
            area_px_max: 64 * 64,
            frame_rate_max: 60,
        };
        let of = |start, end: Option<u64>| {
            let part = Part { start: s(start), end: end.map(s), crop: None };
            let part = ProcessedPart::of(Some(s(60)), &format, &limits, part);
            part.map(|part| part.frames).map_err(|error| error.to_string())
        };
        assert_eq!(of(50, None), Ok(Some(300)));
        assert_eq!(of(20, Some(22)), Ok(Some(60)));
        assert_eq!(of(70, None), Ok(Some(0)), "nothing is left");
        assert_eq!(of(20, Some(31)), Err("11000 ms long, limit 10000 ms".into()));
        assert_eq!(of(49, None), Err("11000 ms long, limit 10000 ms".into()));
    }

    #[test]
    fn an_index_has_space_for_twice_the_stated_duration_within_the_limit() {
        let s = Duration::from_secs;
        assert_eq!(length_max(Some(s(3)), 0, s(10)), s(10), "a short limit holds");
        assert_eq!(length_max(Some(s(3)), 0, s(1 << 20)), s(16));
        assert_eq!(length_max(None, 96_000_000, s(1 << 20)), s(1010), "by the size of the file");
        assert_eq!(length_max(Some(Duration::MAX), 0, s(7)), s(7));
    }
}
