//! The element through which the frames of a file enter a graph. Called by `source`.

use super::{Frame, Frames};
use crate::video::error::VideoError;
use crate::video::graph::graph_error;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};

/// Adds the element to a graph that has not been started; returns its pad. A frame is read when the
/// graph has no other.
pub(in crate::video) fn add_reader(
    pipeline: &gst::Pipeline,
    caps: &gst::Caps,
    mut frames: Box<dyn Frames>,
) -> Result<gst::Pad, VideoError> {
    let push_next = move |source: &AppSrc, _| {
        // An error means that the graph is being stopped.
        let _ = match frames.next() {
            Ok(Some(frame)) => source.push_buffer(buffer(frame)),
            Ok(None) => source.end_of_stream(),
            Err(cause) => {
                gst::element_error!(source, gst::StreamError::Decode, ("{cause}"));
                source.end_of_stream()
            }
        };
    };
    let source = AppSrc::builder()
        .caps(caps)
        .format(gst::Format::Time)
        .callbacks(AppSrcCallbacks::builder().need_data(push_next).build())
        .build();
    pipeline.add(&source).map_err(graph_error("add its reader"))?;
    Ok(source.static_pad("src").expect("sources have a src pad"))
}

fn buffer(Frame { bytes, time }: Frame) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let stamp = gst::ClockTime::try_from(time).ok();
    buffer.get_mut().expect("a new buffer has one owner").set_pts(stamp);
    buffer
}
