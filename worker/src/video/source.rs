//! The first half of the decoding graph, up to a blocked pad: finds the container, adds its demuxer
//! and the parser of its first supported video track. Called by `decode`.
//!
//! ```text
//! reader ! typefind ! [queue] ! <demuxer> ! [<parser>] ! capsfilter |blocked
//!                                   `-- other tracks: not linked, so their data is dropped
//! ```
//!
//! A file that `frame_files` reads has an element in place of all these, with the frames.
//!
//! Everything here runs before a decoder exists.

mod first_track;

use super::corrected_file::{CorrectedFile, Corrections};
use super::discovery::Discovery;
use super::error::VideoError;
use super::events::{BlockedTrack, Described, GraphEvent, Hold};
use super::file_facts::FileFacts;
use super::formats::{self, Codec, Container, ReadMode};
use super::frame_files::{self, FrameFile};
use super::graph::{DynamicPipeline, RunningPipeline, element, graph_error};
use super::guard;
use super::mp4::Framing;
use super::picture_header;
use super::probe::TrackFormat;
use super::reader::reader;
use super::track_events;
use super::unsupported;
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use gstreamer::PadLinkCheck;
use gstreamer::prelude::*;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running graph up to the blocked pad.
pub(super) struct Source {
    /// The elements; they are stopped when dropped.
    pub(super) pipeline: RunningPipeline,
    /// The events of its threads.
    pub(super) events: Receiver<GraphEvent>,
    /// Adds further elements.
    pub(super) dynamic: DynamicPipeline,
    /// Sends the events of further probes.
    pub(super) sender: Sender<GraphEvent>,
    /// The video, corrected for its demuxer.
    pub(super) file: Arc<CorrectedFile>,
    /// What its own headers state.
    pub(super) facts: Arc<FileFacts>,
    /// Whether coded pictures of the track so far have no time stamps.
    pub(super) lacks_stamps: Arc<AtomicBool>,
    found: Arc<Mutex<Discovery>>,
}

/// Builds the graph from its callbacks.
#[derive(Clone)]
struct GraphBuilder {
    graph: DynamicPipeline,
    limits: MediaLimits,
    sender: Sender<GraphEvent>,
    found: Arc<Mutex<Discovery>>,
    facts: Arc<FileFacts>,
    lacks_stamps: Arc<AtomicBool>,
}

impl Source {
    /// Starts reading.
    pub(super) fn start(video: File, limits: &MediaLimits) -> Result<Self, VideoError> {
        if let Some(codec) = unsupported::container(&video) {
            return Err(VideoError::UnsupportedCodec(codec.into()));
        }
        if let Some(frames) = frame_files::open(&video, limits)? {
            return Self::of_frames(video, frames);
        }
        let (facts, corrections) = FileFacts::read(&video)?;
        let facts = Arc::new(facts);
        let file = Arc::new(CorrectedFile::new(video, corrections));
        let pipeline = RunningPipeline(gst::Pipeline::new());
        let (sender, events) = channel();
        let (found, dynamic) = (Arc::default(), DynamicPipeline::new(&pipeline.0));
        let lacks_stamps = Arc::<AtomicBool>::default();
        let builder = GraphBuilder {
            graph: dynamic.clone(),
            limits: *limits,
            sender: sender.clone(),
            found: Arc::clone(&found),
            facts: Arc::clone(&facts),
            lacks_stamps: Arc::clone(&lacks_stamps),
        };
        forward_errors(&pipeline.0, &sender);
        let reader = reader(Arc::clone(&file))?.upcast();
        let finder = element("typefind")?;
        finder.connect("have-type", false, move |values| {
            let finder = values[0].get::<gst::Element>().expect("signal have-type");
            let caps = values[2].get::<gst::Caps>().expect("signal have-type");
            builder.report(builder.add_demuxer(&finder, &caps));
            None
        });
        pipeline.0.add_many([&reader, &finder]).map_err(graph_error("add its reader"))?;
        reader.link(&finder).map_err(graph_error("link its reader"))?;
        dynamic.start()?;
        Ok(Self { pipeline, events, dynamic, sender, file, facts, lacks_stamps, found })
    }

    /// The frames of this file; they are read once the decoder is linked.
    fn of_frames(video: File, file: FrameFile) -> Result<Self, VideoError> {
        let pipeline = RunningPipeline(gst::Pipeline::new());
        let (sender, events) = channel();
        let dynamic = DynamicPipeline::new(&pipeline.0);
        forward_errors(&pipeline.0, &sender);
        let FrameFile { container, codec, caps, duration, frames } = file;
        let pad = frame_files::add_reader(&pipeline.0, &caps, frames)?;
        let coding = formats::codec_of(&caps).ok_or(VideoError::NoFrames)?;
        let described = Described { caps: caps.clone(), codec, duration };
        let hold = Hold::NotStarted(dynamic.clone(), described);
        let start = Duration::ZERO;
        let track =
            BlockedTrack { pad, codec: coding, container, stated: caps, start, header: None, hold };
        // The receiver is below.
        let _ = sender.send(GraphEvent::TrackReady(track));
        Ok(Self {
            pipeline,
            events,
            dynamic,
            sender,
            file: Arc::new(CorrectedFile::new(video, Corrections::default())),
            facts: Arc::default(),
            lacks_stamps: Arc::default(),
            found: Arc::default(),
        })
    }
}

/// Presentation time of a buffer at this pad, on the container's clock.
fn presentation_time(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<Duration> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_stream_time(buffer.pts()?).map(Duration::from)
}

fn forward_errors(pipeline: &gst::Pipeline, sender: &Sender<GraphEvent>) {
    let sender = sender.clone();
    let bus = pipeline.bus().expect("a pipeline has a bus");
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            // The receiver is gone when the decoder is being dropped.
            let _ = sender.send(GraphEvent::Failed(error.error()));
        }
        gst::BusSyncReply::Drop
    });
}

impl GraphBuilder {
    fn report(&self, result: Result<(), VideoError>) {
        if let Err(error) = result {
            let _ = self.sender.send(GraphEvent::Rejected(error));
        }
    }

    fn add_demuxer(&self, finder: &gst::Element, caps: &gst::Caps) -> Result<(), VideoError> {
        let container =
            formats::container_of(caps).ok_or_else(|| VideoError::NotAVideo(caps.to_string()))?;
        self.found.lock().expect("no holder panics").container = Some(container);
        let Some(demuxer) = container.demuxer else {
            let track = finder.static_pad("src").expect("typefind has a src pad");
            return self.add_parser(&track, caps.clone());
        };
        let demuxer = element(demuxer)?;
        let builder = self.clone();
        demuxer.connect_pad_added(move |_, pad| {
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            builder.report(builder.add_parser(pad, caps));
        });
        let builder = self.clone();
        demuxer.connect_no_more_pads(move |_| {
            let found = builder.found.lock().expect("no holder panics");
            if !found.has_track {
                builder.report(Err(found.no_track()));
            }
        });
        self.graph.add([&demuxer])?;
        if container.read_mode == ReadMode::Sequential {
            // Elements after a queue cannot seek in the file.
            let queue = element("queue")?;
            queue.set_property("max-size-buffers", 2_u32);
            self.graph.add([&queue])?;
            gst::Element::link_many([finder, &queue, &demuxer])
                .map_err(graph_error("link its demuxer"))?;
            demuxer.sync_state_with_parent().map_err(graph_error("start its demuxer"))?;
            return queue.sync_state_with_parent().map_err(graph_error("start its queue"));
        }
        finder.link(&demuxer).map_err(graph_error("link its demuxer"))?;
        // Last: once it reads, the video may be rejected and the graph stopped.
        demuxer.sync_state_with_parent().map_err(graph_error("start its demuxer"))
    }

    fn add_parser(&self, track: &gst::Pad, mut caps: gst::Caps) -> Result<(), VideoError> {
        let is_renamed = formats::name_codec(&mut caps);
        let container = {
            let mut found = self.found.lock().expect("no holder panics");
            found.tracks += 1;
            if found.has_track || !formats::is_picture_track(&caps) {
                return Ok(());
            }
            if formats::codec_of(&caps).is_none() {
                found.unsupported.get_or_insert_with(|| unsupported::codec_of(&caps));
                // Another codec would not help.
                if let Err(VideoError::PictureTooSmall { width, height, .. }) =
                    TrackFormat::of(&caps, &self.limits)
                {
                    found.too_small = Some([width, height]);
                }
                return Ok(());
            }
            found.has_track = true;
            found.container.expect("tracks come from a container")
        };
        let codec = formats::codec_of(&caps).expect("found above");
        let filter = element("capsfilter")?;
        let requested = if codec.parser.is_some() { codec.framed } else { codec.caps };
        filter.set_property_from_str("caps", requested);
        let pad = filter.static_pad("src").expect("a capsfilter has a src pad");
        self.record_data(track);
        if is_renamed {
            track_events::name_codec(track);
        }
        self.correct_events(track, codec, container);
        self.block(&pad, codec, container, caps);
        self.guard(&pad, codec);
        self.graph.add([&filter])?;
        let mut first = filter.clone();
        if let Some(parser) = codec.parser {
            first = element(parser)?;
            self.graph.add([&first])?;
            first.link(&filter).map_err(graph_error("link its parser"))?;
        }
        filter.sync_state_with_parent().map_err(graph_error("start its filter"))?;
        first.sync_state_with_parent().map_err(graph_error("start its parser"))?;
        let sink = first.static_pad("sink").expect("parsers and filters have a sink pad");
        // The caps of a renamed track agree only once they have passed the pad.
        let checks = if is_renamed { PadLinkCheck::HIERARCHY } else { PadLinkCheck::DEFAULT };
        track.link_full(&sink, checks).map(drop).map_err(graph_error("link its track"))
    }

    /// Stops the data of the track when it exceeds a limit.
    fn guard(&self, pad: &gst::Pad, codec: &Codec) {
        match picture_header::reader_of(codec.decoder) {
            Some(read) => {
                guard::caps_with_size(pad, &self.limits, &self.sender);
                guard::picture_size(pad, read, &self.limits, &self.sender);
            }
            None => guard::caps(pad, &self.limits, &self.sender),
        }
        if codec.decoder == "identity" {
            guard::frame_bytes(pad, &self.sender);
        }
    }

    /// Corrects what the demuxer states of the track.
    fn correct_events(&self, track: &gst::Pad, codec: &Codec, container: &Container) {
        self.lacks_stamps.fetch_or(self.facts.lacks_times(track), Ordering::Relaxed);
        if !self.facts.has_edits(track) {
            track_events::remove_segment_end(track);
            if self.facts.has_index {
                track_events::begin_segments_at_zero(track);
            }
        }
        if ["video/x-h264", "video/x-h265"].contains(&codec.caps) {
            track_events::use_range_of_stream(track);
            // AVI has no stamps; its frame rate is what states the times.
            if container.demuxer != Some("avidemux") {
                track_events::record_missing_stamps(track, &self.lacks_stamps);
            }
            if self.facts.framing(track) == Framing::StartCodes {
                track_events::state_start_codes(track);
            }
        }
    }

    /// Records whether the track has any data.
    fn record_data(&self, track: &gst::Pad) {
        let found = Arc::clone(&self.found);
        track.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            found.lock().expect("no holder panics").has_data = true;
            gst::PadProbeReturn::Remove
        });
    }

    /// Blocks the first buffer, and sends the events of the track.
    fn block(
        &self,
        pad: &gst::Pad,
        codec: &'static Codec,
        container: &'static Container,
        stated: gst::Caps,
    ) {
        let sender = self.sender.clone();
        let mask = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        pad.add_probe(mask, move |pad, info| {
            if let Some(probe) = info.id.take() {
                let header = picture_header::reader_of(codec.decoder).zip(info.buffer());
                let header =
                    header.and_then(|(read, buffer)| picture_header::of_buffer(read, buffer));
                let start = info
                    .buffer()
                    .and_then(|buffer| presentation_time(pad, buffer))
                    .unwrap_or_default();
                let (pad, stated) = (pad.clone(), stated.clone());
                let hold = Hold::Probe(probe);
                let track = BlockedTrack { pad, codec, container, stated, start, header, hold };
                let _ = sender.send(GraphEvent::TrackReady(track));
            }
            gst::PadProbeReturn::Ok
        });
        let sender = self.sender.clone();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
                let _ = sender.send(GraphEvent::Ended(pad.clone()));
            }
            gst::PadProbeReturn::Ok
        });
    }
}
