//! Pad probes that check data against the limits and stop the flow permanently. Installed by
//! `source` before a decoder exists and by `decode` after the decoder, so that a stream that exceeds
//! a limit later is stopped as well; and by `sound`.

use super::events::GraphEvent;
use super::probe::{TrackFormat, check_size};
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

/// Stops the flow when caps exceed a limit.
pub(super) fn caps(pad: &gst::Pad, limits: &MediaLimits, events: &Sender<GraphEvent>) {
    let limits = *limits;
    watch(pad, events, move |info| match info.event()?.view() {
        gst::EventView::Caps(caps) => {
            TrackFormat::of(caps.caps(), &limits).err().map(GraphEvent::Rejected)
        }
        _ => None,
    });
}

/// Stops the flow when a VP8 key frame states a size over a limit (RFC 6386, section 9.1). This
/// codec has no parser, and its container may state another size.
pub(super) fn vp8(pad: &gst::Pad, limits: &MediaLimits, events: &Sender<GraphEvent>) {
    let limits = *limits;
    watch(pad, events, move |info| {
        let mut head = [0; 10];
        info.buffer()?.copy_to_slice(0, &mut head).ok()?;
        let (width, height) = vp8_size(head)?;
        check_size(width, height, &limits).err().map(GraphEvent::Rejected)
    });
}

/// Stops the flow once `check` returns an event, and sends the event.
pub(super) fn watch<E, F>(pad: &gst::Pad, events: &Sender<E>, check: F)
where
    E: Send + 'static,
    F: Fn(&gst::PadProbeInfo<'_>) -> Option<E> + Send + Sync + 'static,
{
    let events = events.clone();
    let is_stopped = AtomicBool::new(false);
    let mask = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
    pad.add_probe(mask, move |_, info| {
        if let Some(event) = check(info) {
            is_stopped.store(true, Ordering::Relaxed);
            // The receiver is gone when the decoder is being dropped.
            let _ = events.send(event);
        }
        if !is_stopped.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        stop(info)
    });
}

/// The return value of a probe that stops the flow.
pub(super) fn stop(info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    info.flow_res = Err(gst::FlowError::Error);
    gst::PadProbeReturn::Handled
}

/// The return value of a probe that drops the data and continues. Not `Drop`: the bindings free what
/// a probe drops, and GStreamer 1.22 then warns that there is nothing to free.
pub(super) fn drop_data(info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    info.flow_res = Ok(gst::FlowSuccess::Ok);
    gst::PadProbeReturn::Handled
}

fn vp8_size(head: [u8; 10]) -> Option<(u32, u32)> {
    let is_key_frame = head[0] & 1 == 0 && head[3..6] == [0x9d, 0x01, 0x2a];
    let side = |at| u32::from(u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff);
    is_key_frame.then(|| (side(6), side(8)))
}
