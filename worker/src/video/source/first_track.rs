//! Waits for the first data of a video track, and tells why there is none. Called by `decode`.

use super::super::discovery::Discovery;
use super::super::error::VideoError;
use super::super::events::{BlockedTrack, GraphEvent};
use super::super::formats::TimeOrigin;
use super::super::mp4::index;
use super::super::probe::check_size_min;
use super::super::stall::StallWatch;
use super::super::unsupported;
use super::Source;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// How often the wait checks for a stall.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long a demuxer may wait for data, which it only does in damaged files.
const STALL_MAX: Duration = Duration::from_secs(5);

impl Source {
    /// Waits for the first data of the video track.
    pub(in crate::video) fn wait_for_track(&self) -> Result<BlockedTrack, VideoError> {
        self.next_track().map_err(|error| {
            let found = self.found.lock().expect("no holder panics");
            let (has_track, container) = (found.has_track, found.container);
            let is_clockless = container.is_some_and(|it| it.origin == TimeOrigin::NoClock);
            if is_clockless && matches!(error, VideoError::NoFrames | VideoError::Damaged(_)) {
                return VideoError::no_picture_found();
            }
            let is_vague = matches!(error, VideoError::NoVideoTrack(_) | VideoError::Damaged(_));
            match unsupported::left_out(self.file.original()) {
                Some(codec) if is_vague && !has_track => VideoError::UnsupportedCodec(codec.into()),
                _ => error,
            }
        })
    }

    fn next_track(&self) -> Result<BlockedTrack, VideoError> {
        match self.next_event()? {
            GraphEvent::TrackReady(track) => Ok(track),
            GraphEvent::Rejected(error) => Err(error),
            GraphEvent::Failed(cause) => {
                Err(self.small_picture().unwrap_or_else(|| self.classify(&cause)))
            }
            GraphEvent::Ended(pad) => Err(self.empty_track(&pad)),
        }
    }

    fn next_event(&self) -> Result<GraphEvent, VideoError> {
        let mut watch = StallWatch::new(&self.file, STALL_MAX);
        loop {
            match self.events.recv_timeout(POLL_INTERVAL) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Timeout) if !watch.has_stalled(POLL_INTERVAL) => {}
                Err(_) => {
                    return Err(VideoError::Damaged("no track is found in the container".into()));
                }
            }
        }
    }

    fn classify(&self, cause: &glib::Error) -> VideoError {
        let found = self.found.lock().expect("no holder panics");
        let has_no_type = cause.matches(gst::StreamError::TypeNotFound)
            || cause.matches(gst::StreamError::WrongType);
        match &*found {
            Discovery { container: None, .. } if has_no_type => {
                VideoError::NotAVideo("no container is recognised".into())
            }
            Discovery { has_track: false, tracks: 1.., .. } => found.no_track(),
            // The demuxer skips a track without a frame and then finds no track at all.
            Discovery { tracks: 0, .. } if self.facts.has_index => VideoError::NoFrames,
            _ if cause.matches(gst::ResourceError::Read) => {
                VideoError::Read(std::io::Error::other(cause.to_string()))
            }
            _ => VideoError::Damaged(cause.to_string()),
        }
    }

    /// The error for pictures under the least size in a file that the demuxer cannot read.
    fn small_picture(&self) -> Option<VideoError> {
        let [width, height] = index::picture_size(self.file.original()).ok()??;
        check_size_min(width, height).err()
    }

    /// The error for a track that ended before a complete frame.
    fn empty_track(&self, pad: &gst::Pad) -> VideoError {
        let stated = pad.query_duration::<gst::ClockTime>().unwrap_or_default();
        let has_data = self.found.lock().expect("no holder panics").has_data;
        if has_data || !stated.is_zero() {
            return VideoError::Damaged("no complete frame in the track".into());
        }
        VideoError::NoFrames
    }
}
