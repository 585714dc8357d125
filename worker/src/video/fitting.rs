//! What lies between a decoder and whoever reads its pictures: nothing, as long as they can be read
//! as they come. Called by `decode`.
//!
//! Most videos never need the elements here, and making them takes longer than decoding the first
//! picture. They are taken in when the stream first needs them, and stay.

use super::VideoError;
use super::graph::{Growing, element, graph};
use super::guard;
use super::probe::Shape;
use super::read_frame;
use super::source::Note;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

/// Links a decoder to the pad that is to get its pictures; takes in what makes them progressive,
/// of a format that is read, and of this shape once the decoder's caps say that they are not.
pub(super) fn link(
    decoded: &gst::Pad,
    next: gst::Pad,
    shape: Shape,
    (growing, tell): (Growing, &Sender<Note>),
) -> Result<(), VideoError> {
    decoded.link(&next).map_err(graph("link its decoder"))?;
    let wanted = wanted(&shape);
    let (source, is_fitted) = (decoded.downgrade(), AtomicBool::new(false));
    guard::watch(decoded, tell, move |info| {
        let gst::EventView::Caps(event) = info.event()?.view() else { return None };
        let is_plain = is_progressive(event.caps()) && event.caps().is_subset(&wanted);
        if is_plain || is_fitted.swap(true, Ordering::Relaxed) {
            return None;
        }
        // The rest of the way of this event and of all that follows leads through them.
        fit(&source.upgrade()?, &next, &wanted, &growing).err().map(Note::Refused)
    });
    Ok(())
}

/// Caps of pictures that are read as they are.
fn wanted(shape: &Shape) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", gst::List::new(read_frame::formats()))
        .field("width", shape.width as i32)
        .field("height", shape.height as i32)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build()
}

fn is_progressive(caps: &gst::CapsRef) -> bool {
    let mode = caps.structure(0).and_then(|pictures| pictures.get::<&str>("interlace-mode").ok());
    mode == Some("progressive")
}

fn fit(
    decoded: &gst::Pad,
    next: &gst::Pad,
    wanted: &gst::Caps,
    growing: &Growing,
) -> Result<(), VideoError> {
    let deinterlace = element("deinterlace")?;
    deinterlace.set_property_from_str("mode", "auto");
    deinterlace.set_property_from_str("fields", "top");
    deinterlace.set_property_from_str("method", "linear");
    let convert = element("videoconvertscale")?;
    convert.set_property("n-threads", 1_u32);
    let filter = element("capsfilter")?;
    filter.set_property("caps", wanted);
    let chain = [deinterlace, convert, filter];
    growing.add(&chain)?;
    gst::Element::link_many(&chain).map_err(graph("link its converter"))?;
    decoded.unlink(next).map_err(graph("unlink its decoder"))?;
    let [first, .., last] = &chain;
    let entry = first.static_pad("sink").expect("deinterlace has a sink pad");
    let exit = last.static_pad("src").expect("a capsfilter has a src pad");
    exit.link(next).map_err(graph("link its converter"))?;
    for element in chain.iter().rev() {
        element.sync_state_with_parent().map_err(graph("start its converter"))?;
    }
    decoded.link(&entry).map(drop).map_err(graph("link its converter"))
}
