//! The source element of a decoding graph: random access to a file by descriptor. Called by `source`
//! and `sound`; each has its own position.
//!
//! GStreamer's own `fdsrc` is not seekable: with it the MP4 demuxer ignores edit lists and loses
//! frames, and the others find no duration.

use super::corrected_file::CorrectedFile;
use super::error::VideoError;
use gstreamer as gst;
use gstreamer_app::{AppSrc, AppSrcCallbacks, AppStreamType};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes per read when the element requests no specific number.
const CHUNK_BYTES: u64 = 64 * 1024;

/// An element that produces the bytes of the file.
pub(super) fn reader(video: Arc<CorrectedFile>) -> Result<AppSrc, VideoError> {
    let size = video.size().map_err(VideoError::Read)?;
    if size == 0 {
        return Err(VideoError::Empty);
    }
    let position = Arc::new(AtomicU64::new(0));
    let sought = Arc::clone(&position);
    let callbacks = AppSrcCallbacks::builder()
        .seek_data(move |_, offset| {
            sought.store(offset, Ordering::Relaxed);
            true
        })
        .need_data(move |source, requested| {
            let offset = position.load(Ordering::Relaxed);
            let requested = if requested == u32::MAX { CHUNK_BYTES } else { requested.into() };
            // The request may come from a length in the file, which is not trustworthy.
            let bytes = requested.min(size.saturating_sub(offset));
            position.store(offset + push_part(source, &video, offset, bytes), Ordering::Relaxed);
        });
    Ok(AppSrc::builder()
        .stream_type(AppStreamType::RandomAccess)
        .format(gst::Format::Bytes)
        .size(i64::try_from(size).unwrap_or(i64::MAX))
        .callbacks(callbacks.build())
        .build())
}

/// Reads one part and pushes it; returns its length.
fn push_part(source: &AppSrc, video: &CorrectedFile, offset: u64, bytes: u64) -> u64 {
    let mut part = vec![0; bytes as usize];
    let read = match video.read_at(&mut part, offset) {
        Ok(read) => read,
        Err(cause) => {
            gst::element_error!(source, gst::ResourceError::Read, ("{cause}"));
            0
        }
    };
    part.truncate(read);
    let mut buffer = gst::Buffer::from_mut_slice(part);
    // The transport stream demuxer needs it.
    buffer.get_mut().expect("a new buffer has one owner").set_offset(offset);
    // An error means that the graph is being stopped.
    let _ = if read == 0 { source.end_of_stream() } else { source.push_buffer(buffer) };
    read as u64
}
