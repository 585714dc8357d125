//! Reads one track of sound: a demuxer of its own over the same file, so that sound waits for
//! pictures and pictures for sound without either being queued, however far apart the file has
//! them. Called by `mod`; packets come out when they are asked for.
//!
//! ```text
//! reader ! [queue] ! <demuxer> ! [<parser>] ! capsfilter |limits ! ...
//!                        '-- other tracks: unlinked or to a fakesink, so their data is dropped
//! copied:   ... tee ! <decoder> ! fakesink
//!                '-- |only what was decoded ! appsink
//! encoded:  ... <decoder> |limits ! audioconvert ! audioresample ! capsfilter ! <encoder> ! appsink
//! ```

use super::formats::{self, Codec, ENCODER, Way};
use super::limits;
use crate::video::error::VideoError;
use crate::video::formats::{Container, Reading, Start};
use crate::video::graph::{Growing, Running, element, graph};
use crate::video::guard;
use crate::video::reader::reader;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Packets that wait in the graph.
const QUEUE_MAX: u32 = 2;
/// How often a wait for a packet looks for errors.
const LOOK_EVERY: gst::ClockTime = gst::ClockTime::from_mseconds(50);
/// Longest wait for one packet; sound is given up then, before the run is.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is encoded: no more channels than every device has, at a rate that AAC is at home at.
const ENCODED: &str = "audio/x-raw,channels=[1,2],rate=[8000,48000]";

/// A track being read.
pub(super) struct Track {
    /// How it is coded.
    pub(super) codec: &'static Codec,
    /// Why nothing more comes, once it is known.
    pub(super) fault: Option<String>,
    /// Packets that could not be decoded and were left out.
    pub(super) undecodable: Arc<AtomicBool>,
    sink: AppSink,
    notes: Receiver<Note>,
    /// Stops the graph's threads when dropped.
    pub(super) pipeline: Running,
}

/// Why there is nothing to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// The file has no sound.
    Silent,
    /// It has, coded so, but it cannot be read.
    Unreadable(Option<String>, String),
}

/// What the graph's own threads tell.
enum Note {
    /// The track to read was found.
    Chosen(AppSink, &'static Codec),
    /// There is no further track, or no further data.
    Over,
    /// A limit is broken, or an element failed.
    Fault(String),
}

/// What was found so far.
#[derive(Default)]
struct Found {
    /// How the track is coded that is read, or the first that cannot be.
    codec: Option<String>,
    chosen: bool,
}

/// What the callbacks of the graph share.
#[derive(Clone)]
struct Plug {
    graph: Growing,
    container: &'static Container,
    tell: Sender<Note>,
    found: Arc<Mutex<Found>>,
    undecodable: Arc<AtomicBool>,
}

impl Track {
    /// Finds the first track that can be read.
    pub(super) fn open(video: Arc<File>, container: &'static Container) -> Result<Self, Nothing> {
        let pipeline = Running(gst::Pipeline::new());
        let (tell, notes) = channel();
        let plug = Plug {
            graph: Growing::new(&pipeline.0),
            container,
            tell,
            found: Arc::default(),
            undecodable: Arc::default(),
        };
        let (found, undecodable) = (Arc::clone(&plug.found), Arc::clone(&plug.undecodable));
        plug.start(&pipeline.0, video)
            .map_err(|error| Nothing::Unreadable(None, error.to_string()))?;
        match notes.recv_timeout(PATIENCE) {
            Ok(Note::Chosen(sink, codec)) => {
                Ok(Self { codec, fault: None, undecodable, sink, notes, pipeline })
            }
            Ok(Note::Over) => {
                Err(found.lock().expect("no holder panics").nothing("its track is empty"))
            }
            Ok(Note::Fault(cause)) => Err(found.lock().expect("no holder panics").nothing(&cause)),
            Err(_) => Err(Nothing::Unreadable(None, "the container leads nowhere".into())),
        }
    }

    /// The next packet; after the last one, `fault` says whether it was the end.
    pub(super) fn next(&mut self) -> Option<gst::Sample> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(sample) = self.sink.try_pull_sample(LOOK_EVERY) {
                return Some(sample);
            }
            let is_over = self.sink.is_eos();
            match self.notes.try_recv() {
                Ok(Note::Fault(cause)) => {
                    self.fault.get_or_insert(cause);
                    return None;
                }
                Ok(_) => {}
                Err(_) if is_over => return None,
                Err(_) if Instant::now() > deadline => {
                    self.fault.get_or_insert("no packet comes".into());
                    return None;
                }
                Err(_) => {}
            }
        }
    }
}

impl Found {
    fn nothing(&self, cause: &str) -> Nothing {
        match &self.codec {
            None => Nothing::Silent,
            Some(codec) if self.chosen => Nothing::Unreadable(Some(codec.clone()), cause.into()),
            Some(codec) => {
                Nothing::Unreadable(Some(codec.clone()), format!("no decoder for {codec}"))
            }
        }
    }
}

impl Plug {
    fn start(self, pipeline: &gst::Pipeline, video: Arc<File>) -> Result<(), VideoError> {
        let tell = self.tell.clone();
        let bus = pipeline.bus().expect("a pipeline has a bus");
        bus.set_sync_handler(move |_, message| {
            // Nobody listens any more when the sound is being dropped.
            let _ = match message.view() {
                gst::MessageView::Error(error) => {
                    tell.send(Note::Fault(format!("it cannot be read: {}", error.error())))
                }
                gst::MessageView::Eos(_) => tell.send(Note::Over),
                _ => Ok(()),
            };
            gst::BusSyncReply::Drop
        });
        let mut chain = vec![reader(video)?.upcast()];
        if self.container.reading == Reading::Forwards {
            let queue = element("queue")?;
            queue.set_property("max-size-buffers", 2_u32);
            chain.push(queue);
        }
        let demuxer = element(self.container.demuxer)?;
        chain.push(demuxer.clone());
        if self.container.start == Start::Zero {
            let (tell, found) = (self.tell.clone(), Arc::clone(&self.found));
            demuxer.connect_no_more_pads(move |_| {
                if !found.lock().expect("no holder panics").chosen {
                    let _ = tell.send(Note::Over);
                }
            });
        }
        let growing = self.graph.clone();
        demuxer.connect_pad_added(move |_, pad| {
            if let Err(error) = self.plug_track(pad) {
                let _ = self.tell.send(Note::Fault(error.to_string()));
            }
        });
        pipeline.add_many(&chain).map_err(graph("take its demuxer"))?;
        gst::Element::link_many(&chain).map_err(graph("link its demuxer"))?;
        growing.start()
    }

    fn plug_track(&self, pad: &gst::Pad) -> Result<(), VideoError> {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let mut found = self.found.lock().expect("no holder panics");
        let is_wanted = formats::is_sound_track(&caps) && !found.chosen;
        let codec = formats::codec_of(&caps).filter(|_| is_wanted);
        if is_wanted {
            let name = caps.structure(0).map_or("unknown", |track| track.name().as_str());
            let name = codec.map_or(name, |codec| codec.name);
            // The first, unless another is read.
            if found.codec.is_none() || codec.is_some() {
                found.codec = Some(name.into());
            }
            found.chosen = codec.is_some();
        }
        drop(found);
        match codec {
            Some(codec) => self.parse(pad, codec),
            // These demuxers find tracks as they go, and stop at data that nobody takes meanwhile.
            None if self.container.start == Start::FirstFrame => self.discard(pad),
            None => Ok(()),
        }
    }

    /// Plugs all that comes before the decoder. Only with the first packet is it known what it
    /// really is: containers do not tell one layer of MPEG audio from another.
    fn parse(&self, pad: &gst::Pad, codec: &'static Codec) -> Result<(), VideoError> {
        let filter = element("capsfilter")?;
        if !codec.framed.is_empty() {
            filter.set_property_from_str("caps", codec.framed);
        }
        let parsed = source_pad(&filter);
        guard::watch(&parsed, &self.tell, |info| limits::broken(info).map(Note::Fault));
        let plug = self.clone();
        let mask = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        parsed.add_probe(mask, move |pad, info| match plug.decode(pad) {
            Ok(()) => gst::PadProbeReturn::Remove,
            Err(error) => {
                let _ = plug.tell.send(Note::Fault(error.to_string()));
                guard::stop(info)
            }
        });
        let tell = self.tell.clone();
        parsed.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
                let _ = tell.send(Note::Over);
            }
            gst::PadProbeReturn::Ok
        });
        let mut chain: Vec<_> = codec.parser.map(element).transpose()?.into_iter().collect();
        chain.push(filter);
        self.grow(&chain)?;
        pad.link(&sink_pad(&chain[0])).map(drop).map_err(graph("link its track"))
    }

    /// Plugs the decoder and what comes after it.
    fn decode(&self, parsed: &gst::Pad) -> Result<(), VideoError> {
        let caps = parsed.current_caps().ok_or("it has no form").map_err(graph("read sound"))?;
        if let Some(limit) = limits::broken_by(&caps) {
            return Err(graph("take sound")(limit));
        }
        let codec = formats::codec_of(&caps);
        let codec = codec.ok_or_else(|| graph("take sound")(format!("no decoder for {caps}")))?;
        let sink = AppSink::builder().max_buffers(QUEUE_MAX).drop(false).sync(false).async_(false);
        let sink = sink.enable_last_sample(false).build();
        let decoder = element(codec.decoder)?;
        guard::watch(&source_pad(&decoder), &self.tell, |info| {
            limits::broken(info).map(Note::Fault)
        });
        let entry = match codec.way {
            Way::Copy => {
                let tee = element("tee")?;
                self.grow(&[decoder.clone(), discarding()?])?;
                self.grow(&[sink.clone().upcast()])?;
                self.grow(std::slice::from_ref(&tee))?;
                // The decoder is the first to be given a packet.
                for next in [&decoder, sink.upcast_ref()] {
                    tee.link(next).map_err(graph("link its copies"))?;
                }
                self.pass_decoded(&source_pad(&decoder), &sink_pad(sink.upcast_ref()));
                tee
            }
            Way::Encode => {
                let filter = element("capsfilter")?;
                filter.set_property_from_str("caps", ENCODED);
                let (convert, resample) = (element("audioconvert")?, element("audioresample")?);
                let encoder = element(ENCODER)?;
                let sink = sink.clone().upcast();
                self.grow(&[decoder.clone(), convert, resample, filter, encoder, sink])?;
                decoder
            }
        };
        parsed.link(&sink_pad(&entry)).map_err(graph("link its decoder"))?;
        let _ = self.tell.send(Note::Chosen(sink, codec));
        Ok(())
    }

    /// Links a chain of elements in the running graph, last one first.
    fn grow(&self, chain: &[gst::Element]) -> Result<(), VideoError> {
        self.graph.add(chain)?;
        gst::Element::link_many(chain).map_err(graph("link its decoder"))?;
        let mut backwards = chain.iter().rev();
        backwards.try_for_each(gst::Element::sync_state_with_parent).map_err(graph("start"))
    }

    fn discard(&self, pad: &gst::Pad) -> Result<(), VideoError> {
        let nowhere = discarding()?;
        self.grow(std::slice::from_ref(&nowhere))?;
        pad.link(&sink_pad(&nowhere)).map(drop).map_err(graph("link its track"))
    }

    /// Lets through what the decoder makes sound of, so that no player fails at the rest; and what
    /// lies before the first moment that is shown, of which it gives none.
    fn pass_decoded(&self, decoded: &gst::Pad, packets: &gst::Pad) {
        let is_heard = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&is_heard);
        decoded.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            heard.store(true, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        let undecodable = Arc::clone(&self.undecodable);
        let is_first = AtomicBool::new(true);
        packets.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let is_first = is_first.swap(false, Ordering::Relaxed);
            if is_heard.swap(false, Ordering::Relaxed)
                || info.buffer().is_some_and(|b| is_early(pad, b))
            {
                return gst::PadProbeReturn::Ok;
            }
            // Some encoders begin with a packet that holds nothing; to leave it out is no loss.
            undecodable.fetch_or(!is_first, Ordering::Relaxed);
            guard::leave_out(info)
        });
    }
}

/// Whether a buffer lies before the part of the track that is shown.
fn is_early(pad: &gst::Pad, buffer: &gst::BufferRef) -> bool {
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let start = segment.and_then(|event| {
        event.segment().downcast_ref::<gst::ClockTime>().and_then(|segment| segment.start())
    });
    buffer.pts().zip(start).is_some_and(|(time, start)| time < start)
}

fn discarding() -> Result<gst::Element, VideoError> {
    let nowhere = element("fakesink")?;
    nowhere.set_property("sync", false);
    nowhere.set_property("async", false);
    Ok(nowhere)
}

fn source_pad(element: &gst::Element) -> gst::Pad {
    element.static_pad("src").expect("filters and decoders have a src pad")
}

fn sink_pad(element: &gst::Element) -> gst::Pad {
    element.static_pad("sink").expect("all but sources have a sink pad")
}
