//! Decodes one video track into upright pictures with their real presentation times. Called
//! by the worker's main; never opens a file, and never plugs a decoder before the limits were
//! checked.
//!
//! ```text
//! source |gate ! <decoder> ! [deinterlace ! videoconvertscale ! capsfilter] ! [videoflip] ! appsink
//!                                         (`fitting`)                                         |
//!                                                  picture (`read_frame`) <- Decoder::next <--'
//! ```
//!
//! One thread of the graph demuxes, decodes and turns; it rests while two pictures wait, or one
//! large one.

use super::FrameTime;
use super::colour::Colours;
use super::error::VideoError;
use super::fitting;
use super::formats::{Reading, Start};
use super::graph::{element, graph};
use super::guard;
use super::orient::Orientation;
use super::probe::{Extent, Probe, Shape, too_long};
use super::read_frame;
use super::sound::Soundtrack;
use super::source::{Gate, Note, Source};
use crate::picture::Picture;
use bodyscript_protocol::message::{MediaLimits, OnLong};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_video::{VideoFrameRef, VideoInfo, VideoMeta};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Bytes of pictures that wait in the graph, beyond one picture: few large ones, or two.
const QUEUE_BYTES_MAX: u64 = 8 << 20;
/// Most pictures that wait.
const QUEUE_MAX: u64 = 2;
/// How often a wait for a picture looks for errors.
const LOOK_EVERY: gst::ClockTime = gst::ClockTime::from_mseconds(50);
/// Longest wait for one picture.
const PATIENCE: Duration = Duration::from_secs(120);
/// A video that ends this much before its stated end was cut short. Not less: sound often lasts
/// a little longer than the pictures.
const SHORTFALL: Duration = Duration::from_secs(1);
/// What the demuxer of ASF says where the file states no frame rate, as most do.
const RATE_MADE_UP: (u32, u32) = (25, 1);
/// Least distance between two frames; some files give the same time twice.
const STEP_MIN: Duration = Duration::from_millis(1);

/// One video being decoded.
pub struct Decoder {
    source: Source,
    sink: AppSink,
    limits: MediaLimits,
    shape: Shape,
    /// Known duration, cut at the limit.
    expected: Option<Duration>,
    /// Where the sound is; knows the time of the container's clock at which the presentation
    /// starts once that is known.
    sound: Soundtrack,
    last: Option<Duration>,
    frames: u32,
    end: Option<End>,
}

/// How a video ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Trimmed,
    Truncated,
}

impl Decoder {
    /// Reads the headers of a video and readies its decoder.
    ///
    /// # Errors
    /// The video is none, holds nothing that can be decoded, or breaks a limit; see
    /// [`VideoError`].
    pub fn open(video: OwnedFd, limits: &MediaLimits) -> Result<(Self, Probe), VideoError> {
        let file = Arc::new(File::from(video));
        let source = Source::start(Arc::clone(&file), limits)?;
        let gate = source.gate()?;
        let caps = gate.pad.current_caps().ok_or(VideoError::NoFrames)?;
        let mut shape = Shape::of(&caps, limits)?;
        if gate.container.demuxer == "asfdemux" && shape.frame_rate == RATE_MADE_UP {
            shape.frame_rate = (0, 1);
        }
        let orientation = source.turns.at(&gate.pad).unwrap_or_else(|| Orientation::of(&gate.pad));
        let duration = stated_duration(&gate);
        let extent = Extent::of(duration, &shape, limits)?;
        let (width, height) = orientation.turned((shape.width, shape.height));
        let probe = Probe {
            width,
            height,
            frame_rate: shape.frame_rate,
            duration_ms: duration.map(|whole| whole.as_millis() as u64),
            trimmed: extent.trimmed,
            container: gate.container.media_type.into(),
            codec: caps.structure(0).map_or_else(String::new, |codec| codec.name().to_string()),
            rotation_degrees: orientation.degrees,
            mirrored: orientation.mirrored,
            colours: Colours::of([&caps, &gate.stated], shape.height),
            frames_estimate: extent.frames,
        };
        let origin = Arc::new(match gate.container.start {
            Start::Zero => Duration::ZERO.into(),
            Start::FirstFrame => OnceLock::new(),
        });
        let limit = Duration::from_millis(limits.duration_ms_max.into());
        let sound = Soundtrack { file, container: gate.container, origin, limit };
        let sink = complete(&source, &gate, &shape, orientation, limits)?;
        gate.open();
        let decoder = Self {
            source,
            sink,
            limits: *limits,
            shape,
            expected: duration.map(|whole| whole.min(limit)),
            sound,
            last: None,
            frames: 0,
            end: None,
        };
        Ok((decoder, probe))
    }

    /// Decodes the next frame into `into`. Nothing comes after the last one or at the limit on
    /// the duration; a video that breaks after its first frame ends there.
    ///
    /// # Errors
    /// No frame at all can be decoded, or the video turns out to break a limit.
    pub fn next(&mut self, into: &mut Picture) -> Result<Option<FrameTime>, VideoError> {
        if self.end.is_some() {
            return Ok(None);
        }
        let Some(sample) = self.pull()? else {
            return Ok(None);
        };
        let pts = self.time_of(&sample);
        let limit = Duration::from_millis(self.limits.duration_ms_max.into());
        if pts >= limit {
            if self.limits.on_long == OnLong::Reject {
                return Err(too_long(pts + self.shape.frame_duration(), &self.limits));
            }
            self.end = Some(End::Trimmed);
            return Ok(None);
        }
        self.count()?;
        self.last = Some(pts);
        let caps = sample.caps().ok_or_else(|| VideoError::Convert("no caps".into()))?;
        let info = VideoInfo::from_caps(caps);
        let info = info.map_err(|cause| VideoError::Convert(cause.to_string()))?;
        let buffer = sample.buffer().ok_or_else(|| VideoError::Convert("no buffer".into()))?;
        let frame = VideoFrameRef::from_buffer_ref_readable(buffer, &info);
        let frame = frame.map_err(|cause| VideoError::Convert(cause.to_string()))?;
        read_frame::read(&frame, into).map_err(VideoError::Convert)?;
        Ok(Some(FrameTime { pts }))
    }

    /// Whether the video ended before its stated end, or in an error.
    pub fn truncated(&self) -> bool {
        self.end == Some(End::Truncated)
    }

    /// Whether frames at or after the limit on the duration were left out.
    pub fn trimmed(&self) -> bool {
        self.end == Some(End::Trimmed)
    }

    /// Where the video's sound is; not to be opened before the first frame is decoded.
    pub fn sound(&self) -> Soundtrack {
        self.sound.clone()
    }

    fn pull(&mut self) -> Result<Option<gst::Sample>, VideoError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(sample) = self.sink.try_pull_sample(LOOK_EVERY) {
                return Ok(Some(sample));
            }
            let is_over = self.sink.is_eos();
            match self.source.notes.try_recv() {
                Ok(Note::Refused(error)) => return Err(error),
                Ok(Note::Failed(cause)) => return self.break_off(&cause.to_string()),
                Ok(Note::Gate(_) | Note::Ended(_)) => {}
                Err(_) if is_over => return self.conclude(),
                Err(_) if Instant::now() > deadline => {
                    return self.break_off("the decoder makes no progress");
                }
                Err(_) => {}
            }
        }
    }

    /// An error ends the video, if there is any of it.
    fn break_off(&mut self, cause: &str) -> Result<Option<gst::Sample>, VideoError> {
        if self.frames == 0 {
            return Err(VideoError::Damaged(cause.into()));
        }
        tracing::info!(cause, frames = self.frames, "the video breaks off");
        self.end = Some(End::Truncated);
        Ok(None)
    }

    fn conclude(&mut self) -> Result<Option<gst::Sample>, VideoError> {
        let Some(last) = self.last else {
            return self.break_off("no frame can be decoded");
        };
        let shown = last + self.shape.frame_duration();
        let is_short = self.expected.is_some_and(|expected| shown + SHORTFALL < expected);
        self.end = Some(if is_short { End::Truncated } else { End::Complete });
        Ok(None)
    }

    /// Presentation time of a frame; follows from the frame before where it has none of its own.
    fn time_of(&mut self, sample: &gst::Sample) -> Duration {
        let stated = sample.buffer().and_then(|buffer| buffer.pts()).and_then(|pts| {
            let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
            segment.to_stream_time(pts)
        });
        let since = |time: gst::ClockTime| {
            let time = Duration::from(time);
            time.saturating_sub(*self.sound.origin.get_or_init(|| time))
        };
        match (stated.map(since), self.last) {
            (Some(pts), None) => pts,
            (Some(pts), Some(last)) => pts.max(last + STEP_MIN),
            (None, None) => Duration::ZERO,
            (None, Some(last)) => last + self.shape.frame_duration(),
        }
    }

    /// Holds the number of frames against the limits: where the container states no frame rate,
    /// nothing else does.
    fn count(&mut self) -> Result<(), VideoError> {
        self.frames += 1;
        let MediaLimits { frame_rate_max, duration_ms_max, .. } = self.limits;
        let frames_max = u64::from(frame_rate_max) * u64::from(duration_ms_max) / 1000 + 1;
        if u64::from(self.frames) > frames_max + u64::from(frame_rate_max) {
            let frame_rate = frame_rate_max + 1;
            return Err(VideoError::FrameRateTooHigh { frame_rate, frame_rate_max });
        }
        Ok(())
    }
}

/// Duration of the presentation, where the container tells it.
fn stated_duration(gate: &Gate) -> Option<Duration> {
    if gate.container.reading == Reading::Forwards {
        // A guess from the first clock values.
        return None;
    }
    let whole = Duration::from(gate.pad.query_duration::<gst::ClockTime>()?);
    let before = match gate.container.start {
        Start::Zero => Duration::ZERO,
        Start::FirstFrame => gate.start,
    };
    // Zero is what is found in files that were never finished.
    whole.checked_sub(before).filter(|duration| !duration.is_zero())
}

/// Plugs all that comes after the gate.
fn complete(
    source: &Source,
    gate: &Gate,
    shape: &Shape,
    orientation: Orientation,
    limits: &MediaLimits,
) -> Result<AppSink, VideoError> {
    let decoder = element(gate.codec.decoder)?;
    // More threads would each hold frames of their own. Not every decoder knows more than one.
    if decoder.has_property("max-threads") {
        decoder.set_property("max-threads", 1_i32);
    }
    let decoded = decoder.static_pad("src").expect("decoders have a src pad");
    guard::caps(&decoded, limits, &source.tell);
    let sink = sink(shape);
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
        .map_err(graph("take its decoder"))?;
    gst::Element::link_many(&rest).map_err(graph("link its pictures"))?;
    let next = rest[0].static_pad("sink").expect("who takes pictures has a sink pad");
    fitting::link(&decoded, next, *shape, (source.growing.clone(), &source.tell))?;
    for element in rest.iter().rev().chain([&decoder]) {
        element.sync_state_with_parent().map_err(graph("start its decoder"))?;
    }
    let entry = decoder.static_pad("sink").expect("decoders have a sink pad");
    // The decoder's own caps are narrower than the codec's: profiles, bit depths.
    let refused = |_| VideoError::UnsupportedCodec(gate.codec.caps.into());
    gate.pad.link(&entry).map_err(refused)?;
    Ok(sink)
}

/// Where the pictures come out.
fn sink(shape: &Shape) -> AppSink {
    let bytes = u64::from(shape.width) * u64::from(shape.height) * 3 / 2;
    let waiting = (QUEUE_BYTES_MAX / bytes).clamp(1, QUEUE_MAX) as u32;
    let sink = AppSink::builder().max_buffers(waiting).drop(false).sync(false).async_(false);
    let sink = sink.enable_last_sample(false).build();
    // A decoder gives its own frames only to those who know where the planes lie in them, and a
    // copy to all others.
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
