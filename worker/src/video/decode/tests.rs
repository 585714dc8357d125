//! Decoded pictures reach the sink without being copied or converted.

use super::*;
use crate::video::SyntheticClip;
use std::collections::BTreeMap;
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
