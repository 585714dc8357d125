//! Corrects what a demuxer states of a track, in the events that pass its pad. Called by `source`.

use super::colour;
use super::formats;
use super::mp4::parameter_sets;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Removes the end of the segments that pass this pad. Without an edit list, demuxers stop at the
/// stated duration, but reordered frames of fragments end later.
pub(super) fn remove_segment_end(track: &gst::Pad) {
    change_segment(track, |segment| segment.set_stop(gst::ClockTime::NONE));
}

/// Has segments begin at zero, times staying as they are. Without an edit list, the demuxer of MP4
/// begins with the first fragment, although the index before it may describe frames as well.
pub(super) fn begin_segments_at_zero(track: &gst::Pad) {
    change_segment(track, |segment| {
        if segment.start() == segment.time() {
            segment.set_start(gst::ClockTime::ZERO);
            segment.set_time(gst::ClockTime::ZERO);
            segment.set_position(gst::ClockTime::ZERO);
        }
    });
}

/// Changes the segments that pass this pad.
fn change_segment(track: &gst::Pad, change: fn(&mut gst::FormattedSegment<gst::ClockTime>)) {
    track.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Segment(event)) = info.event().map(|event| event.view())
            && let Some(segment) = event.segment().downcast_ref::<gst::ClockTime>()
        {
            let mut segment = segment.clone();
            change(&mut segment);
            let changed = gst::event::Segment::builder(&segment).seqnum(event.seqnum()).build();
            info.data = Some(gst::PadProbeData::Event(changed));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Removes limited range from the caps that pass this pad. QuickTime's colour box does not state the
/// range, the demuxer then assumes limited, and the parser would prefer that to the stream's own.
pub(super) fn use_range_of_stream(track: &gst::Pad) {
    change_caps(track, |caps| {
        if !colour::is_full_range(caps) {
            caps.make_mut().iter_mut().for_each(|track| track.remove_field("colorimetry"));
        }
    });
}

/// Names the codec in the caps that pass this pad.
pub(super) fn name_codec(track: &gst::Pad) {
    change_caps(track, |caps| {
        formats::name_codec(caps);
    });
}

/// States that units are framed by start codes. The description of the stream, which is of the other
/// framing, is removed, and its parameter sets are put in front of the first picture.
pub(super) fn state_start_codes(track: &gst::Pad) {
    let described = Arc::new(Mutex::new(Vec::new()));
    let parameters = Arc::clone(&described);
    change_caps(track, move |caps| {
        for track in caps.make_mut().iter_mut() {
            if let Ok(description) = track.get::<gst::Buffer>("codec_data")
                && let Ok(bytes) = description.map_readable()
            {
                *parameters.lock().expect("no holder panics") = parameter_sets(&bytes);
            }
            track.remove_field("codec_data");
            track.set("stream-format", "byte-stream");
            track.set("alignment", "au");
        }
    });
    track.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let sets = std::mem::take(&mut *described.lock().expect("no holder panics"));
        if let Some(buffer) = info.buffer_mut().filter(|_| !sets.is_empty()) {
            buffer.make_mut().prepend_memory(gst::Memory::from_slice(sets));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Records whether a coded picture that passes this pad has no time stamp; the parser then derives
/// one from the frame rate.
pub(super) fn record_missing_stamps(track: &gst::Pad, is_missing: &Arc<AtomicBool>) {
    let is_missing = Arc::clone(is_missing);
    track.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let has_stamp = info.buffer().is_none_or(|buffer| buffer.pts().is_some());
        is_missing.fetch_or(!has_stamp, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
}

/// Changes the caps that pass this pad.
fn change_caps(track: &gst::Pad, change: impl Fn(&mut gst::Caps) + Send + Sync + 'static) {
    track.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view()) {
            let mut caps = event.caps_owned();
            change(&mut caps);
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}
