//! Conversion of decoded pictures that cannot be read directly: interlaced ones, other pixel formats
//! and sizes. Called by `decode`.
//!
//! Most videos never need the elements here, and creating them takes longer than decoding the first
//! picture. They are added when the stream first needs them, and stay.

use super::colour;
use super::dynamic_range::DynamicRange;
use super::error::VideoError;
use super::events::GraphEvent;
use super::graph::{DynamicPipeline, element, graph_error};
use super::guard;
use super::probe::TrackFormat;
use super::read_frame;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

/// Links a decoder to the pad that receives its pictures. Adds a converter once the decoder's caps
/// are not progressive, or of another pixel format or size. The result is set once the size of the
/// pictures has changed.
pub(super) fn link(
    decoded: &gst::Pad,
    next: gst::Pad,
    (format, range): (TrackFormat, DynamicRange),
    (dynamic, events): (DynamicPipeline, &Sender<GraphEvent>),
) -> Result<Arc<AtomicBool>, VideoError> {
    decoded.link(&next).map_err(graph_error("link its decoder"))?;
    let direct_caps = direct_caps(&format, range);
    let (source, is_converting) = (decoded.downgrade(), AtomicBool::new(false));
    let (first_size, has_other_size) = (OnceLock::new(), Arc::new(AtomicBool::new(false)));
    let size_changed = Arc::clone(&has_other_size);
    guard::watch(decoded, events, move |info| {
        let gst::EventView::Caps(event) = info.event()?.view() else { return None };
        let size = size(event.caps());
        if *first_size.get_or_init(|| size) != size {
            has_other_size.store(true, Ordering::Relaxed);
        }
        let is_direct = is_progressive(event.caps()) && event.caps().is_subset(&direct_caps);
        if is_direct || is_converting.swap(true, Ordering::Relaxed) {
            return None;
        }
        // This event and all data after it pass through the new elements.
        let requested = requested_of(event.caps(), &direct_caps);
        insert(&source.upgrade()?, &next, &requested, &dynamic).err().map(GraphEvent::Rejected)
    });
    Ok(size_changed)
}

fn size(caps: &gst::CapsRef) -> Option<[i32; 2]> {
    let pictures = caps.structure(0)?;
    Some([pictures.get("width").ok()?, pictures.get("height").ok()?])
}

/// Caps of pictures that are read directly.
fn direct_caps(format: &TrackFormat, range: DynamicRange) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", gst::List::new(read_frame::formats(range)))
        .field("width", format.width as i32)
        .field("height", format.height as i32)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build()
}

/// What decoded pictures are converted to. The converter would choose the matrix for RGB by the size
/// of the picture.
fn requested_of(decoded: &gst::CapsRef, direct_caps: &gst::Caps) -> gst::Caps {
    let mut requested = direct_caps.clone();
    if colour::is_rgb(decoded) {
        requested.make_mut().set("colorimetry", colour::RGB_AS_SAMPLES);
    }
    requested
}

fn is_progressive(caps: &gst::CapsRef) -> bool {
    let mode = caps.structure(0).and_then(|pictures| pictures.get::<&str>("interlace-mode").ok());
    mode == Some("progressive")
}

fn insert(
    decoded: &gst::Pad,
    next: &gst::Pad,
    direct_caps: &gst::Caps,
    dynamic: &DynamicPipeline,
) -> Result<(), VideoError> {
    let deinterlace = element("deinterlace")?;
    deinterlace.set_property_from_str("mode", "auto");
    deinterlace.set_property_from_str("fields", "top");
    deinterlace.set_property_from_str("method", "linear");
    let convert = element("videoconvertscale")?;
    convert.set_property("n-threads", 1_u32);
    let filter = element("capsfilter")?;
    filter.set_property("caps", direct_caps);
    let chain = [deinterlace, convert, filter];
    dynamic.add(&chain)?;
    gst::Element::link_many(&chain).map_err(graph_error("link its converter"))?;
    decoded.unlink(next).map_err(graph_error("unlink its decoder"))?;
    let [first, .., last] = &chain;
    let entry = first.static_pad("sink").expect("deinterlace has a sink pad");
    let exit = last.static_pad("src").expect("a capsfilter has a src pad");
    exit.link(next).map_err(graph_error("link its converter"))?;
    for element in chain.iter().rev() {
        element.sync_state_with_parent().map_err(graph_error("start its converter"))?;
    }
    decoded.link(&entry).map(drop).map_err(graph_error("link its converter"))
}
