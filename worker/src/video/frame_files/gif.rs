//! Reads GIF animations. Called by `frame_files`.

use super::canvas::{Area, Canvas, Disposal, samples_of};
use super::pace::Pace;
use super::{Frame, FrameFile, Frames, ReadError, check_size, container};
use crate::video::error::VideoError;
use bodyscript_protocol::message::MediaLimits;
use gif::{DecodeOptions, Decoder, DisposalMethod, MemoryLimit};
use std::fs::File;
use std::io::Seek;
use std::num::NonZeroU64;
use std::time::Duration;

/// The frames of a file.
struct GifFrames {
    decoder: Decoder<File>,
    canvas: Option<Canvas>,
    pace: Pace,
}

/// Reads the size and the delays.
pub(super) fn open(mut file: File, limits: &MediaLimits) -> Result<FrameFile, VideoError> {
    let again = file.try_clone().map_err(VideoError::Read)?;
    file.rewind().map_err(VideoError::Read)?;
    let mut delays = options(limits);
    delays.skip_frame_decoding(true);
    let mut delays = delays.read_info(file).map_err(ReadError::of)?;
    let (width, height) = (delays.width().into(), delays.height().into());
    check_size(width, height, limits)?;
    let mut pace = Pace::default();
    // Damage is reported when the frames are read.
    while let Ok(Some(frame)) = delays.next_frame_info() {
        pace.add(stated(frame));
    }
    let mut file = again;
    file.rewind().map_err(VideoError::Read)?;
    let decoder = options(limits).read_info(file).map_err(ReadError::of)?;
    Ok(FrameFile {
        container: container("image/gif"),
        codec: "image/gif",
        caps: Canvas::caps(width, height, pace.rate()),
        duration: Some(pace.total()),
        frames: Box::new(GifFrames { decoder, canvas: None, pace: Pace::default() }),
    })
}

/// A frame may be larger than the picture, but not than the limit.
fn options(limits: &MediaLimits) -> DecodeOptions {
    let mut options = DecodeOptions::new();
    let bytes = NonZeroU64::new(limits.area_px_max.into()).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(bytes));
    options.allow_unknown_blocks(true);
    options
}

fn stated(frame: &gif::Frame<'_>) -> Duration {
    Duration::from_millis(u64::from(frame.delay) * 10)
}

impl Frames for GifFrames {
    fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        let (width, height) = (self.decoder.width(), self.decoder.height());
        let global = self.decoder.global_palette().map(<[u8]>::to_vec);
        let Some(frame) = self.decoder.read_next_frame().map_err(ReadError::of)? else {
            return Ok(None);
        };
        let canvas = self.canvas.get_or_insert_with(|| Canvas::new(width.into(), height.into()));
        let area = Area {
            x: frame.left.into(),
            y: frame.top.into(),
            width: frame.width.into(),
            height: frame.height.into(),
        };
        canvas.begin(
            area,
            match frame.dispose {
                DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
                DisposalMethod::Background => Disposal::Clear,
                DisposalMethod::Previous => Disposal::Restore,
            },
        );
        let palette = frame.palette.as_ref().or(global.as_ref());
        let palette = palette.ok_or_else(|| ReadError::of("a frame without colours"))?;
        draw(frame, palette, area, canvas);
        Ok(Some(Frame { bytes: canvas.samples(), time: self.pace.add(stated(frame)) }))
    }
}

fn draw(frame: &gif::Frame<'_>, palette: &[u8], area: Area, canvas: &mut Canvas) {
    let colours: Vec<_> =
        palette.chunks_exact(3).map(|rgb| samples_of([rgb[0], rgb[1], rgb[2]])).collect();
    let rows = frame.buffer.chunks_exact(usize::from(frame.width).max(1));
    for (y, row) in (area.y..).zip(rows) {
        for (x, index) in (area.x..).zip(row) {
            if let Some(colour) = colours.get(usize::from(*index))
                && frame.transparent != Some(*index)
            {
                canvas.draw(x, y, *colour);
            }
        }
    }
}
