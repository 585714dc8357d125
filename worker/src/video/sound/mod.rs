//! The sound of a video, for the video that goes out. `decode` says where it is, `encode` asks for
//! its packets as the muxer needs them: nothing is read ahead, and nothing of it is ever a reason
//! for a run to fail.

mod clock;
mod description;
mod formats;
mod limits;
mod report;
mod track;

pub(super) use formats::elements;
pub use report::{Outcome, SoundReport};

use super::error::VideoError;
use super::formats::Container;
use super::graph::{Running, graph};
use clock::{Clock, Heard, Place};
use description::Description;
use formats::{ENCODER_DELAY, Way};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};
use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use track::{Nothing, Track};

/// Where the sound of a video is found.
#[derive(Clone)]
pub struct Soundtrack {
    /// The video.
    pub(super) file: Arc<File>,
    /// What it is in.
    pub(super) container: &'static Container,
    /// Time of the container's clock at which the presentation starts; there once a picture is.
    pub(super) origin: Arc<OnceLock<Duration>>,
    /// Sound that begins then or later is left out.
    pub(super) limit: Duration,
}

/// Sound that is ready to go out.
pub(super) struct Sound {
    feed: Feed,
    /// The first packets.
    opening: Vec<Packet>,
    description: Description,
    limit: Duration,
}

/// When the sound is heard: all that `edits` needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// How long after the start.
    pub(super) late: Duration,
    /// How much of its beginning is there for the decoder alone.
    pub(super) hidden: Duration,
    /// When it ends at the latest.
    pub(super) limit: Duration,
}

/// Sound that goes out. Dropped before the graph it goes into is stopped: it may be waited for.
pub(super) struct Playing {
    /// When it is heard.
    pub(super) span: Span,
    report: Arc<Mutex<SoundReport>>,
    _pipeline: Running,
}

/// What gives packets one by one.
struct Feed {
    track: Track,
    clock: Clock,
    /// How the first packet is described; MP4 has one description for all.
    description: Option<(gst::Caps, Option<Description>)>,
    report: Arc<Mutex<SoundReport>>,
}

struct Packet {
    buffer: gst::Buffer,
    heard: Heard,
}

impl Soundtrack {
    /// Reads up to the first packet that goes out; without one, what there is to say of it.
    pub(super) fn open(self, packets_max: u32) -> Result<Sound, SoundReport> {
        let origin = self.origin.get().copied().unwrap_or_default();
        let track = Track::open(self.file, self.container).map_err(|nothing| match nothing {
            Nothing::Silent => SoundReport::none(),
            Nothing::Unreadable(codec, why) => SoundReport::dropped(codec, &why),
        })?;
        let (codec, outcome) = match track.codec.way {
            Way::Copy => (track.codec.name, Outcome::Copied),
            Way::Encode => (track.codec.name, Outcome::Reencoded),
        };
        let report = SoundReport { codec: Some(codec.into()), outcome, note: None };
        let clock = Clock::new(origin, self.limit, packets_max);
        let report = Arc::new(Mutex::new(report));
        let mut feed = Feed { track, clock, description: None, report };
        let opening = feed.opening();
        let description = feed.description.clone().and_then(|(_, description)| description);
        match description.filter(|_| !opening.is_empty()) {
            Some(description) => Ok(Sound { feed, opening, description, limit: self.limit }),
            None => Err(SoundReport::dropped(Some(codec.into()), feed.why_nothing())),
        }
    }
}

impl Sound {
    /// Links this into a graph that has not begun to flow, at a muxer.
    pub(super) fn play(
        self,
        pipeline: &gst::Pipeline,
        muxer: &gst::Element,
    ) -> Result<Playing, VideoError> {
        let Self { mut feed, opening, description, limit } = self;
        let from = opening.first().map_or(0, |first| first.heard.from);
        let hidden = Duration::from_nanos(from.min(0).unsigned_abs());
        let late = Duration::from_nanos(from.max(0).unsigned_abs());
        let report = Arc::clone(&feed.report);
        let stop = Running(feed.track.pipeline.0.clone());
        let mut opening = opening.into_iter();
        let asked = move |source: &AppSrc, _| {
            // A refusal means that the graph is being stopped.
            let _ = match opening.next().or_else(|| feed.next()) {
                Some(packet) => source.push_buffer(packet.timed(hidden)),
                None => source.end_of_stream(),
            };
        };
        let source = AppSrc::builder()
            .caps(&description.caps)
            .format(gst::Format::Time)
            .callbacks(AppSrcCallbacks::builder().need_data(asked).build())
            .build();
        let pad = muxer.request_pad_simple("audio_%u").ok_or("there is no place for it");
        let pad = pad.map_err(graph("take sound"))?;
        // One tick a sample, so that no length is rounded.
        pad.set_property("trak-timescale", description.rate);
        pipeline.add(&source).map_err(graph("take sound"))?;
        let out = source.static_pad("src").expect("sources have a src pad");
        out.link(&pad).map_err(graph("link its sound"))?;
        source.sync_state_with_parent().map_err(graph("start its sound"))?;
        Ok(Playing { span: Span { late, hidden, limit }, report, _pipeline: stop })
    }
}

impl Playing {
    /// What became of the sound.
    pub(super) fn report(&self) -> SoundReport {
        self.report.lock().expect("no holder panics").clone()
    }
}

impl Feed {
    /// The first packets that go out. Where the second is heard before the first ends, demuxers
    /// have moved a first packet that begins before zero, for the decoder's sake, to zero.
    fn opening(&mut self) -> Vec<Packet> {
        let mut opening: Vec<_> = std::iter::from_fn(|| self.next()).take(2).collect();
        if let [first, second] = &mut opening[..]
            && second.heard.from < first.heard.to
        {
            let duration = first.heard.to - first.heard.from;
            first.heard = Heard { from: second.heard.from - duration, to: second.heard.from };
        }
        opening
    }

    /// The next packet that goes out.
    fn next(&mut self) -> Option<Packet> {
        loop {
            let Some(sample) = self.track.next() else {
                self.conclude();
                return None;
            };
            if !self.is_described(&sample.caps_owned()?) {
                self.note("it ends early: what follows is coded in another way");
                return None;
            }
            let buffer = sample.buffer_owned()?;
            let duration = buffer.duration().map(Duration::from).unwrap_or_default();
            match self.clock.place(self.stated(&sample), duration) {
                Place::Before => {}
                Place::At(heard) => return Some(Packet { buffer, heard }),
                Place::Past => return None,
                Place::TooMany => {
                    self.note("it ends early: its packets are too many");
                    return None;
                }
            }
        }
    }

    /// Whether the description of the first packet fits this one as well.
    fn is_described(&mut self, caps: &gst::Caps) -> bool {
        let first = self.description.get_or_insert_with(|| (caps.clone(), Description::of(caps)));
        first.0 == *caps || first.1 == Description::of(caps)
    }

    /// When a packet is heard, on the container's clock.
    fn stated(&self, sample: &gst::Sample) -> Option<i64> {
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let time = segment.to_stream_time_full(sample.buffer()?.pts()?)?;
        let delay = match self.track.codec.way {
            Way::Copy => 0,
            Way::Encode => {
                let rate = sample.caps()?.structure(0)?.get::<i32>("rate").ok()?;
                i64::from(ENCODER_DELAY) * 1_000_000_000 / i64::from(rate.max(1))
            }
        };
        let nanoseconds = i64::try_from(time.abs().nseconds()).unwrap_or(i64::MAX);
        Some(if time.is_positive() { nanoseconds } else { -nanoseconds }.saturating_sub(delay))
    }

    /// Why not one packet goes out.
    fn why_nothing(&self) -> &str {
        let is_undecodable = self.track.undecodable.load(Ordering::Relaxed);
        match (&self.track.fault, &self.description) {
            (Some(fault), _) => fault,
            (None, Some((_, None))) => "MP4 cannot carry it",
            (None, None) if is_undecodable => "none of it can be decoded",
            (None, _) => "none of it lies within the part that is shown",
        }
    }

    fn conclude(&self) {
        match &self.track.fault {
            Some(fault) => self.note(&format!("it ends early: {fault}")),
            None if self.track.undecodable.load(Ordering::Relaxed) => {
                self.note("packets that cannot be decoded were left out");
            }
            None => {}
        }
    }

    fn note(&self, note: &str) {
        tracing::info!(note, "of the sound");
        let mut report = self.report.lock().expect("no holder panics");
        *report = report.clone().noted(note);
    }
}

impl Packet {
    /// The packet with its time in the file, where nothing can be before zero.
    fn timed(self, hidden: Duration) -> gst::Buffer {
        let Self { buffer, heard } = self;
        let hidden = i64::try_from(hidden.as_nanos()).unwrap_or(i64::MAX);
        let time =
            |at: i64| gst::ClockTime::from_nseconds((at.saturating_add(hidden)).max(0) as u64);
        let mut timed = gst::Buffer::new();
        {
            let fresh = timed.get_mut().expect("nobody else has it yet");
            buffer
                .copy_into(fresh, gst::BufferCopyFlags::MEMORY, ..)
                .expect("the whole is within the whole");
            fresh.set_pts(time(heard.from));
            fresh.set_duration(time(heard.to).saturating_sub(time(heard.from)));
        }
        timed
    }
}
