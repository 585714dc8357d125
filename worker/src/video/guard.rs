//! Pad probes that check data against the limits and stop the flow permanently. Installed by
//! `source` before a decoder exists and by `decode` after the decoder, so that a stream that exceeds
//! a limit later is stopped as well; and by `sound`.

use super::events::GraphEvent;
use super::picture_header::{self, ReadHeader};
use super::probe::{TrackFormat, check_size};
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_video::VideoInfo;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// The same for a codec whose pictures state their size: caps may lack it.
pub(super) fn caps_with_size(pad: &gst::Pad, limits: &MediaLimits, events: &Sender<GraphEvent>) {
    let limits = *limits;
    watch(pad, events, move |info| match info.event()?.view() {
        gst::EventView::Caps(caps) if caps.caps().structure(0)?.has_field("width") => {
            TrackFormat::of(caps.caps(), &limits).err().map(GraphEvent::Rejected)
        }
        _ => None,
    });
}

/// Stops the flow when a picture states a size over a limit.
pub(super) fn picture_size(
    pad: &gst::Pad,
    read: ReadHeader,
    limits: &MediaLimits,
    events: &Sender<GraphEvent>,
) {
    let limits = *limits;
    watch(pad, events, move |info| {
        let header = picture_header::of_buffer(read, info.buffer()?)?;
        check_size(header.width, header.height, &limits).err().map(GraphEvent::Rejected)
    });
}

/// Stops the flow at a frame with fewer bytes than its caps require.
pub(super) fn frame_bytes(pad: &gst::Pad, events: &Sender<GraphEvent>) {
    let required = AtomicUsize::new(0);
    watch(pad, events, move |info| {
        if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) {
            let bytes = VideoInfo::from_caps(caps.caps()).map_or(0, |info| info.size());
            required.store(bytes, Ordering::Relaxed);
        }
        let is_short = info.buffer()?.size() < required.load(Ordering::Relaxed);
        let cause = || glib::Error::new(gst::StreamError::Decode, "a frame is too short");
        is_short.then(|| GraphEvent::Failed(cause()))
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
