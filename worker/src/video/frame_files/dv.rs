//! Reads DV files without a container, as tapes were copied: frames of a fixed number of bytes.
//! Called by `frame_files`.

use super::{Frame, FrameFile, Frames, ReadError, check_size, container};
use crate::video::dv::{DvFormat, HEAD_BYTES};
use crate::video::error::VideoError;
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The first bytes of a file.
pub(super) const SIGNATURE: &[u8] = &[0x1f, 0x07, 0x00];

/// The frames of a file.
struct DvFrames {
    file: File,
    format: DvFormat,
    number: u32,
}

/// Reads the description of the first frame.
pub(super) fn open(file: File, limits: &MediaLimits) -> Result<FrameFile, VideoError> {
    let mut head = [0; HEAD_BYTES];
    let read = file.read_at(&mut head, 0).map_err(VideoError::Read)?;
    let format = DvFormat::of(&head[..read])
        .ok_or_else(|| VideoError::NotAVideo("not a frame of DV".into()))?;
    check_size(format.size.0, format.size.1, limits)?;
    let bytes = file.metadata().map_err(VideoError::Read)?.len();
    let fraction = |(num, den): (u32, u32)| gst::Fraction::new(num as i32, den as i32);
    let caps = gst::Caps::builder("video/x-dv")
        .field("systemstream", false)
        .field("width", format.size.0 as i32)
        .field("height", format.size.1 as i32)
        .field("framerate", fraction(format.rate))
        .field("pixel-aspect-ratio", fraction(format.pixel_aspect))
        .build();
    let count = u32::try_from(bytes / format.frame_bytes as u64).unwrap_or(u32::MAX);
    Ok(FrameFile {
        container: container("video/x-dv"),
        codec: "video/x-dv",
        caps,
        duration: Some(time_of(count, format)),
        frames: Box::new(DvFrames { file, format, number: 0 }),
    })
}

fn time_of(number: u32, DvFormat { rate: (num, den), .. }: DvFormat) -> Duration {
    Duration::from_nanos(u64::from(number) * 1_000_000_000 / u64::from(num) * u64::from(den))
}

impl Frames for DvFrames {
    fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        let at = u64::from(self.number) * self.format.frame_bytes as u64;
        let mut bytes = vec![0; self.format.frame_bytes];
        if self.file.read_at(&mut bytes[..1], at).map_err(ReadError::of)? == 0 {
            return Ok(None);
        }
        let cut_off = |_| ReadError::of("the file ends within a frame");
        self.file.read_exact_at(&mut bytes, at).map_err(cut_off)?;
        let time = time_of(self.number, self.format);
        self.number = self.number.saturating_add(1);
        Ok(Some(Frame { bytes, time }))
    }
}
