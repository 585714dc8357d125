//! Guards at pads: they hold what passes against the limits, and stop the flow for good. Set by
//! `source` before a decoder exists and by `decode` behind it, so that a stream that grows over a
//! limit later is stopped as well; and by those who read sound.

use super::probe::{Shape, check_size};
use super::source::Note;
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

/// Stops the flow when caps break a limit.
pub(super) fn caps(pad: &gst::Pad, limits: &MediaLimits, tell: &Sender<Note>) {
    let limits = *limits;
    watch(pad, tell, move |info| match info.event()?.view() {
        gst::EventView::Caps(caps) => Shape::of(caps.caps(), &limits).err().map(Note::Refused),
        _ => None,
    });
}

/// Stops the flow when a VP8 key frame states a size over a limit (RFC 6386, section 9.1). This
/// codec has no parser, and its container may say otherwise.
pub(super) fn vp8(pad: &gst::Pad, limits: &MediaLimits, tell: &Sender<Note>) {
    let limits = *limits;
    watch(pad, tell, move |info| {
        let mut head = [0; 10];
        info.buffer()?.copy_to_slice(0, &mut head).ok()?;
        let (width, height) = vp8_size(head)?;
        check_size(width, height, &limits).err().map(Note::Refused)
    });
}

/// Stops the flow once `fault` finds one, and tells of it.
pub(super) fn watch<N, F>(pad: &gst::Pad, tell: &Sender<N>, fault: F)
where
    N: Send + 'static,
    F: Fn(&gst::PadProbeInfo<'_>) -> Option<N> + Send + Sync + 'static,
{
    let tell = tell.clone();
    let is_stopped = AtomicBool::new(false);
    let mask = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
    pad.add_probe(mask, move |_, info| {
        if let Some(note) = fault(info) {
            is_stopped.store(true, Ordering::Relaxed);
            // Nobody listens any more when the decoder is being dropped.
            let _ = tell.send(note);
        }
        if !is_stopped.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        stop(info)
    });
}

/// What a probe answers that lets nothing more pass.
pub(super) fn stop(info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    info.flow_res = Err(gst::FlowError::Error);
    gst::PadProbeReturn::Handled
}

/// What a probe answers that leaves out what passes, and goes on. Not `Drop`: the bindings free
/// what a probe drops, and GStreamer 1.22 then complains of having nothing to free.
pub(super) fn leave_out(info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    info.flow_res = Ok(gst::FlowSuccess::Ok);
    gst::PadProbeReturn::Handled
}

fn vp8_size(head: [u8; 10]) -> Option<(u32, u32)> {
    let is_key_frame = head[0] & 1 == 0 && head[3..6] == [0x9d, 0x01, 0x2a];
    let side = |at| u32::from(u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff);
    is_key_frame.then(|| (side(6), side(8)))
}
