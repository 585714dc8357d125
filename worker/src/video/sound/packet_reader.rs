//! Reads the packets of the output one by one: those of the track, with their times. Called by `mod`.

use super::clock::{Clock, Placement, PlayTime};
use super::description::Description;
use super::formats::{ENCODER_DELAY, Handling};
use super::report::{Outcome, SoundReport};
use super::track::{NoTrack, Track};
use crate::video::corrected_file::CorrectedFile;
use crate::video::formats::Container;
use gstreamer as gst;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Reads packets one by one.
pub(super) struct PacketReader {
    track: Track,
    clock: Clock,
    /// The description of the first packet; MP4 has one description for all.
    description: Option<(gst::Caps, Option<Description>)>,
    report: Arc<Mutex<SoundReport>>,
}

/// A packet and when it is played.
pub(super) struct Packet {
    buffer: gst::Buffer,
    pub(super) time: PlayTime,
}

impl PacketReader {
    /// Opens the track of a file, for an output with this start, on the container's clock, and limit.
    pub(super) fn open(
        file: Arc<CorrectedFile>,
        container: &'static Container,
        (origin, limit): (Duration, Duration),
        packets_max: u32,
    ) -> Result<Self, SoundReport> {
        let track = Track::open(file, container).map_err(|none| match none {
            NoTrack::Absent => SoundReport::none(),
            NoTrack::Unreadable(codec, why) => SoundReport::dropped(codec, &why),
        })?;
        let outcome = match track.codec.handling {
            Handling::Copy => Outcome::Copied,
            Handling::Encode => Outcome::Reencoded,
        };
        let report = SoundReport { codec: Some(track.codec.name.into()), outcome, note: None };
        let clock = Clock::new(origin, limit, packets_max);
        Ok(Self { track, clock, description: None, report: Arc::new(Mutex::new(report)) })
    }

    /// The description of the packets, if MP4 supports them; none before the first packet.
    pub(super) fn description(&self) -> Option<Description> {
        self.description.as_ref().and_then(|(_, description)| description.clone())
    }

    /// The report, which is updated when the sound ends early.
    pub(super) fn shared_report(&self) -> Arc<Mutex<SoundReport>> {
        Arc::clone(&self.report)
    }

    /// The graph that reads the track.
    pub(super) fn pipeline(&self) -> gst::Pipeline {
        self.track.pipeline.0.clone()
    }

    /// The report of sound without any packet in the output.
    pub(super) fn report_of_none(&self) -> SoundReport {
        SoundReport::dropped(Some(self.track.codec.name.into()), self.why_none())
    }

    /// The first packets. Where the second begins before the first ends, the demuxer has moved a
    /// first packet with a negative time (decoder pre-roll) to zero, which is undone.
    pub(super) fn first_packets(&mut self) -> Vec<Packet> {
        let mut packets: Vec<_> = std::iter::from_fn(|| self.next()).take(2).collect();
        if let [first, second] = &mut packets[..]
            && second.time.from < first.time.to
        {
            let duration = first.time.to - first.time.from;
            first.time = PlayTime { from: second.time.from - duration, to: second.time.from };
        }
        packets
    }

    /// The next packet of the output.
    pub(super) fn next(&mut self) -> Option<Packet> {
        loop {
            let Some(sample) = self.track.next() else {
                self.note_end();
                return None;
            };
            if !self.is_described(&sample.caps_owned()?) {
                self.note("it ends early: the codec parameters change");
                return None;
            }
            let buffer = sample.buffer_owned()?;
            let duration = buffer.duration().map(Duration::from).unwrap_or_default();
            match self.clock.place(self.stated(&sample), duration) {
                Placement::TooEarly => {}
                Placement::At(time) => return Some(Packet { buffer, time }),
                Placement::TooLate => return None,
                Placement::TooMany => {
                    self.note("it ends early: it has too many packets");
                    return None;
                }
            }
        }
    }

    /// Whether the description of the first packet applies to this one as well.
    fn is_described(&mut self, caps: &gst::Caps) -> bool {
        let first = self.description.get_or_insert_with(|| (caps.clone(), Description::of(caps)));
        first.0 == *caps || first.1 == Description::of(caps)
    }

    /// Presentation time of a packet, on the container's clock.
    fn stated(&self, sample: &gst::Sample) -> Option<i64> {
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let time = segment.to_stream_time_full(sample.buffer()?.pts()?)?;
        let delay = match self.track.codec.handling {
            Handling::Copy => 0,
            Handling::Encode => {
                let rate = sample.caps()?.structure(0)?.get::<i32>("rate").ok()?;
                i64::from(ENCODER_DELAY) * 1_000_000_000 / i64::from(rate.max(1))
            }
        };
        let nanoseconds = i64::try_from(time.abs().nseconds()).unwrap_or(i64::MAX);
        Some(if time.is_positive() { nanoseconds } else { -nanoseconds }.saturating_sub(delay))
    }

    /// Why there is no packet in the output.
    fn why_none(&self) -> &str {
        let is_undecodable = self.track.undecodable.load(Ordering::Relaxed);
        match (&self.track.error, &self.description) {
            (Some(error), _) => error,
            (None, Some((_, None))) => "MP4 does not support it",
            (None, None) if is_undecodable => "none of it can be decoded",
            (None, _) => "none of it is within the presented part",
        }
    }

    fn note_end(&self) {
        match &self.track.error {
            Some(error) => self.note(&format!("it ends early: {error}")),
            None if self.track.undecodable.load(Ordering::Relaxed) => {
                self.note("packets that cannot be decoded were dropped");
            }
            None => {}
        }
    }

    fn note(&self, note: &str) {
        tracing::info!(note, "note on the sound");
        let mut report = self.report.lock().expect("no holder panics");
        *report = report.clone().with_note(note);
    }
}

impl Packet {
    /// The packet with its time in the file, where times begin with the pre-roll at zero.
    pub(super) fn with_time(self, pre_roll: Duration) -> gst::Buffer {
        let Self { buffer, time } = self;
        let pre_roll = i64::try_from(pre_roll.as_nanos()).unwrap_or(i64::MAX);
        let clock_time =
            |at: i64| gst::ClockTime::from_nseconds((at.saturating_add(pre_roll)).max(0) as u64);
        let mut timed = gst::Buffer::new();
        {
            let fresh = timed.get_mut().expect("a new buffer has one owner");
            buffer
                .copy_into(fresh, gst::BufferCopyFlags::MEMORY, ..)
                .expect("the whole buffer is a valid range");
            fresh.set_pts(clock_time(time.from));
            fresh.set_duration(clock_time(time.to).saturating_sub(clock_time(time.from)));
        }
        timed
    }
}
