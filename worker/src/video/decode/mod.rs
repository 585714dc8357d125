//! Decodes one video track into upright pictures with their real presentation times. Never opens a
//! file, and never adds a decoder before the limits are checked (`probed_video`).
//!
//! ```text
//! source |blocked ! <decoder> ! [deinterlace ! videoconvertscale ! capsfilter] ! [videoflip] ! appsink
//!                                        (`converter`)                                           |
//!                                                     picture (`read_frame`) <- Decoder::next <--'
//! ```
//!
//! One thread of the graph demuxes, decodes and rotates; it pauses while two pictures are queued, or
//! one large one.

mod frame_clock;
mod probed_video;

pub use probed_video::ProbedVideo;

use super::FrameTime;
use super::converter;
use super::decoder_errors;
use super::dynamic_range::DynamicRange;
use super::error::VideoError;
use super::events::{BlockedTrack, GraphEvent};
use super::formats::TimeOrigin;
use super::graph::{element, graph_error};
use super::guard;
use super::mp4::index;
use super::orientation::Orientation;
use super::probe::{Probe, TrackFormat, length_limit, too_long};
use super::read_frame;
use super::sound::SoundSource;
use super::source::Source;
use super::stall::StallWatch;
use super::tone_map::ToneMap;
use crate::picture::Picture;
use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::options::Part;
use bodyscript_protocol::warning::{Warning, Warnings};
use frame_clock::FrameClock;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_video::{VideoFrameRef, VideoInfo, VideoMeta};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes of queued pictures beyond one: few large ones, or two.
const QUEUE_BYTES_MAX: u64 = 8 << 20;
/// Most queued pictures.
const QUEUE_MAX: u64 = 2;
/// How often a wait for a picture checks for errors.
const POLL_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(50);
/// How long a decoder may take for one picture without reading on.
const STALL_MAX: Duration = Duration::from_secs(15);
/// A video that ends this much before its stated end is truncated. Not less: sound often lasts a
/// little longer than the pictures.
const SHORTFALL_MIN: Duration = Duration::from_secs(1);

/// One video being decoded.
pub struct Decoder {
    source: Source,
    sink: AppSink,
    limits: MediaLimits,
    part: Part,
    format: TrackFormat,
    /// For HDR.
    tone_map: Option<ToneMap>,
    /// Stated end of the part, trimmed at the limit.
    expected: Option<Duration>,
    /// The source of the sound; it has the start of the presentation on the container's clock once
    /// that is known.
    sound: SoundSource,
    clock: FrameClock,
    /// The frame that was reached.
    current: Option<gst::Sample>,
    /// A frame that was decoded to place the one before it.
    next: Option<gst::Sample>,
    /// Frames before the part, and in it.
    skipped: u32,
    frames: u32,
    end: Option<End>,
    /// Set once the size of the decoded pictures has changed.
    size_changed: Arc<AtomicBool>,
    /// Set once the decoder has reported damage.
    damaged: Arc<AtomicBool>,
    /// What was assumed or found damaged so far.
    warnings: Warnings,
}

/// How a video ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Trimmed,
    Truncated,
}

impl Decoder {
    /// Probes a video and creates its decoder at once, for the whole of it.
    ///
    /// # Errors
    /// Those of [`ProbedVideo::open`] and [`ProbedVideo::decode`].
    pub fn open(video: OwnedFd, limits: &MediaLimits) -> Result<(Self, Probe), VideoError> {
        let video = ProbedVideo::open(video, limits, Part::default())?;
        let probe = video.probe().clone();
        Ok((video.decode()?, probe))
    }

    /// Decodes the next frame into `into`; see [`Self::advance`].
    ///
    /// # Errors
    /// Those of [`Self::advance`] and [`Self::read`].
    pub fn next(&mut self, into: &mut Picture) -> Result<Option<FrameTime>, VideoError> {
        let time = self.advance()?;
        if time.is_some() {
            self.read(into)?;
        }
        Ok(time)
    }

    /// Goes on to the next frame, those before the part included. None after the last one of the part or
    /// at the limit on its duration; a video that fails after its first frame ends there.
    ///
    /// # Errors
    /// No frame at all can be decoded, none is in the part, or the video exceeds a limit.
    pub fn advance(&mut self) -> Result<Option<FrameTime>, VideoError> {
        self.current = None;
        let sample = match self.next.take() {
            Some(sample) => Some(sample),
            None => self.pull()?,
        };
        let Some(sample) = sample else { return self.no_more(self.clock.last()) };
        let pts = self.time_of(&sample)?;
        if let Some(end) = self.end_at(pts)? {
            (self.end, self.next) = (Some(end), None);
            return self.no_more(None);
        }
        self.count_frame(pts)?;
        self.current = Some(sample);
        Ok(Some(FrameTime { pts }))
    }

    /// How the video ends if a frame at this time is not in it.
    fn end_at(&self, pts: Duration) -> Result<Option<End>, VideoError> {
        if self.part.end.is_some_and(|end| pts >= end) {
            return Ok(Some(End::Complete));
        }
        if pts < self.part.end_max(length_limit(&self.limits)) {
            return Ok(None);
        }
        if self.limits.on_long == OnLong::Reject {
            let length = pts - self.part.start + self.format.frame_duration();
            return Err(too_long(length, &self.limits));
        }
        Ok(Some(End::Trimmed))
    }

    /// The end of the part, which has a frame at least.
    fn no_more(&self, last: Option<Duration>) -> Result<Option<FrameTime>, VideoError> {
        if self.frames == 0 && !self.part.is_whole() {
            return Err(VideoError::EmptyPart { start: self.part.start, last });
        }
        Ok(None)
    }

    /// Copies the frame that was reached into `into`.
    ///
    /// # Errors
    /// It does not have the layout that it states.
    pub fn read(&mut self, into: &mut Picture) -> Result<(), VideoError> {
        let sample = self.current.take().ok_or_else(|| VideoError::Convert("no frame".into()))?;
        let caps = sample.caps().ok_or_else(|| VideoError::Convert("no caps".into()))?;
        let info = VideoInfo::from_caps(caps);
        let info = info.map_err(|cause| VideoError::Convert(cause.to_string()))?;
        let buffer = sample.buffer().ok_or_else(|| VideoError::Convert("no buffer".into()))?;
        if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            self.warnings.insert(Warning::Damaged);
        }
        let frame = VideoFrameRef::from_buffer_ref_readable(buffer, &info);
        let frame = frame.map_err(|cause| VideoError::Convert(cause.to_string()))?;
        let (tone_map, crop) = (self.tone_map.as_ref(), self.part.crop);
        read_frame::read(&frame, tone_map, crop, into).map_err(VideoError::Convert)
    }

    /// Whether a frame was decoded.
    const fn has_frames(&self) -> bool {
        self.skipped > 0 || self.frames > 0
    }

    /// What was left out or assumed so far.
    pub fn warnings(&self) -> Warnings {
        let mut warnings = self.warnings;
        match self.end {
            Some(End::Trimmed) => warnings.insert(Warning::Trimmed),
            Some(End::Truncated) => warnings.insert(Warning::Truncated),
            Some(End::Complete) | None => {}
        }
        if self.size_changed.load(Ordering::Relaxed) {
            warnings.insert(Warning::SizeChanged);
        }
        if self.damaged.load(Ordering::Relaxed) {
            warnings.insert(Warning::Damaged);
        }
        if self.clock.has_guessed() || self.source.lacks_stamps.load(Ordering::Relaxed) {
            warnings.insert(Warning::TimesEstimated);
        }
        warnings
    }

    /// The source of the video's sound; not to be opened before the first frame is decoded.
    pub fn sound(&self) -> SoundSource {
        self.sound.clone()
    }

    fn pull(&mut self) -> Result<Option<gst::Sample>, VideoError> {
        if self.end.is_some() {
            return Ok(None);
        }
        let file = Arc::clone(&self.source.file);
        let mut watch = StallWatch::new(&file, STALL_MAX);
        loop {
            if let Some(sample) = self.sink.try_pull_sample(POLL_INTERVAL) {
                return Ok(Some(sample));
            }
            let is_over = self.sink.is_eos();
            match self.source.events.try_recv() {
                Ok(GraphEvent::Rejected(error)) => return Err(error),
                Ok(GraphEvent::Failed(cause)) => return self.end_early(&cause.to_string()),
                Ok(GraphEvent::TrackReady(_) | GraphEvent::Ended(_)) => {}
                Err(_) if is_over => return self.end(),
                Err(_) if watch.has_stalled(POLL_INTERVAL.into()) => {
                    return self.end_early("the decoder makes no progress");
                }
                Err(_) => {}
            }
        }
    }

    /// An error ends the video, if at least one frame was decoded.
    fn end_early(&mut self, cause: &str) -> Result<Option<gst::Sample>, VideoError> {
        if !self.has_frames() {
            return Err(match self.sound.container.origin {
                TimeOrigin::NoClock => VideoError::no_picture_found(),
                TimeOrigin::Zero | TimeOrigin::FirstFrame => VideoError::Damaged(cause.into()),
            });
        }
        tracing::info!(cause, frames = self.frames, "the video ends early");
        self.end = Some(End::Truncated);
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<gst::Sample>, VideoError> {
        let Some(last) = self.clock.last() else {
            return self.end_early("no frame can be decoded");
        };
        let shown = last + self.format.frame_duration();
        let is_short = self.expected.is_some_and(|expected| shown + SHORTFALL_MIN < expected);
        let is_cut_off =
            index::is_cut_off(self.source.file.original()).map_err(VideoError::Read)?;
        self.end = Some(if is_short || is_cut_off { End::Truncated } else { End::Complete });
        Ok(None)
    }

    /// Presentation time of a frame. The next frame is decoded first where that is needed to place
    /// this one.
    fn time_of(&mut self, sample: &gst::Sample) -> Result<Duration, VideoError> {
        let stamp = self.stamp_of(sample);
        if let Some(time) = self.clock.place(stamp) {
            return Ok(time);
        }
        if self.has_frames() {
            self.next = self.pull()?;
        }
        let next = self.next.as_ref().and_then(|next| self.stamp_of(next));
        Ok(self.clock.guess(next, self.format.frame_duration()))
    }

    /// Presentation time of a frame as it is stated, from the start of the presentation.
    fn stamp_of(&self, sample: &gst::Sample) -> Option<Duration> {
        if self.sound.container.origin == TimeOrigin::NoClock {
            return None;
        }
        let pts = sample.buffer()?.pts()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let time = Duration::from(segment.to_stream_time(pts)?);
        Some(time.saturating_sub(*self.sound.origin.get_or_init(|| time)))
    }

    /// Checks the number of frames against the limits: where the container states no frame rate,
    /// nothing else does.
    fn count_frame(&mut self, pts: Duration) -> Result<(), VideoError> {
        let is_exceeded = if pts < self.part.start {
            self.skipped += 1;
            let start_ms = self.part.start.as_millis() as u64;
            u64::from(self.skipped) > self.limits.frames_max_in(start_ms)
        } else {
            self.frames += 1;
            u64::from(self.frames) > self.limits.frames_max()
        };
        if is_exceeded {
            let frame_rate_max = self.limits.frame_rate_max;
            let frame_rate = frame_rate_max + 1;
            return Err(VideoError::FrameRateTooHigh { frame_rate, frame_rate_max });
        }
        Ok(())
    }
}

/// A decoder with all elements after it.
struct LinkedDecoder {
    sink: AppSink,
    size_changed: Arc<AtomicBool>,
    damaged: Arc<AtomicBool>,
}

/// Adds the decoder and all elements after it.
fn link_decoder(
    source: &Source,
    track: &BlockedTrack,
    (format, range): (&TrackFormat, DynamicRange),
    orientation: Orientation,
    limits: &MediaLimits,
) -> Result<LinkedDecoder, VideoError> {
    let decoder = element(track.codec.decoder)?;
    // Further threads would each hold frames. Not every decoder has the property.
    if decoder.has_property("max-threads") {
        decoder.set_property("max-threads", 1_i32);
    }
    let decoded = decoder.static_pad("src").expect("decoders have a src pad");
    guard::caps(&decoded, limits, &source.sender);
    let sink = sink(format);
    let mut rest = Vec::new();
    if orientation != Orientation::UPRIGHT {
        let flip = element("videoflip")?;
        flip.set_property_from_str("video-direction", orientation.direction);
        rest.push(flip);
    }
    rest.push(sink.clone().upcast());
    source
        .pipeline
        .0
        .add_many([&decoder].into_iter().chain(&rest))
        .map_err(graph_error("add its decoder"))?;
    gst::Element::link_many(&rest).map_err(graph_error("link its pictures"))?;
    let next = rest[0].static_pad("sink").expect("sinks and filters have a sink pad");
    let graph = (source.dynamic.clone(), &source.sender);
    let size_changed = converter::link(&decoded, next, (*format, range), graph)?;
    for element in rest.iter().rev().chain([&decoder]) {
        element.sync_state_with_parent().map_err(graph_error("start its decoder"))?;
    }
    let entry = decoder.static_pad("sink").expect("decoders have a sink pad");
    // The decoder's own caps are narrower than the codec's: profiles, bit depths.
    let damaged = decoder_errors::flag_of(&entry);
    let unsupported = |_| VideoError::UnsupportedCodec(track.codec_name());
    track.pad.link(&entry).map_err(unsupported)?;
    Ok(LinkedDecoder { sink, size_changed, damaged })
}

/// The sink that the pictures are pulled from.
fn sink(format: &TrackFormat) -> AppSink {
    let bytes = u64::from(format.width) * u64::from(format.height) * 3 / 2;
    let queued = (QUEUE_BYTES_MAX / bytes).clamp(1, QUEUE_MAX) as u32;
    let sink = AppSink::builder().max_buffers(queued).drop(false).sync(false).async_(false);
    let sink = sink.enable_last_sample(false).build();
    // A decoder passes its own frames only to a sink that supports the metadata of their planes, and
    // copies to all others.
    let entry = sink.static_pad("sink").expect("an appsink has a sink pad");
    entry.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| match info.query_mut() {
        Some(query) => match query.view_mut() {
            gst::QueryViewMut::Allocation(query) => {
                query.add_allocation_meta::<VideoMeta>(None);
                gst::PadProbeReturn::Handled
            }
            _ => gst::PadProbeReturn::Ok,
        },
        None => gst::PadProbeReturn::Ok,
    });
    sink
}

#[cfg(test)]
mod tests;
