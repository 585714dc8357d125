//! Decoded pictures reach the sink without being copied or converted.

use super::*;
use crate::video::SyntheticClip;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;

const SIZE: [u32; 2] = [320, 240];
const FRAMES: u32 = 30;
const LIMITS: MediaLimits = MediaLimits {
    duration_ms_max: 10_000,
    on_long: OnLong::Trim,
    side_px_max: 1920,
    area_px_max: 1920 * 1080,
    frame_rate_max: 60,
};

/// A second of progressive H.264 with square pixels.
fn plain() -> OwnedFd {
    crate::video::init().expect("GStreamer initialises");
    let file = tempfile::tempfile().expect("a temporary file");
    let out = file.try_clone().expect("a second handle");
    let clip = SyntheticClip { size: SIZE, frame_rate: FRAMES, frames: FRAMES };
    clip.write(out.into(), |picture, frame| picture.fill([frame as u8 * 8; 3]))
        .expect("the clip is encoded");
    file.into()
}

/// Address of a buffer's samples.
fn address(buffer: &gst::BufferRef) -> usize {
    buffer.peek_memory(0).as_ptr() as usize
}

#[test]
fn plain_pictures_are_neither_copied_nor_converted() {
    let (mut decoder, _) = Decoder::open(plain(), &LIMITS).expect("a video");
    let decoded: Arc<Mutex<BTreeMap<_, _>>> = Arc::default();
    let elements = decoder.source.pipeline.0.iterate_elements().into_iter().flatten();
    let avdec = elements.into_iter().find(|one| one.name().starts_with("avdec_"));
    let pad = avdec.expect("a decoder").static_pad("src").expect("a src pad");
    let record = Arc::clone(&decoded);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer() {
            record.lock().expect("no holder panics").insert(buffer.pts(), address(buffer));
        }
        gst::PadProbeReturn::Ok
    });
    let mut unchanged = 0;
    while let Some(sample) = decoder.pull().expect("pictures") {
        decoder.time_of(&sample).expect("a time");
        let buffer = sample.buffer().expect("a buffer");
        // A few buffers pass before the probe is installed.
        if let Some(at) = decoded.lock().expect("no holder panics").get(&buffer.pts()) {
            assert_eq!(address(buffer), *at, "copied on the way from the decoder");
            unchanged += 1;
        }
        let meta = buffer.meta::<VideoMeta>().expect("video metadata");
        // The decoder's own frames have a border, a copy has none.
        assert!(meta.stride()[0] > SIZE[0] as i32, "copied by the decoder: {:?}", meta.stride());
    }
    assert!(unchanged > FRAMES / 2, "{unchanged} compared");
    let elements = decoder.source.pipeline.0.iterate_elements().into_iter().flatten();
    let names = elements.map(|one| one.name().to_string()).collect::<Vec<_>>();
    assert!(!names.iter().any(|name| name.starts_with("deinterlace")), "{names:?}");
}

#[test]
fn no_frame_reaches_the_sink_while_the_graph_is_starting() {
    crate::video::init().expect("GStreamer initialises");
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(b"YUV4MPEG2 W64 H64 F25:1 C420jpeg\nFRAME\n").expect("a header");
    file.write_all(&[128; 64 * 64 * 3 / 2]).expect("a frame");
    let video = ProbedVideo::open(file.into(), &LIMITS, Part::default()).expect("a video");
    let (graph, track) = (video.source.pipeline.0.clone(), video.track.pad.clone());
    let (arrived, early): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
    let (arrival, is_early) = (Arc::clone(&arrived), Arc::clone(&early));
    graph.connect_element_added(move |graph, element| {
        if !element.is::<AppSink>() {
            return;
        }
        let (arrival, is_early, graph) =
            (Arc::clone(&arrival), Arc::clone(&is_early), graph.downgrade());
        let entry = element.static_pad("sink").expect("a sink has a pad");
        entry.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let state = graph.upgrade().map(|graph| graph.current_state());
            is_early.fetch_or(state != Some(gst::State::Playing), Ordering::Relaxed);
            arrival.store(true, Ordering::Release);
            gst::PadProbeReturn::Ok
        });
    });
    // The start goes on once the first frame is held, or has reached the sink.
    let pipeline = graph.clone().upcast::<gst::Object>();
    let arrival = Arc::clone(&arrived);
    graph.bus().expect("a bus").set_sync_handler(move |_, message| {
        if let gst::MessageView::StateChanged(change) = message.view()
            && message.src() == Some(&pipeline)
            && change.current() == gst::State::Paused
        {
            while !track.is_blocking() && !arrival.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
        }
        gst::BusSyncReply::Drop
    });
    let mut decoder = video.decode().expect("decodes");
    assert!(decoder.next(&mut Picture::default()).expect("a frame").is_some());
    assert!(arrived.load(Ordering::Acquire) && !early.load(Ordering::Relaxed));
}
