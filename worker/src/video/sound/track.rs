//! Reads one track of sound with a second demuxer on the same file, so that sound and pictures are
//! synchronised without queueing either, however far apart they are in the file. Called by `packet_reader`;
//! packets are read on demand.
//!
//! ```text
//! reader ! [queue] ! <demuxer> ! [<parser>] ! capsfilter |limits ! ...
//!                        '-- other tracks: unlinked or to a fakesink, so their data is dropped
//! copied:   ... tee ! <decoder> ! fakesink
//!                '-- |decodable packets only ! appsink
//! encoded:  ... <decoder> |limits ! audioconvert ! audioresample ! capsfilter ! <encoder> ! appsink
//! ```

use super::formats::{self, Codec, ENCODER, Handling};
use super::limits;
use crate::video::corrected_file::CorrectedFile;
use crate::video::error::VideoError;
use crate::video::formats::{Container, ReadMode, TimeOrigin};
use crate::video::graph::{DynamicPipeline, RunningPipeline, element, graph_error};
use crate::video::guard;
use crate::video::reader::reader;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Most queued packets.
const QUEUE_MAX: u32 = 2;
/// How often a wait for a packet checks for errors.
const POLL_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(50);
/// Longest wait for one packet; shorter than other timeouts, so that only the sound is dropped.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Input of the encoder: at most stereo, at a rate that AAC supports well.
const ENCODER_INPUT: &str = "audio/x-raw,channels=[1,2],rate=[8000,48000]";

/// A track being read.
pub(super) struct Track {
    /// Its codec.
    pub(super) codec: &'static Codec,
    /// Why the track ended early, if it did.
    pub(super) error: Option<String>,
    /// Whether undecodable packets were dropped.
    pub(super) undecodable: Arc<AtomicBool>,
    sink: AppSink,
    events: Receiver<TrackEvent>,
    /// Stops the graph's threads when dropped.
    pub(super) pipeline: RunningPipeline,
}

/// Why no track can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoTrack {
    /// The file has no sound.
    Absent,
    /// The sound, with this codec, cannot be read.
    Unreadable(Option<String>, String),
}

/// What the graph's threads report.
enum TrackEvent {
    /// The track was found and linked.
    Linked(AppSink, &'static Codec),
    /// There is no further track, or no further data.
    Ended,
    /// A limit is exceeded, or an element failed.
    Failed(String),
}

/// What the graph has found so far.
#[derive(Default)]
struct Discovery {
    /// The codec of the track, or of the first unsupported one.
    codec: Option<String>,
    has_track: bool,
}

/// Builds the graph from its callbacks.
#[derive(Clone)]
struct GraphBuilder {
    graph: DynamicPipeline,
    container: &'static Container,
    sender: Sender<TrackEvent>,
    found: Arc<Mutex<Discovery>>,
    undecodable: Arc<AtomicBool>,
}

impl Track {
    /// Finds the first track that can be read.
    pub(super) fn open(
        video: Arc<CorrectedFile>,
        container: &'static Container,
    ) -> Result<Self, NoTrack> {
        let demuxer = container.demuxer.ok_or(NoTrack::Absent)?;
        let pipeline = RunningPipeline(gst::Pipeline::new());
        let (sender, events) = channel();
        let builder = GraphBuilder {
            graph: DynamicPipeline::new(&pipeline.0),
            container,
            sender,
            found: Arc::default(),
            undecodable: Arc::default(),
        };
        let (found, undecodable) = (Arc::clone(&builder.found), Arc::clone(&builder.undecodable));
        builder
            .start(&pipeline.0, video, demuxer)
            .map_err(|error| NoTrack::Unreadable(None, error.to_string()))?;
        match events.recv_timeout(TIMEOUT) {
            Ok(TrackEvent::Linked(sink, codec)) => {
                Ok(Self { codec, error: None, undecodable, sink, events, pipeline })
            }
            Ok(TrackEvent::Ended) => {
                Err(found.lock().expect("no holder panics").no_track("its track is empty"))
            }
            Ok(TrackEvent::Failed(cause)) => {
                Err(found.lock().expect("no holder panics").no_track(&cause))
            }
            Err(_) => Err(NoTrack::Unreadable(None, "no track is found in the container".into())),
        }
    }

    /// The next packet; none at the end or after an error.
    pub(super) fn next(&mut self) -> Option<gst::Sample> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(sample) = self.sink.try_pull_sample(POLL_INTERVAL) {
                return Some(sample);
            }
            let is_over = self.sink.is_eos();
            match self.events.try_recv() {
                Ok(TrackEvent::Failed(cause)) => {
                    self.error.get_or_insert(cause);
                    return None;
                }
                Ok(_) => {}
                Err(_) if is_over => return None,
                Err(_) if Instant::now() > deadline => {
                    self.error.get_or_insert("no packet is received".into());
                    return None;
                }
                Err(_) => {}
            }
        }
    }
}

impl Discovery {
    fn no_track(&self, cause: &str) -> NoTrack {
        match &self.codec {
            None => NoTrack::Absent,
            Some(codec) if self.has_track => NoTrack::Unreadable(Some(codec.clone()), cause.into()),
            Some(codec) => {
                NoTrack::Unreadable(Some(codec.clone()), format!("no decoder for {codec}"))
            }
        }
    }
}

impl GraphBuilder {
    fn start(
        self,
        pipeline: &gst::Pipeline,
        video: Arc<CorrectedFile>,
        demuxer: &'static str,
    ) -> Result<(), VideoError> {
        let sender = self.sender.clone();
        let bus = pipeline.bus().expect("a pipeline has a bus");
        bus.set_sync_handler(move |_, message| {
            // The receiver is gone when the sound is being dropped.
            let _ = match message.view() {
                gst::MessageView::Error(error) => {
                    sender.send(TrackEvent::Failed(format!("it cannot be read: {}", error.error())))
                }
                gst::MessageView::Eos(_) => sender.send(TrackEvent::Ended),
                _ => Ok(()),
            };
            gst::BusSyncReply::Drop
        });
        let mut chain = vec![reader(video)?.upcast()];
        if self.container.read_mode == ReadMode::Sequential {
            let queue = element("queue")?;
            queue.set_property("max-size-buffers", 2_u32);
            chain.push(queue);
        }
        let demuxer = element(demuxer)?;
        chain.push(demuxer.clone());
        if self.container.origin == TimeOrigin::Zero {
            let (sender, found) = (self.sender.clone(), Arc::clone(&self.found));
            demuxer.connect_no_more_pads(move |_| {
                if !found.lock().expect("no holder panics").has_track {
                    let _ = sender.send(TrackEvent::Ended);
                }
            });
        }
        let dynamic = self.graph.clone();
        demuxer.connect_pad_added(move |_, pad| {
            if let Err(error) = self.add_track(pad) {
                let _ = self.sender.send(TrackEvent::Failed(error.to_string()));
            }
        });
        pipeline.add_many(&chain).map_err(graph_error("add its demuxer"))?;
        gst::Element::link_many(&chain).map_err(graph_error("link its demuxer"))?;
        dynamic.start()
    }

    fn add_track(&self, pad: &gst::Pad) -> Result<(), VideoError> {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let mut found = self.found.lock().expect("no holder panics");
        let is_needed = formats::is_sound_track(&caps) && !found.has_track;
        let codec = formats::codec_of(&caps).filter(|_| is_needed);
        if is_needed {
            let name = caps.structure(0).map_or("unknown", |track| track.name().as_str());
            let name = codec.map_or(name, |codec| codec.name);
            // The first one, unless a later one is supported.
            if found.codec.is_none() || codec.is_some() {
                found.codec = Some(name.into());
            }
            found.has_track = codec.is_some();
        }
        drop(found);
        match codec {
            Some(codec) => self.add_parser(pad, codec),
            // These demuxers find tracks while reading, and stop at an unlinked pad.
            None if self.container.origin == TimeOrigin::FirstFrame => self.discard(pad),
            None => Ok(()),
        }
    }

    /// Adds the elements before the decoder. The codec is known only with the first parsed packet:
    /// containers do not distinguish the layers of MPEG audio.
    fn add_parser(&self, pad: &gst::Pad, codec: &'static Codec) -> Result<(), VideoError> {
        let filter = element("capsfilter")?;
        if !codec.framed.is_empty() {
            filter.set_property_from_str("caps", codec.framed);
        }
        let parsed = source_pad(&filter);
        guard::watch(&parsed, &self.sender, |info| limits::exceeded(info).map(TrackEvent::Failed));
        let builder = self.clone();
        let mask = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        parsed.add_probe(mask, move |pad, info| match builder.add_decoder(pad) {
            Ok(()) => gst::PadProbeReturn::Remove,
            Err(error) => {
                let _ = builder.sender.send(TrackEvent::Failed(error.to_string()));
                guard::stop(info)
            }
        });
        let sender = self.sender.clone();
        parsed.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
                let _ = sender.send(TrackEvent::Ended);
            }
            gst::PadProbeReturn::Ok
        });
        let mut chain: Vec<_> = codec.parser.map(element).transpose()?.into_iter().collect();
        chain.push(filter);
        self.add_chain(&chain)?;
        pad.link(&sink_pad(&chain[0])).map(drop).map_err(graph_error("link its track"))
    }

    /// Adds the decoder and the elements after it.
    fn add_decoder(&self, parsed: &gst::Pad) -> Result<(), VideoError> {
        let caps =
            parsed.current_caps().ok_or("it has no caps").map_err(graph_error("read sound"))?;
        if let Some(limit) = limits::exceeded_by(&caps) {
            return Err(graph_error("take sound")(limit));
        }
        let codec = formats::codec_of(&caps);
        let codec =
            codec.ok_or_else(|| graph_error("take sound")(format!("no decoder for {caps}")))?;
        let sink = AppSink::builder().max_buffers(QUEUE_MAX).drop(false).sync(false).async_(false);
        let sink = sink.enable_last_sample(false).build();
        let decoder = element(codec.decoder)?;
        guard::watch(&source_pad(&decoder), &self.sender, |info| {
            limits::exceeded(info).map(TrackEvent::Failed)
        });
        let entry = match codec.handling {
            Handling::Copy => {
                let tee = element("tee")?;
                self.add_chain(&[decoder.clone(), discarding_sink()?])?;
                self.add_chain(&[sink.clone().upcast()])?;
                self.add_chain(std::slice::from_ref(&tee))?;
                // The decoder gets each packet first.
                for next in [&decoder, sink.upcast_ref()] {
                    tee.link(next).map_err(graph_error("link its copies"))?;
                }
                self.drop_undecodable(&source_pad(&decoder), &sink_pad(sink.upcast_ref()));
                tee
            }
            Handling::Encode => {
                let filter = element("capsfilter")?;
                filter.set_property_from_str("caps", ENCODER_INPUT);
                let (convert, resample) = (element("audioconvert")?, element("audioresample")?);
                let encoder = element(ENCODER)?;
                let sink = sink.clone().upcast();
                self.add_chain(&[decoder.clone(), convert, resample, filter, encoder, sink])?;
                decoder
            }
        };
        parsed.link(&sink_pad(&entry)).map_err(graph_error("link its decoder"))?;
        let _ = self.sender.send(TrackEvent::Linked(sink, codec));
        Ok(())
    }

    /// Adds and links a chain of elements, and starts the last one first.
    fn add_chain(&self, chain: &[gst::Element]) -> Result<(), VideoError> {
        self.graph.add(chain)?;
        gst::Element::link_many(chain).map_err(graph_error("link its decoder"))?;
        let mut backwards = chain.iter().rev();
        backwards.try_for_each(gst::Element::sync_state_with_parent).map_err(graph_error("start"))
    }

    fn discard(&self, pad: &gst::Pad) -> Result<(), VideoError> {
        let sink = discarding_sink()?;
        self.add_chain(std::slice::from_ref(&sink))?;
        pad.link(&sink_pad(&sink)).map(drop).map_err(graph_error("link its track"))
    }

    /// Drops packets for which the decoder produces no output, since players may fail at them. Keeps
    /// packets before the start of the segment, for which the decoder never produces output. Where the
    /// container states no duration of a packet, as FLV, that of the output is set.
    fn drop_undecodable(&self, decoded: &gst::Pad, packets: &gst::Pad) {
        let decoded_ns = Arc::new(AtomicU64::new(0));
        let output = Arc::clone(&decoded_ns);
        decoded.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let duration = info.buffer().and_then(|it| it.duration()).unwrap_or_default();
            output.fetch_add(duration.nseconds().max(1), Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        let undecodable = Arc::clone(&self.undecodable);
        let is_first = AtomicBool::new(true);
        packets.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let is_first = is_first.swap(false, Ordering::Relaxed);
            let decoded_ns = decoded_ns.swap(0, Ordering::Relaxed);
            let Some(packet) = info.buffer_mut() else { return gst::PadProbeReturn::Ok };
            if decoded_ns > 0 {
                if packet.duration().is_none() {
                    packet.make_mut().set_duration(gst::ClockTime::from_nseconds(decoded_ns));
                }
                return gst::PadProbeReturn::Ok;
            }
            if is_early(pad, packet) {
                return gst::PadProbeReturn::Ok;
            }
            // Some encoders begin with an empty packet; dropping it loses nothing.
            undecodable.fetch_or(!is_first, Ordering::Relaxed);
            guard::drop_data(info)
        });
    }
}

/// Whether a buffer is before the presented part of the track.
fn is_early(pad: &gst::Pad, buffer: &gst::BufferRef) -> bool {
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let start = segment.and_then(|event| {
        event.segment().downcast_ref::<gst::ClockTime>().and_then(|segment| segment.start())
    });
    buffer.pts().zip(start).is_some_and(|(time, start)| time < start)
}

fn discarding_sink() -> Result<gst::Element, VideoError> {
    let sink = element("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    Ok(sink)
}

fn source_pad(element: &gst::Element) -> gst::Pad {
    element.static_pad("src").expect("filters and decoders have a src pad")
}

fn sink_pad(element: &gst::Element) -> gst::Pad {
    element.static_pad("sink").expect("all but sources have a sink pad")
}
