//! Encodes pictures as H.264 in MP4 with the index in front, to a descriptor; writes no other file.
//!
//! ```text
//! VideoWriter::write -> I420 (`write_frame`) -> appsrc ! x264enc ! mp4mux ! fdsink
//!                           packets of sound (`sound`) -> appsrc ! '
//! ```
//!
//! The muxer reserves space for the index at the start and fills it at the end; the descriptor must
//! therefore be seekable. The rest of the space stays as an empty box.

mod settings;

pub use settings::EncodeSpec;

use crate::picture::{Layout, Picture, Subsampling};
use crate::video::FrameTime;
use crate::video::error::VideoError;
use crate::video::graph::{RunningPipeline, element, graph_error};
use crate::video::mp4::edit_lists::{self, TrackTiming};
use crate::video::mp4::{opus, timestamps};
use crate::video::resize::resize;
use crate::video::sound::{LinkedSound, SoundReport, SoundSource};
use crate::video::write_frame;
use fast_image_resize::Resizer;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};
use gstreamer_video::VideoInfo;
use settings::{encoder, muxer, nominal_rate, sound_packets_max, video_info};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Bytes of pictures queued for the encoder, or one picture.
const QUEUE_BYTES_MAX: u64 = 4 << 20;
/// How often a wait for the encoder checks for errors.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait for space in the queue, and for the end.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A video being written.
pub struct VideoWriter {
    /// Dropped first: the other graph may wait for it.
    sound: SoundState,
    pipeline: RunningPipeline,
    muxer: gst::Element,
    packets_max: u32,
    source: AppSrc,
    info: VideoInfo,
    buffers: BufferPool,
    has_space: Receiver<()>,
    resizer: Resizer,
    scaled: Picture,
    frame_duration: Option<gst::ClockTime>,
    /// Presentation time of the first picture.
    start: Option<Duration>,
    /// The graph uses this descriptor by number: it is closed last.
    out: File,
}

/// A video whose pictures are all submitted to the encoder.
pub struct FinishingVideo(VideoWriter);

impl FinishingVideo {
    /// Waits for the encoder and writes the index; returns what was done with the sound, if it was
    /// requested.
    ///
    /// # Errors
    /// The encoder or the descriptor failed.
    pub fn finish(self) -> Result<Option<SoundReport>, VideoError> {
        self.0.wait_for_end()
    }
}

/// Buffers that are reused, so that pictures take no new memory.
struct BufferPool(gst::BufferPool);

impl BufferPool {
    fn of(info: &VideoInfo, caps: &gst::Caps) -> Result<Self, VideoError> {
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        config.set_params(Some(caps), info.size() as u32, 0, 0);
        pool.set_config(config).map_err(graph_error("configure its buffers"))?;
        pool.set_active(true).map_err(graph_error("allocate its buffers"))?;
        Ok(Self(pool))
    }

    fn next(&self) -> Result<gst::Buffer, VideoError> {
        self.0.acquire_buffer(None).map_err(|flow| VideoError::Encode(flow.to_string()))
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        // Buffers in use are freed when they are returned.
        let _ = self.0.set_active(false);
    }
}

/// The state of the sound.
enum SoundState {
    /// It is opened with the first picture.
    Requested(SoundSource),
    Linked(LinkedSound),
    /// There is none; the report states why, if it was requested.
    Absent(Option<SoundReport>),
}

impl VideoWriter {
    /// Sets up the encoder. The descriptor must be open for reading and writing, and empty.
    ///
    /// # Errors
    /// The size is less than two pixels on a side, or the graph does not start.
    pub fn create(out: OwnedFd, spec: &EncodeSpec) -> Result<Self, VideoError> {
        let out = File::from(out);
        let info = video_info(spec)?;
        let caps = info.to_caps().map_err(graph_error("describe its pictures"))?;
        let (sender, has_space) = sync_channel(1);
        let callbacks = AppSrcCallbacks::builder().need_data(move |_, _| {
            // One pending notification is enough.
            let _ = sender.try_send(());
        });
        let source = AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .max_bytes(QUEUE_BYTES_MAX.max(info.size() as u64))
            .callbacks(callbacks.build())
            .build();
        source.set_property("min-percent", 50_u32);
        let sink = element("fdsink")?;
        sink.set_property("fd", out.as_raw_fd());
        sink.set_property("sync", false);
        let muxer = muxer(spec)?;
        let chain = [source.clone().upcast(), encoder(spec)?, muxer.clone(), sink];
        let pipeline = RunningPipeline(gst::Pipeline::new());
        pipeline.0.add_many(&chain).map_err(graph_error("add its encoder"))?;
        gst::Element::link_many(&chain).map_err(graph_error("link its encoder"))?;
        pipeline.0.set_state(gst::State::Playing).map_err(graph_error("start its encoder"))?;
        let (num, den) = nominal_rate(spec);
        let frame_duration = gst::ClockTime::SECOND.mul_div_round(den.into(), num.into());
        Ok(Self {
            sound: SoundState::Absent(None),
            pipeline,
            muxer,
            packets_max: sound_packets_max(spec),
            source,
            buffers: BufferPool::of(&info, &caps)?,
            info,
            has_space,
            resizer: Resizer::new(),
            scaled: Picture::default(),
            frame_duration,
            start: None,
            out,
        })
    }

    /// Adds the sound. To be called before the first picture.
    #[must_use]
    pub fn with_sound(self, soundtrack: SoundSource) -> Self {
        Self { sound: SoundState::Requested(soundtrack), ..self }
    }

    /// Writes one picture, scaled if it has another size. Times must rise.
    ///
    /// # Errors
    /// The encoder or the descriptor failed, for this or an earlier picture.
    pub fn write(&mut self, picture: &Picture, time: FrameTime) -> Result<(), VideoError> {
        if self.start.is_none() {
            self.start = Some(time.pts);
            self.open_sound()?;
        }
        let fitted = self.fit(picture)?;
        let mut buffer = self.buffers.next()?;
        {
            let buffer = buffer.get_mut().expect("a new buffer has one owner");
            buffer.set_pts(gst::ClockTime::try_from(time.pts).ok());
            buffer.set_duration(self.frame_duration);
            let mut planes =
                buffer.map_writable().map_err(|cause| VideoError::Encode(cause.to_string()))?;
            write_frame::write(&fitted, &self.info, &mut planes);
        }
        if let Cow::Owned(scaled) = fitted {
            self.scaled = scaled;
        }
        self.wait_for_space()?;
        match self.source.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(flow) => {
                Err(self.failure().unwrap_or_else(|| VideoError::Encode(flow.to_string())))
            }
        }
    }

    /// Opens the sound, since the muxer needs all tracks before the first data.
    fn open_sound(&mut self) -> Result<(), VideoError> {
        let absent = SoundState::Absent(None);
        if let SoundState::Requested(soundtrack) = std::mem::replace(&mut self.sound, absent) {
            self.sound = match soundtrack.open(self.packets_max) {
                Ok(sound) => SoundState::Linked(sound.link(&self.pipeline.0, &self.muxer)?),
                Err(report) => SoundState::Absent(Some(report)),
            };
        }
        Ok(())
    }

    /// Ends the input. The rest is written by the threads of the graph.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn end(self) -> Result<FinishingVideo, VideoError> {
        match self.source.end_of_stream() {
            Ok(_) => Ok(FinishingVideo(self)),
            Err(flow) => {
                Err(self.failure().unwrap_or_else(|| VideoError::Encode(flow.to_string())))
            }
        }
    }

    /// [`Self::end`] and [`FinishingVideo::finish`] in one.
    ///
    /// # Errors
    /// The encoder or the descriptor failed.
    pub fn finish(self) -> Result<Option<SoundReport>, VideoError> {
        self.end()?.finish()
    }

    fn wait_for_end(self) -> Result<Option<SoundReport>, VideoError> {
        let bus = self.pipeline.0.bus().expect("a pipeline has a bus");
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let timeout = gst::ClockTime::try_from(TIMEOUT).expect("fits");
        let message = bus.timed_pop_filtered(timeout, &kinds);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => {
                self.fix_boxes().map_err(|cause| VideoError::Write(cause.to_string()))?;
                Ok(match &self.sound {
                    SoundState::Requested(_) => None,
                    SoundState::Linked(sound) => Some(sound.report()),
                    SoundState::Absent(report) => report.clone(),
                })
            }
            Some(gst::MessageView::Error(error)) => Err(VideoError::of_encoding(&error.error())),
            _ => Err(VideoError::Encode("the encoder does not finish".into())),
        }
    }

    /// Sets the values for which the muxer has no properties.
    fn fix_boxes(&self) -> io::Result<()> {
        let start = self.start.unwrap_or_default();
        let (skipped, end_max) = (Duration::ZERO, Duration::MAX);
        let pictures = TrackTiming { kind: *b"vide", start, skipped, end_max };
        if let SoundState::Linked(LinkedSound { timing, .. }) = &self.sound {
            let (start, skipped, end_max) = (timing.start, timing.pre_roll, timing.limit);
            let sound = TrackTiming { kind: *b"soun", start, skipped, end_max };
            edit_lists::set(&self.out, &[pictures, sound])?;
            opus::set_pre_skip(&self.out, skipped)?;
        } else if !start.is_zero() {
            edit_lists::set(&self.out, &[pictures])?;
        }
        timestamps::clear(&self.out)
    }

    /// Scales the picture to the size of the video. At most one further row or column remains, which
    /// is cropped.
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

    fn wait_for_space(&self) -> Result<(), VideoError> {
        let deadline = Instant::now() + TIMEOUT;
        while self.source.current_level_bytes() >= self.source.max_bytes() {
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if Instant::now() > deadline {
                return Err(VideoError::Encode("the encoder makes no progress".into()));
            }
            match self.has_space.recv_timeout(POLL_INTERVAL) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn failure(&self) -> Option<VideoError> {
        let message = self.pipeline.0.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(VideoError::of_encoding(&error.error())),
            _ => None,
        }
    }
}
