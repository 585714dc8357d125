//! Writes a short clip of generated pictures. Called by the warm-up and by tests of the decoder.

use super::FrameTime;
use super::colour::Colours;
use super::encode::{EncodeSpec, VideoWriter};
use super::error::VideoError;
use crate::picture::{Layout, Picture};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The format of a clip of at most one second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyntheticClip {
    /// Width and height in pixels.
    pub(crate) size: [u32; 2],
    /// Frames a second.
    pub(crate) frame_rate: u32,
    /// Number of frames.
    pub(crate) frames: u32,
}

impl SyntheticClip {
    /// Writes the clip, with `paint` called for each frame; returns the last picture.
    ///
    /// # Errors
    /// The encoder or the descriptor failed.
    pub(crate) fn write(
        self,
        out: OwnedFd,
        paint: impl Fn(&mut Picture, u32),
    ) -> Result<Picture, VideoError> {
        let [width, height] = self.size;
        let spec = EncodeSpec {
            width,
            height,
            frame_rate: (self.frame_rate, 1),
            colours: Colours::assumed(height),
            duration_max: Duration::from_secs(1),
        };
        let mut picture = Picture::new(Layout { width, height, ..Layout::default() });
        let mut writer = VideoWriter::create(out, &spec)?;
        for frame in 0..self.frames {
            paint(&mut picture, frame);
            let pts = Duration::from_secs(frame.into()) / self.frame_rate;
            writer.write(&picture, FrameTime { pts })?;
        }
        writer.finish()?;
        Ok(picture)
    }
}
