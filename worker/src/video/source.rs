//! The first half of the decoding graph, up to a closed gate: finds the container, plugs its
//! demuxer, and the parser of its first readable video track. Called by `decode`.
//!
//! ```text
//! reader ! typefind ! [queue] ! <demuxer> ! [<parser>] ! capsfilter |gate
//!                                   `-- other tracks: left unlinked, so their data is dropped
//! ```
//!
//! Everything here runs before a decoder exists.

use super::colour;
use super::error::VideoError;
use super::formats::{self, Codec, Container, Reading};
use super::graph::{Growing, Running, element, graph};
use super::guard;
use super::index;
use super::orient::Turns;
use super::reader::reader;
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest silence while the container is read. The supervisor's own deadline is shorter as a
/// rule; this one only makes every wait end.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the graph's own threads tell.
pub(super) enum Note {
    /// The first parsed buffer of the video track waits.
    Gate(Gate),
    /// A limit is broken, or there is nothing to decode.
    Refused(VideoError),
    /// An element failed.
    Failed(glib::Error),
    /// The data has ended at this pad.
    Ended(gst::Pad),
}

/// Where the video track waits to be decoded.
pub(super) struct Gate {
    /// Pad that gives parsed data.
    pub(super) pad: gst::Pad,
    /// How it is coded.
    pub(super) codec: &'static Codec,
    /// What it is in.
    pub(super) container: &'static Container,
    /// What the container says of it.
    pub(super) stated: gst::Caps,
    /// When its first data is shown, on the container's clock.
    pub(super) start: Duration,
    probe: gst::PadProbeId,
}

impl Gate {
    /// Lets the data flow.
    pub(super) fn open(self) {
        self.pad.remove_probe(self.probe);
    }
}

/// A running graph up to its gate.
pub(super) struct Source {
    /// Holds the elements; stops them when dropped.
    pub(super) pipeline: Running,
    /// What its threads tell.
    pub(super) notes: Receiver<Note>,
    /// The way for its threads to take more elements in.
    pub(super) growing: Growing,
    /// The way for further guards to tell.
    pub(super) tell: Sender<Note>,
    /// How the tracks of an MP4 are to be turned.
    pub(super) turns: Turns,
    found: Arc<Mutex<Found>>,
    has_index: bool,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    container: Option<&'static Container>,
    tracks: u32,
    unsupported: Option<String>,
    chosen: bool,
    data: bool,
}

/// What the callbacks of the graph share.
#[derive(Clone)]
struct Plug {
    graph: Growing,
    limits: MediaLimits,
    tell: Sender<Note>,
    found: Arc<Mutex<Found>>,
    /// Whether the container says which part of the media is shown.
    has_edits: bool,
}

impl Source {
    /// Starts reading.
    pub(super) fn start(video: Arc<File>, limits: &MediaLimits) -> Result<Self, VideoError> {
        let pipeline = Running(gst::Pipeline::new());
        let (tell, notes) = channel();
        let (found, growing) = (Arc::default(), Growing::new(&pipeline.0));
        let plug = Plug {
            graph: growing.clone(),
            limits: *limits,
            tell: tell.clone(),
            found: Arc::clone(&found),
            has_edits: index::has_edits(&video).map_err(VideoError::Read)?,
        };
        forward_errors(&pipeline.0, &tell);
        let has_index = index::is_there(&video).map_err(VideoError::Read)?;
        if index::is_lost(&video).map_err(VideoError::Read)? {
            return Err(VideoError::Damaged("fragments without an index".into()));
        }
        let turns = Turns::of(&video).map_err(VideoError::Read)?;
        let reader = reader(video)?.upcast();
        let finder = element("typefind")?;
        finder.connect("have-type", false, move |values| {
            let finder = values[0].get::<gst::Element>().expect("signal have-type");
            let caps = values[2].get::<gst::Caps>().expect("signal have-type");
            plug.report(plug.plug_container(&finder, &caps));
            None
        });
        pipeline.0.add_many([&reader, &finder]).map_err(graph("take its reader"))?;
        reader.link(&finder).map_err(graph("link its reader"))?;
        growing.start()?;
        Ok(Self { pipeline, notes, growing, tell, turns, found, has_index })
    }

    /// Waits until the first data of the video track is there.
    pub(super) fn gate(&self) -> Result<Gate, VideoError> {
        match self.notes.recv_timeout(PATIENCE) {
            Ok(Note::Gate(gate)) => Ok(gate),
            Ok(Note::Refused(error)) => Err(error),
            Ok(Note::Failed(cause)) => Err(self.translate(&cause)),
            Ok(Note::Ended(pad)) => Err(self.nothing(&pad)),
            Err(_) => Err(VideoError::Damaged("the container leads nowhere".into())),
        }
    }

    fn translate(&self, cause: &glib::Error) -> VideoError {
        let found = self.found.lock().expect("no holder panics");
        let has_no_type = cause.matches(gst::StreamError::TypeNotFound)
            || cause.matches(gst::StreamError::WrongType);
        match &*found {
            Found { container: None, .. } if has_no_type => {
                VideoError::NotAVideo("no container is recognised".into())
            }
            Found { chosen: false, tracks: 1.., .. } => missing(&found),
            // The demuxer passes over a track without a frame and then finds no track at all.
            Found { tracks: 0, .. } if self.has_index => VideoError::NoFrames,
            _ if cause.matches(gst::ResourceError::Read) => {
                VideoError::Read(std::io::Error::other(cause.to_string()))
            }
            _ => VideoError::Damaged(cause.to_string()),
        }
    }

    /// The error for a track that ended before a whole frame was there.
    fn nothing(&self, pad: &gst::Pad) -> VideoError {
        let stated = pad.query_duration::<gst::ClockTime>().unwrap_or_default();
        let has_data = self.found.lock().expect("no holder panics").data;
        if has_data || !stated.is_zero() {
            return VideoError::Damaged("no whole frame in the track".into());
        }
        VideoError::NoFrames
    }
}

/// Has everything shown that passes this pad. Where nothing else tells how much of the media is
/// shown, demuxers stop at the stated duration, but reordered frames of fragments end later.
fn never_stop(track: &gst::Pad) {
    track.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(gst::EventView::Segment(event)) = info.event().map(|event| event.view())
            && let Some(segment) = event.segment().downcast_ref::<gst::ClockTime>()
        {
            let mut segment = segment.clone();
            segment.set_stop(gst::ClockTime::NONE);
            let endless = gst::event::Segment::builder(&segment).seqnum(event.seqnum()).build();
            info.data = Some(gst::PadProbeData::Event(endless));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Takes the container's word of limited range out of the caps that pass this pad. QuickTime's
/// colour box has no word for range, the demuxer takes that for limited, and the parser would
/// believe it rather than the stream.
fn leave_range_to_stream(track: &gst::Pad) {
    track.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view())
            && !colour::is_full_range(event.caps())
        {
            let mut caps = event.caps_owned();
            caps.make_mut().iter_mut().for_each(|track| track.remove_field("colorimetry"));
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

/// When a buffer that passes this pad is shown, on the container's clock.
fn shown(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<Duration> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_stream_time(buffer.pts()?).map(Duration::from)
}

/// The error for a container whose tracks hold nothing to decode.
fn missing(found: &Found) -> VideoError {
    match &found.unsupported {
        Some(codec) => VideoError::UnsupportedCodec(codec.clone()),
        None => VideoError::NoVideoTrack(found.container.map_or("a file", |c| c.media_type).into()),
    }
}

fn forward_errors(pipeline: &gst::Pipeline, tell: &Sender<Note>) {
    let tell = tell.clone();
    let bus = pipeline.bus().expect("a pipeline has a bus");
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            // Nobody listens any more when the decoder is being dropped.
            let _ = tell.send(Note::Failed(error.error()));
        }
        gst::BusSyncReply::Drop
    });
}

impl Plug {
    fn report(&self, result: Result<(), VideoError>) {
        if let Err(error) = result {
            let _ = self.tell.send(Note::Refused(error));
        }
    }

    fn plug_container(&self, finder: &gst::Element, caps: &gst::Caps) -> Result<(), VideoError> {
        let container =
            formats::container_of(caps).ok_or_else(|| VideoError::NotAVideo(caps.to_string()))?;
        self.found.lock().expect("no holder panics").container = Some(container);
        let demuxer = element(container.demuxer)?;
        let plug = self.clone();
        demuxer.connect_pad_added(move |_, pad| plug.report(plug.plug_track(pad)));
        let plug = self.clone();
        demuxer.connect_no_more_pads(move |_| {
            let found = plug.found.lock().expect("no holder panics");
            if !found.chosen {
                plug.report(Err(missing(&found)));
            }
        });
        self.graph.add([&demuxer])?;
        if container.reading == Reading::Forwards {
            // Nothing behind a queue can ask for another part of the file.
            let queue = element("queue")?;
            queue.set_property("max-size-buffers", 2_u32);
            self.graph.add([&queue])?;
            gst::Element::link_many([finder, &queue, &demuxer])
                .map_err(graph("link its demuxer"))?;
            demuxer.sync_state_with_parent().map_err(graph("start its demuxer"))?;
            return queue.sync_state_with_parent().map_err(graph("start its queue"));
        }
        finder.link(&demuxer).map_err(graph("link its demuxer"))?;
        // Last of all: once it reads, the video may be refused and all of this be stopped.
        demuxer.sync_state_with_parent().map_err(graph("start its demuxer"))
    }

    fn plug_track(&self, track: &gst::Pad) -> Result<(), VideoError> {
        let caps = track.current_caps().unwrap_or_else(|| track.query_caps(None));
        let container = {
            let mut found = self.found.lock().expect("no holder panics");
            found.tracks += 1;
            if found.chosen || !formats::is_picture_track(&caps) {
                return Ok(());
            }
            if formats::codec_of(&caps).is_none() {
                let name = caps.structure(0).map_or("unknown", |track| track.name().as_str());
                found.unsupported.get_or_insert_with(|| name.into());
                return Ok(());
            }
            found.chosen = true;
            found.container.expect("tracks come from a container")
        };
        let codec = formats::codec_of(&caps).expect("found above");
        let filter = element("capsfilter")?;
        let wanted = if codec.parser.is_some() { codec.framed } else { codec.caps };
        filter.set_property_from_str("caps", wanted);
        let gate = filter.static_pad("src").expect("a capsfilter has a src pad");
        self.guard_track(track);
        if !self.has_edits {
            never_stop(track);
        }
        if ["video/x-h264", "video/x-h265"].contains(&codec.caps) {
            leave_range_to_stream(track);
        }
        self.close(&gate, codec, container, caps);
        guard::caps(&gate, &self.limits, &self.tell);
        if codec.decoder == "avdec_vp8" {
            guard::vp8(&gate, &self.limits, &self.tell);
        }
        self.graph.add([&filter])?;
        let mut head = filter.clone();
        if let Some(parser) = codec.parser {
            head = element(parser)?;
            self.graph.add([&head])?;
            head.link(&filter).map_err(graph("link its parser"))?;
        }
        filter.sync_state_with_parent().map_err(graph("start its filter"))?;
        head.sync_state_with_parent().map_err(graph("start its parser"))?;
        let sink = head.static_pad("sink").expect("parsers and filters have a sink pad");
        track.link(&sink).map(drop).map_err(graph("link its track"))
    }

    /// Notes whether the track has any data, and when it ends.
    fn guard_track(&self, track: &gst::Pad) {
        let found = Arc::clone(&self.found);
        track.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            found.lock().expect("no holder panics").data = true;
            gst::PadProbeReturn::Remove
        });
    }

    /// Holds the first buffer back and tells of it.
    fn close(
        &self,
        gate: &gst::Pad,
        codec: &'static Codec,
        container: &'static Container,
        stated: gst::Caps,
    ) {
        let tell = self.tell.clone();
        let mask = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        gate.add_probe(mask, move |pad, info| {
            if let Some(probe) = info.id.take() {
                let start = info.buffer().and_then(|buffer| shown(pad, buffer)).unwrap_or_default();
                let (pad, stated) = (pad.clone(), stated.clone());
                let _ = tell.send(Note::Gate(Gate { pad, codec, container, stated, start, probe }));
            }
            gst::PadProbeReturn::Ok
        });
        let tell = self.tell.clone();
        gate.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
                let _ = tell.send(Note::Ended(pad.clone()));
            }
            gst::PadProbeReturn::Ok
        });
    }
}
