//! The settings of an encoded video: its format, the encoder and the muxer. Called by `encode`.

use crate::video::colour::Colours;
use crate::video::error::VideoError;
use crate::video::graph::element;
use bodyscript_protocol::layout::encoded_size;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video::{VideoFormat, VideoInfo};
use std::time::Duration;

/// Preset of x264, and its constant rate factor. Chosen by the cost of a frame, since videos are
/// encoded for every job and rarely watched. Each with one thread, no lookahead and no B-frames; a
/// recorded clip of 1280x720, 230 frames:
///
/// | preset, factor | CPU ms per frame | kbit/s | PSNR of luma, dB |
/// |---|---|---|---|
/// | veryfast 23 | 8.2 | 2507 | 40.5 |
/// | superfast 23 | 5.6 | 3377 | 41.7 |
/// | superfast 25 | 5.1 | 2638 | 40.1 |
/// | ultrafast 23, CABAC | 4.0 | 4363 | 42.0 |
/// | ultrafast 25, CABAC | 3.6 | 3355 | 40.4 |
/// | ultrafast 23 | 3.2 | 4807 | 42.0 |
/// | ultrafast 25 | 2.9 | 3718 | 40.4 |
/// | superfast 23, held to 2048 kbit/s | 5.1 | 2129 | 36.6 |
const PRESET: &str = "ultrafast";
const QUALITY: u32 = 25;
/// Seconds between key frames, which is how finely players can seek.
const KEY_FRAME_S: u32 = 2;
/// Timescale of the track: exact for the common frame rates.
const TIMESCALE: u32 = 90_000;
/// Least frame rate for which the index has space.
const INDEX_FRAME_RATE_MIN: u64 = 240;
/// Index entries of one frame: size, time, chunk, and key frame number.
const INDEX_BYTES_PER_FRAME: u64 = 24;

/// The properties of a video to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeSpec {
    /// Width in pixels, rounded down to even.
    pub width: u32,
    /// Height in pixels, rounded down to even.
    pub height: u32,
    /// Nominal frames per second; 0/1 where unknown.
    pub frame_rate: (u32, u32),
    /// The colour description of the file.
    pub colours: Colours,
    /// Longest duration; the index has space for no more.
    pub duration_max: Duration,
}

/// The format of the pictures.
pub(super) fn video_info(spec: &EncodeSpec) -> Result<VideoInfo, VideoError> {
    let [width, height] = encoded_size([spec.width, spec.height]);
    let (num, den) = nominal_rate(spec);
    VideoInfo::builder(VideoFormat::I420, width, height)
        .fps(gst::Fraction::new(num as i32, den as i32))
        .par(gst::Fraction::new(1, 1))
        .colorimetry(&spec.colours.colorimetry())
        .build()
        .map_err(|cause| VideoError::Encode(format!("{width}x{height}: {cause}")))
}

/// The frame rate that the stream states. Where it is unknown, one must be stated as well: the
/// encoder would state the tick of its clock. The index contains the real times.
pub(super) const fn nominal_rate(spec: &EncodeSpec) -> (u32, u32) {
    match spec.frame_rate {
        (0, _) | (_, 0) => (30, 1),
        known => known,
    }
}

/// The video encoder.
pub(super) fn encoder(spec: &EncodeSpec) -> Result<gst::Element, VideoError> {
    let (num, den) = nominal_rate(spec);
    let key_frames = (num * KEY_FRAME_S).div_ceil(den);
    let encoder = element("x264enc")?;
    encoder.set_property_from_str("speed-preset", PRESET);
    encoder.set_property_from_str("pass", "qual");
    encoder.set_property("quantizer", QUALITY);
    encoder.set_property("key-int-max", key_frames.max(1));
    // Otherwise the default bitrate would limit the quality.
    encoder.set_property("vbv-buf-capacity", 0_u32);
    // Further threads and lookahead would each hold pictures.
    encoder.set_property("threads", 1_u32);
    encoder.set_property("rc-lookahead", 0_i32);
    encoder.set_property("sync-lookahead", 0_i32);
    encoder.set_property("bframes", 0_u32);
    encoder.set_property("mb-tree", false);
    Ok(encoder)
}

/// Seconds for which the index has space.
const fn index_seconds(spec: &EncodeSpec) -> u64 {
    spec.duration_max.as_secs() + 2
}

/// The muxer, with space for the index.
pub(super) fn muxer(spec: &EncodeSpec) -> Result<gst::Element, VideoError> {
    let (num, den) = nominal_rate(spec);
    let nominal = u64::from(num.div_ceil(den));
    let frame_rate = INDEX_FRAME_RATE_MIN.max(nominal + nominal / 4);
    let seconds = index_seconds(spec);
    let muxer = element("mp4mux")?;
    muxer.set_property("trak-timescale", TIMESCALE);
    muxer.set_property("movie-timescale", TIMESCALE);
    // The space is the product of the two, for each track: a packet of sound takes no more than a
    // frame.
    let bytes_per_s = frame_rate * INDEX_BYTES_PER_FRAME;
    let factor = bytes_per_s.div_ceil(10_000);
    muxer.set_property("reserved-bytes-per-sec", (bytes_per_s / factor) as u32);
    muxer.set_property("reserved-max-duration", seconds * factor * 1_000_000_000);
    Ok(muxer)
}

/// Most packets of sound for which the index has space.
pub(super) const fn sound_packets_max(spec: &EncodeSpec) -> u32 {
    (index_seconds(spec) * INDEX_FRAME_RATE_MIN) as u32
}
