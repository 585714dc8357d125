//! Encodes pictures as H.264 in MP4 with the index in front, onto a descriptor. Called by the
//! worker's main; writes no other file.
//!
//! ```text
//! VideoWriter::write -> I420 (`write_frame`) -> appsrc ! x264enc ! mp4mux ! fdsink
//!                           packets of sound (`sound`) -> appsrc ! '
//! ```
//!
//! The muxer reserves room for the index at the start and fills it at the end; the descriptor
//! must therefore be able to seek. What is left of the room stays as an empty box.

use super::FrameTime;
use super::colour::Colours;
use super::edits::{self, Shown};
use super::error::VideoError;
use super::graph::{Running, element, graph};
use super::opus;
use super::resize::resize;
use super::sound::{Playing, SoundReport, Soundtrack};
use super::stamps;
use super::write_frame;
use crate::picture::{Layout, Picture, Subsampling};
use fast_image_resize::Resizer;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};
use gstreamer_video::{VideoFormat, VideoInfo};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Bytes of pictures that wait for the encoder, or one picture.
const QUEUE_BYTES_MAX: u64 = 4 << 20;
/// How often a wait for the encoder looks for errors.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest wait for room in the queue, and for the end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Speed of x264, and its constant rate factor: what a frame costs decides, since each is encoded
/// once and seldom seen. Each with one thread, no lookahead and no frames out of order; a recorded
/// clip of 1280x720, 230 frames:
///
/// | preset, factor | ms of processor a frame | kbit/s | PSNR of luma, dB |
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
/// Ticks a second of the track: exact for the common frame rates.
const TIMESCALE: u32 = 90_000;
/// Frame rate for which the index has room at least, whatever the nominal one.
const INDEX_FRAME_RATE_MIN: u64 = 240;
/// Index entries of one frame: its size, its time, its chunk, and a key frame's number.
const INDEX_BYTES_PER_FRAME: u64 = 24;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeSpec {
    /// Width in pixels, rounded down to even.
    pub width: u32,
    /// Height in pixels, rounded down to even.
    pub height: u32,
    /// Nominal frames per second; 0/1 where unknown.
    pub frame_rate: (u32, u32),
    /// How the file describes its colours.
    pub colours: Colours,
    /// Longest duration that will be written; the index has room for no more.
    pub duration_max: Duration,
}

/// One video being written.
pub struct VideoWriter {
    /// Stopped first: the rest may wait for it.
    sound: SoundState,
    pipeline: Running,
    muxer: gst::Element,
    packets_max: u32,
    source: AppSrc,
    info: VideoInfo,
    buffers: Buffers,
    room: Receiver<()>,
    resizer: Resizer,
    scaled: Picture,
    frame_duration: Option<gst::ClockTime>,
    /// When the first picture is shown.
    start: Option<Duration>,
    /// The graph writes this descriptor by number: it is closed last.
    out: File,
}

/// A video of which all pictures are with the encoder.
pub struct EndedVideo(VideoWriter);

impl EndedVideo {
    /// Waits for what is left and writes the index; what became of the sound, if it was asked for.
    ///
    /// # Errors
    /// The encoder or the descriptor failed.
    pub fn finish(self) -> Result<Option<SoundReport>, VideoError> {
        self.0.wait_for_end()
    }
}

/// Buffers that come back from the encoder, so that no picture takes new memory.
struct Buffers(gst::BufferPool);

impl Buffers {
    fn of(info: &VideoInfo, caps: &gst::Caps) -> Result<Self, VideoError> {
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        config.set_params(Some(caps), info.size() as u32, 0, 0);
        pool.set_config(config).map_err(graph("take the size of its pictures"))?;
        pool.set_active(true).map_err(graph("keep its pictures"))?;
        Ok(Self(pool))
    }

    fn next(&self) -> Result<gst::Buffer, VideoError> {
        self.0.acquire_buffer(None).map_err(|flow| VideoError::Encode(flow.to_string()))
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // Buffers that are still under way are freed when they come back.
        let _ = self.0.set_active(false);
    }
}

/// What is known of the sound that is to go with the pictures.
enum SoundState {
    /// It is looked for when the first picture comes.
    Wanted(Soundtrack),
    Playing(Playing),
    /// There is none, for the reason that is told, if it was looked for.
    Silent(Option<SoundReport>),
}

impl VideoWriter {
    /// Readies the encoder. The descriptor must be open for reading and writing, and empty.
    ///
    /// # Errors
    /// The size is less than two pixels on a side, or the graph does not start.
    pub fn create(out: OwnedFd, spec: &EncodeSpec) -> Result<Self, VideoError> {
        let out = File::from(out);
        let info = layout(spec)?;
        let caps = info.to_caps().map_err(graph("describe its pictures"))?;
        let (tell, room) = sync_channel(1);
        let has_room = AppSrcCallbacks::builder().need_data(move |_, _| {
            // One such word waiting is enough.
            let _ = tell.try_send(());
        });
        let source = AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .max_bytes(QUEUE_BYTES_MAX.max(info.size() as u64))
            .callbacks(has_room.build())
            .build();
        source.set_property("min-percent", 50_u32);
        let sink = element("fdsink")?;
        sink.set_property("fd", out.as_raw_fd());
        sink.set_property("sync", false);
        let muxer = muxer(spec)?;
        let chain = [source.clone().upcast(), encoder(spec)?, muxer.clone(), sink];
        let pipeline = Running(gst::Pipeline::new());
        pipeline.0.add_many(&chain).map_err(graph("take its encoder"))?;
        gst::Element::link_many(&chain).map_err(graph("link its encoder"))?;
        pipeline.0.set_state(gst::State::Playing).map_err(graph("start its encoder"))?;
        let (num, den) = nominal(spec);
        let frame_duration = gst::ClockTime::SECOND.mul_div_round(den.into(), num.into());
        Ok(Self {
            sound: SoundState::Silent(None),
            pipeline,
            muxer,
            packets_max: (index_seconds(spec) * INDEX_FRAME_RATE_MIN) as u32,
            source,
            buffers: Buffers::of(&info, &caps)?,
            info,
            room,
            resizer: Resizer::new(),
            scaled: Picture::default(),
            frame_duration,
            start: None,
            out,
        })
    }

    /// Has the sound go with the pictures. Ask before the first of them.
    #[must_use]
    pub fn with_sound(self, soundtrack: Soundtrack) -> Self {
        Self { sound: SoundState::Wanted(soundtrack), ..self }
    }

    /// Writes one picture, scaled if it has another size. Times must rise.
    ///
    /// # Errors
    /// The encoder or the descriptor failed, for this or an earlier picture.
    pub fn write(&mut self, picture: &Picture, time: FrameTime) -> Result<(), VideoError> {
        if self.start.is_none() {
            self.start = Some(time.pts);
            self.look_for_sound()?;
        }
        let fitted = self.fit(picture)?;
        let mut buffer = self.buffers.next()?;
        {
            let buffer = buffer.get_mut().expect("nobody else has it yet");
            buffer.set_pts(gst::ClockTime::try_from(time.pts).ok());
            buffer.set_duration(self.frame_duration);
            let mut planes =
                buffer.map_writable().map_err(|cause| VideoError::Encode(cause.to_string()))?;
            write_frame::write(&fitted, &self.info, &mut planes);
        }
        if let Cow::Owned(scaled) = fitted {
            self.scaled = scaled;
        }
        self.wait_for_room()?;
        match self.source.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(flow) => {
                Err(self.failure().unwrap_or_else(|| VideoError::Encode(flow.to_string())))
            }
        }
    }

    /// The muxer must know all tracks before the first of them flows.
    fn look_for_sound(&mut self) -> Result<(), VideoError> {
        let silent = SoundState::Silent(None);
        if let SoundState::Wanted(soundtrack) = std::mem::replace(&mut self.sound, silent) {
            self.sound = match soundtrack.open(self.packets_max) {
                Ok(sound) => SoundState::Playing(sound.play(&self.pipeline.0, &self.muxer)?),
                Err(report) => SoundState::Silent(Some(report)),
            };
        }
        Ok(())
    }

    /// Takes no more pictures. What is left is written by threads of the graph.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn end(self) -> Result<EndedVideo, VideoError> {
        match self.source.end_of_stream() {
            Ok(_) => Ok(EndedVideo(self)),
            Err(flow) => Err(VideoError::Encode(flow.to_string())),
        }
    }

    /// [`Self::end`] and [`EndedVideo::finish`] in one.
    ///
    /// # Errors
    /// The encoder or the descriptor failed.
    pub fn finish(self) -> Result<Option<SoundReport>, VideoError> {
        self.end()?.finish()
    }

    fn wait_for_end(self) -> Result<Option<SoundReport>, VideoError> {
        let bus = self.pipeline.0.bus().expect("a pipeline has a bus");
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let patience = gst::ClockTime::try_from(PATIENCE).expect("fits");
        let message = bus.timed_pop_filtered(patience, &kinds);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => {
                self.mend().map_err(|cause| VideoError::Encode(cause.to_string()))?;
                Ok(match &self.sound {
                    SoundState::Wanted(_) => None,
                    SoundState::Playing(sound) => Some(sound.report()),
                    SoundState::Silent(report) => report.clone(),
                })
            }
            Some(gst::MessageView::Error(error)) => {
                Err(VideoError::Encode(error.error().to_string()))
            }
            _ => Err(VideoError::Encode("the encoder does not finish".into())),
        }
    }

    /// Sets right what the muxer cannot be told.
    fn mend(&self) -> io::Result<()> {
        let (start, nothing) = (self.start.unwrap_or_default(), Duration::ZERO);
        let pictures =
            Shown { kind: *b"vide", late: start, hidden: nothing, end_max: Duration::MAX };
        if let SoundState::Playing(Playing { span, .. }) = &self.sound {
            let (late, hidden, end_max) = (span.late, span.hidden, span.limit);
            edits::set(&self.out, &[pictures, Shown { kind: *b"soun", late, hidden, end_max }])?;
            opus::set_silence(&self.out, hidden)?;
        } else if !start.is_zero() {
            edits::set(&self.out, &[pictures])?;
        }
        stamps::erase(&self.out)
    }

    /// The picture at the size of the video. At most one row or column more is left: it is cropped.
    fn fit<'a>(&mut self, picture: &'a Picture) -> Result<Cow<'a, Picture>, VideoError> {
        let (width, height) = (self.info.width(), self.info.height());
        if picture.width() & !1 == width && picture.height() & !1 == height {
            return Ok(Cow::Borrowed(picture));
        }
        let mut scaled = std::mem::take(&mut self.scaled);
        let subsampling = Subsampling::Yuv420;
        scaled.resize(Layout { width, height, subsampling, ..picture.layout() });
        resize(&mut self.resizer, picture, &mut scaled).map_err(VideoError::Encode)?;
        Ok(Cow::Owned(scaled))
    }

    fn wait_for_room(&self) -> Result<(), VideoError> {
        let deadline = Instant::now() + PATIENCE;
        while self.source.current_level_bytes() >= self.source.max_bytes() {
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if Instant::now() > deadline {
                return Err(VideoError::Encode("the encoder makes no progress".into()));
            }
            match self.room.recv_timeout(LOOK_EVERY) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn failure(&self) -> Option<VideoError> {
        let message = self.pipeline.0.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(VideoError::Encode(error.error().to_string())),
            _ => None,
        }
    }
}

fn layout(spec: &EncodeSpec) -> Result<VideoInfo, VideoError> {
    let (width, height) = (spec.width & !1, spec.height & !1);
    let (num, den) = nominal(spec);
    VideoInfo::builder(VideoFormat::I420, width, height)
        .fps(gst::Fraction::new(num as i32, den as i32))
        .par(gst::Fraction::new(1, 1))
        .colorimetry(&spec.colours.colorimetry())
        .build()
        .map_err(|cause| VideoError::Encode(format!("{width}x{height}: {cause}")))
}

/// The frame rate that the stream states. Where none is known it must state one all the same: the
/// encoder would state the tick of its clock. The index holds the real times.
const fn nominal(spec: &EncodeSpec) -> (u32, u32) {
    match spec.frame_rate {
        (0, _) | (_, 0) => (30, 1),
        known => known,
    }
}

fn encoder(spec: &EncodeSpec) -> Result<gst::Element, VideoError> {
    let (num, den) = nominal(spec);
    let key_frames = (num * KEY_FRAME_S).div_ceil(den);
    let encoder = element("x264enc")?;
    encoder.set_property_from_str("speed-preset", PRESET);
    encoder.set_property_from_str("pass", "qual");
    encoder.set_property("quantizer", QUALITY);
    encoder.set_property("key-int-max", key_frames.max(1));
    // Else the default bitrate would be the most that any quality may have.
    encoder.set_property("vbv-buf-capacity", 0_u32);
    // Threads and frames looked at in advance would each hold pictures of their own.
    encoder.set_property("threads", 1_u32);
    encoder.set_property("rc-lookahead", 0_i32);
    encoder.set_property("sync-lookahead", 0_i32);
    encoder.set_property("bframes", 0_u32);
    encoder.set_property("mb-tree", false);
    Ok(encoder)
}

/// Seconds for which the index has room.
const fn index_seconds(spec: &EncodeSpec) -> u64 {
    spec.duration_max.as_secs() + 2
}

fn muxer(spec: &EncodeSpec) -> Result<gst::Element, VideoError> {
    let (num, den) = nominal(spec);
    let nominal = u64::from(num.div_ceil(den));
    let frame_rate = INDEX_FRAME_RATE_MIN.max(nominal + nominal / 4);
    let seconds = index_seconds(spec);
    let muxer = element("mp4mux")?;
    muxer.set_property("trak-timescale", TIMESCALE);
    muxer.set_property("movie-timescale", TIMESCALE);
    // The room is the product of the two, for each track: a packet of sound takes no more of it
    // than a frame.
    let bytes_per_s = frame_rate * INDEX_BYTES_PER_FRAME;
    let factor = bytes_per_s.div_ceil(10_000);
    muxer.set_property("reserved-bytes-per-sec", (bytes_per_s / factor) as u32);
    muxer.set_property("reserved-max-duration", seconds * factor * 1_000_000_000);
    Ok(muxer)
}
