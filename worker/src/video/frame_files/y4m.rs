//! Reads YUV4MPEG2 files: frames without compression, each after a line of text. Called by
//! `frame_files`.

use super::raw_layout::RawLayout;
use super::{Frame, FrameFile, Frames, ReadError, check_size, container};
use crate::video::error::VideoError;
use bodyscript_protocol::message::MediaLimits;
use gstreamer as gst;
use gstreamer_video::{VideoCapsBuilder, VideoFormat};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The first bytes of a file.
pub(super) const SIGNATURE: &[u8] = b"YUV4MPEG2 ";
/// Longest line that is read.
const LINE_BYTES_MAX: usize = 256;
/// The rate of files that state none.
const RATE_DEFAULT: (u32, u32) = (25, 1);

/// The kinds of chroma, and the pixel formats that they are.
const CHROMA: [(&str, VideoFormat); 10] = [
    ("420", VideoFormat::I420),
    ("420jpeg", VideoFormat::I420),
    ("420mpeg2", VideoFormat::I420),
    ("420paldv", VideoFormat::I420),
    ("422", VideoFormat::Y42b),
    ("444", VideoFormat::Y444),
    ("mono", VideoFormat::Gray8),
    ("420p10", VideoFormat::I42010le),
    ("422p10", VideoFormat::I42210le),
    ("444p10", VideoFormat::Y44410le),
];

/// The frames of a file.
struct Y4mFrames {
    file: File,
    /// Offset of the next line.
    at: u64,
    layout: RawLayout,
    rate: (u32, u32),
    number: u64,
}

/// What the first line states.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    size: (u32, u32),
    rate: Option<(u32, u32)>,
    pixel_aspect: Option<(u32, u32)>,
    chroma: VideoFormat,
    interlacing: &'static str,
    is_full_range: bool,
}

/// Reads the first line.
pub(super) fn open(file: File, limits: &MediaLimits) -> Result<FrameFile, VideoError> {
    let (line, at) = line(&file, 0).map_err(VideoError::Read)?.ok_or_else(no_header)?;
    let header = Header::of(&line)?;
    check_size(header.size.0, header.size.1, limits)?;
    let caps = header.caps();
    let layout = RawLayout::of(&caps)?;
    let rate = header.rate.unwrap_or(RATE_DEFAULT);
    let bytes = file.metadata().map_err(VideoError::Read)?.len().saturating_sub(at);
    let count = bytes / (layout.file_bytes() as u64 + b"FRAME\n".len() as u64);
    Ok(FrameFile {
        container: container("application/x-yuv4mpeg"),
        codec: "video/x-raw",
        caps,
        duration: Some(time_of(count, rate)),
        frames: Box::new(Y4mFrames { file, at, layout, rate, number: 0 }),
    })
}

fn no_header() -> VideoError {
    VideoError::Damaged("no line that describes the frames".into())
}

/// Time of the frame with this number.
fn time_of(number: u64, (num, den): (u32, u32)) -> Duration {
    let nanos = u128::from(number) * u128::from(den) * 1_000_000_000 / u128::from(num.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The line at this offset, and the offset after it; none at the end of the file.
fn line(file: &File, at: u64) -> std::io::Result<Option<(Vec<u8>, u64)>> {
    let mut bytes = [0; LINE_BYTES_MAX];
    let read = file.read_at(&mut bytes, at)?;
    let length = bytes[..read].iter().position(|byte| *byte == b'\n');
    Ok(length.map(|length| (bytes[..length].to_vec(), at + length as u64 + 1)))
}

impl Header {
    fn of(line: &[u8]) -> Result<Self, VideoError> {
        let text = str::from_utf8(line).map_err(|_| no_header())?;
        let words = || text.split_ascii_whitespace().skip(1);
        let value = |name: char| words().find_map(|word| word.strip_prefix(name));
        let side = |name| {
            let side = value(name).and_then(|text| text.parse::<u32>().ok());
            side.filter(|side| *side > 0 && i32::try_from(*side).is_ok()).ok_or_else(no_header)
        };
        let chroma = value('C').unwrap_or("420");
        let known = CHROMA.iter().find(|(name, _)| *name == chroma);
        let unknown = || VideoError::UnsupportedCodec("video/x-raw".into());
        Ok(Self {
            size: (side('W')?, side('H')?),
            rate: value('F').and_then(ratio),
            pixel_aspect: value('A').and_then(ratio),
            chroma: known.ok_or_else(unknown)?.1,
            interlacing: match value('I') {
                Some("t" | "b" | "m") => "interleaved",
                _ => "progressive",
            },
            is_full_range: words().any(|word| word == "XCOLORRANGE=FULL"),
        })
    }

    fn caps(&self) -> gst::Caps {
        let fraction = |(num, den): (u32, u32)| gst::Fraction::new(num as i32, den as i32);
        let caps = VideoCapsBuilder::new()
            .format(self.chroma)
            .width(self.size.0 as i32)
            .height(self.size.1 as i32)
            .framerate(fraction(self.rate.unwrap_or(RATE_DEFAULT)))
            .pixel_aspect_ratio(fraction(self.pixel_aspect.unwrap_or((1, 1))))
            .field("interlace-mode", self.interlacing);
        match self.is_full_range {
            true => caps.field("colorimetry", "1:4:16:4").build(),
            false => caps.build(),
        }
    }
}

/// A ratio of two positive numbers.
fn ratio(text: &str) -> Option<(u32, u32)> {
    let (num, den) = text.split_once(':')?;
    let positive =
        |text: &str| text.parse::<u32>().ok().filter(|n| *n > 0 && i32::try_from(*n).is_ok());
    positive(num).zip(positive(den))
}

impl Frames for Y4mFrames {
    fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        let mut any = [0];
        if self.file.read_at(&mut any, self.at).map_err(ReadError::of)? == 0 {
            return Ok(None);
        }
        let cut_off = || ReadError::of("the file ends within a frame");
        let (line, at) = line(&self.file, self.at).map_err(ReadError::of)?.ok_or_else(cut_off)?;
        if !line.starts_with(b"FRAME") {
            return Err(ReadError::of("no line before a frame"));
        }
        let mut packed = vec![0; self.layout.file_bytes()];
        self.file.read_exact_at(&mut packed, at).map_err(|_| cut_off())?;
        self.at = at + packed.len() as u64;
        let time = time_of(self.number, self.rate);
        self.number += 1;
        Ok(Some(Frame { bytes: self.layout.padded(packed), time }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_states_size_rate_chroma_fields_and_range() {
        let line = b"YUV4MPEG2 W320 H240 F30000:1001 It A4:3 C422 XCOLORRANGE=FULL";
        let header = Header::of(line).expect("a header");
        let expected = Header {
            size: (320, 240),
            rate: Some((30_000, 1001)),
            pixel_aspect: Some((4, 3)),
            chroma: VideoFormat::Y42b,
            interlacing: "interleaved",
            is_full_range: true,
        };
        assert_eq!(header, expected);
        let plain = Header::of(b"YUV4MPEG2 W2 H2 F0:0 A0:0").expect("a header");
        assert_eq!((plain.rate, plain.pixel_aspect, plain.chroma), (None, None, VideoFormat::I420));
    }

    #[test]
    fn sizes_that_no_picture_has_are_refused() {
        for line in ["YUV4MPEG2 W0 H2", "YUV4MPEG2 W4294967295 H2", "YUV4MPEG2 H2", "YUV4MPEG2 W-1"]
        {
            assert!(Header::of(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn times_do_not_overflow() {
        assert_eq!(time_of(30, (30_000, 1001)), Duration::from_millis(1001));
        assert_eq!(time_of(u64::MAX, (1, u32::MAX)), Duration::from_nanos(u64::MAX));
    }
}
