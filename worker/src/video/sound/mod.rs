//! The sound of a video, for the output video. `decode` provides its source, `encode` pulls its
//! packets as the muxer needs them: nothing is read ahead, and an error in the sound never fails
//! a run.

mod clock;
mod description;
mod formats;
mod limits;
mod packet_reader;
mod report;
mod track;

pub(super) use formats::elements;
pub use report::{Outcome, SoundReport};

use super::corrected_file::CorrectedFile;
use super::error::VideoError;
use super::formats::Container;
use super::graph::{RunningPipeline, graph_error};
use description::Description;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};
use packet_reader::{Packet, PacketReader};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The source of a video's sound.
#[derive(Clone)]
pub struct SoundSource {
    /// The video file.
    pub(super) file: Arc<CorrectedFile>,
    /// Its container.
    pub(super) container: &'static Container,
    /// Start of the presentation on the container's clock; set with the first picture.
    pub(super) origin: Arc<OnceLock<Duration>>,
    /// Where the output begins, from the start of the presentation.
    pub(super) start: Duration,
    /// Sound that begins so long after that or later is dropped.
    pub(super) limit: Duration,
}

/// Opened sound, ready to be linked to a muxer.
pub(super) struct OpenedSound {
    reader: PacketReader,
    /// The first packets.
    first_packets: Vec<Packet>,
    description: Description,
    limit: Duration,
}

/// The presentation times of the sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoundTiming {
    /// Start, from the start of the output.
    pub(super) start: Duration,
    /// Decoder pre-roll at the beginning.
    pub(super) pre_roll: Duration,
    /// Latest end.
    pub(super) limit: Duration,
}

/// Sound that is linked to a muxer. To be dropped before the muxer's graph is stopped, which may wait
/// for it.
pub(super) struct LinkedSound {
    /// Its presentation times.
    pub(super) timing: SoundTiming,
    report: Arc<Mutex<SoundReport>>,
    _pipeline: RunningPipeline,
}

impl SoundSource {
    /// Reads up to the first packets of the output; without any, returns the report.
    pub(super) fn open(self, packets_max: u32) -> Result<OpenedSound, SoundReport> {
        let origin = self.origin.get().copied().unwrap_or_default() + self.start;
        let mut reader =
            PacketReader::open(self.file, self.container, (origin, self.limit), packets_max)?;
        let first_packets = reader.first_packets();
        let description = reader.description();
        match description.filter(|_| !first_packets.is_empty()) {
            Some(description) => {
                Ok(OpenedSound { reader, first_packets, description, limit: self.limit })
            }
            None => Err(reader.report_of_none()),
        }
    }
}

impl OpenedSound {
    /// Links this to a muxer of a graph without data so far.
    pub(super) fn link(
        self,
        pipeline: &gst::Pipeline,
        muxer: &gst::Element,
    ) -> Result<LinkedSound, VideoError> {
        let Self { mut reader, first_packets, description, limit } = self;
        let from = first_packets.first().map_or(0, |first| first.time.from);
        let pre_roll = Duration::from_nanos(from.min(0).unsigned_abs());
        let start = Duration::from_nanos(from.max(0).unsigned_abs());
        let report = reader.shared_report();
        let stop = RunningPipeline(reader.pipeline());
        let mut first_packets = first_packets.into_iter();
        let push_next = move |source: &AppSrc, _| {
            // An error means that the graph is being stopped.
            let _ = match first_packets.next().or_else(|| reader.next()) {
                Some(packet) => source.push_buffer(packet.with_time(pre_roll)),
                None => source.end_of_stream(),
            };
        };
        let source = AppSrc::builder()
            .caps(&description.caps)
            .format(gst::Format::Time)
            .callbacks(AppSrcCallbacks::builder().need_data(push_next).build())
            .build();
        let pad = muxer.request_pad_simple("audio_%u").ok_or("it has no pad for it");
        let pad = pad.map_err(graph_error("add sound"))?;
        // One tick per sample, so that no duration is rounded.
        pad.set_property("trak-timescale", description.rate);
        pipeline.add(&source).map_err(graph_error("add sound"))?;
        let out = source.static_pad("src").expect("sources have a src pad");
        out.link(&pad).map_err(graph_error("link its sound"))?;
        source.sync_state_with_parent().map_err(graph_error("start its sound"))?;
        Ok(LinkedSound { timing: SoundTiming { start, pre_roll, limit }, report, _pipeline: stop })
    }
}

impl LinkedSound {
    /// What was done with the sound.
    pub(super) fn report(&self) -> SoundReport {
        self.report.lock().expect("no holder panics").clone()
    }
}
