//! A video whose headers are read and checked against the limits, and for which no decoder exists yet.
//! Called by `run` through [`ProbedVideo`]; the data of its track is blocked until it is decoded.

use super::super::colour::Colours;
use super::super::dynamic_range::{DynamicRange, bit_depth};
use super::super::error::VideoError;
use super::super::events::BlockedTrack;
use super::super::formats::{ReadMode, TimeOrigin};
use super::super::orientation::Orientation;
use super::super::probe::{
    Probe, ProcessedPart, TrackFormat, check_crop, length_limit, length_max,
};
use super::super::sound::SoundSource;
use super::super::source::Source;
use super::super::tone_map::ToneMap;
use super::frame_clock::FrameClock;
use super::{Decoder, LinkedDecoder, link_decoder};
use bodyscript_protocol::message::MediaLimits;
use bodyscript_protocol::options::Part;
use bodyscript_protocol::warning::Warnings;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The frame rate that the ASF demuxer reports where the file states none, as most do.
const ASF_DEFAULT_RATE: (u32, u32) = (25, 1);

/// A video before its decoder exists.
pub struct ProbedVideo {
    pub(super) source: Source,
    pub(super) track: BlockedTrack,
    limits: MediaLimits,
    part: Part,
    format: TrackFormat,
    range: DynamicRange,
    orientation: Orientation,
    /// Stated end of the part, trimmed at the limit.
    expected: Option<Duration>,
    sound: SoundSource,
    probe: Probe,
}

impl ProbedVideo {
    /// Reads the headers of a video of which this part is processed.
    ///
    /// # Errors
    /// The file is not a video, contains nothing that can be decoded, or exceeds a limit; see
    /// [`VideoError`].
    pub fn open(video: OwnedFd, limits: &MediaLimits, part: Part) -> Result<Self, VideoError> {
        let source = Source::start(File::from(video), limits)?;
        let track = source.wait_for_track()?;
        let caps = track.caps().ok_or(VideoError::NoFrames)?;
        let mut format = TrackFormat::of(&caps, limits)?;
        if track.container.demuxer == Some("asfdemux") && format.frame_rate == ASF_DEFAULT_RATE {
            format.frame_rate = (0, 1);
        }
        let orientation =
            source.facts.orientations.at(&track.pad).unwrap_or_else(|| Orientation::of(&track.pad));
        let duration = stated_duration(&track);
        let processed = ProcessedPart::of(duration, &format, limits, part)?;
        let range = DynamicRange::of([&caps, &track.stated]);
        let (width, height) = orientation.rotated_size((format.width, format.height));
        let area = part.picture_size([width, height]);
        if part.crop.is_some() {
            check_crop(area)?;
        }
        let end_max = part.end_max(length_limit(limits));
        let limit = end_max.saturating_sub(part.start);
        let bytes = source.file.size().map_err(VideoError::Read)?;
        let probe = Probe {
            width,
            height,
            area,
            frame_rate: format.frame_rate,
            duration_ms: duration.map(|whole| whole.as_millis() as u64),
            trimmed: processed.trimmed,
            container: track.container.media_type.into(),
            codec: track.codec_name(),
            bit_depth: bit_depth(&caps).max(bit_depth(&track.stated)),
            rotation_degrees: orientation.degrees,
            mirrored: orientation.mirrored,
            colours: match range {
                DynamicRange::Standard => Colours::of([&caps, &track.stated], format.height),
                DynamicRange::High(_) => Colours::BT709,
            },
            frames_estimate: processed.frames,
            length_max: length_max(duration, bytes, limit),
        };
        let origin = Arc::new(match track.container.origin {
            TimeOrigin::Zero | TimeOrigin::NoClock => Duration::ZERO.into(),
            TimeOrigin::FirstFrame => OnceLock::new(),
        });
        let file = Arc::clone(&source.file);
        let start = part.start;
        let sound = SoundSource { file, container: track.container, origin, start, limit };
        // The last frame of an animation may be shown for any time; its file says where it is cut off.
        let expected = duration.filter(|_| track.container.demuxer.is_some());
        let (limits, expected) = (*limits, expected.map(|whole| whole.min(end_max)));
        Ok(Self { source, track, limits, part, format, range, orientation, expected, sound, probe })
    }

    /// What is known of the video.
    pub const fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Creates the decoder and starts to decode.
    ///
    /// # Errors
    /// The decoder does not exist, or does not support the stream.
    pub fn decode(self) -> Result<Decoder, VideoError> {
        let Self {
            source, track, limits, part, format, range, orientation, expected, sound, ..
        } = self;
        let LinkedDecoder { sink, size_changed, damaged } =
            link_decoder(&source, &track, (&format, range), orientation, &limits)?;
        track.unblock()?;
        Ok(Decoder {
            source,
            sink,
            limits,
            part,
            format,
            tone_map: match &range {
                DynamicRange::Standard => None,
                DynamicRange::High(coding) => Some(ToneMap::new(coding)),
            },
            expected,
            sound,
            clock: FrameClock::default(),
            current: None,
            next: None,
            skipped: 0,
            frames: 0,
            end: None,
            size_changed,
            damaged,
            warnings: Warnings::NONE,
        })
    }
}

/// Longest duration that a container is believed: one that states centuries is damaged.
const DURATION_STATED_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Duration of the presentation, where the container states it.
fn stated_duration(track: &BlockedTrack) -> Option<Duration> {
    if track.container.read_mode == ReadMode::Sequential {
        // The demuxer estimates it from the first clock values.
        return None;
    }
    let before = match track.container.origin {
        TimeOrigin::NoClock => return None,
        TimeOrigin::Zero => Duration::ZERO,
        TimeOrigin::FirstFrame => track.start,
    };
    let whole = track.duration()?;
    // Files that were never finished state zero.
    let is_possible = |duration: &Duration| !duration.is_zero() && *duration <= DURATION_STATED_MAX;
    whole.checked_sub(before).filter(is_possible)
}
