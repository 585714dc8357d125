//! Reads animations in PNG files. Called by `frame_files`.

use super::canvas::{Area, Canvas, Disposal, samples_of};
use super::pace::Pace;
use super::{Frame, FrameFile, Frames, ReadError, check_size, container};
use crate::video::error::VideoError;
use bodyscript_protocol::message::MediaLimits;
use png::{BlendOp, ColorType, DecodeOptions, DisposeOp, FrameControl, Limits, Transformations};
use std::fs::File;
use std::io::{BufReader, Seek};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The first bytes of a PNG file.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// What the decoder may reserve in all; it counts a row for each frame.
const RESERVED_BYTES_MAX: usize = 256 << 20;
/// Most chunks that are looked at.
const CHUNKS_MAX: u32 = 1 << 20;

type Reader = png::Reader<BufReader<File>>;

/// The frames of a file.
struct ApngFrames {
    reader: Reader,
    /// Frames that have not been read.
    left: u32,
    canvas: Option<Canvas>,
    pace: Pace,
    pixels: Vec<u8>,
}

/// Reads the size and the delays.
pub(super) fn open(mut file: File, limits: &MediaLimits) -> Result<FrameFile, VideoError> {
    let (frames, pace) = delays(&file).map_err(VideoError::Read)?;
    if frames == 0 {
        return Err(VideoError::NotAVideo("a PNG file without an animation".into()));
    }
    file.rewind().map_err(VideoError::Read)?;
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = png::Decoder::new_with_options(BufReader::new(file), options);
    decoder.set_limits(Limits { bytes: RESERVED_BYTES_MAX });
    decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
    let header = decoder.read_header_info().map_err(ReadError::of)?;
    let (width, height) = (header.width, header.height);
    check_size(width, height, limits)?;
    let reader = decoder.read_info().map_err(ReadError::of)?;
    let (canvas, pixels) = (None, Vec::new());
    Ok(FrameFile {
        container: container("image/apng"),
        codec: "image/png",
        caps: Canvas::caps(width, height, pace.rate()),
        duration: Some(pace.total()),
        frames: Box::new(ApngFrames {
            reader,
            left: frames,
            canvas,
            pace: Pace::default(),
            pixels,
        }),
    })
}

/// The number of frames and their delays; zero for a picture that is not animated.
fn delays(file: &File) -> std::io::Result<(u32, Pace)> {
    let (mut announced, mut frames, mut pace) = (0, 0, Pace::default());
    let mut at = SIGNATURE.len() as u64;
    for _ in 0..CHUNKS_MAX {
        let mut head = [0; 8];
        if file.read_at(&mut head, at)? < head.len() {
            break;
        }
        let (length, name) = (u32::from_be_bytes([head[0], head[1], head[2], head[3]]), &head[4..]);
        let mut data = [0; 26];
        match name {
            b"acTL" if file.read_at(&mut data[..4], at + 8)? == 4 => {
                announced = u32::from_be_bytes([data[0], data[1], data[2], data[3]]);
            }
            b"fcTL" if frames < announced && file.read_at(&mut data, at + 8)? == data.len() => {
                frames += 1;
                let number = |at| u16::from_be_bytes([data[at], data[at + 1]]);
                pace.add(stated(number(20), number(22)));
            }
            b"IEND" => break,
            _ => {}
        }
        at += 12 + u64::from(length);
    }
    Ok((frames, pace))
}

/// A delay of this fraction of a second; a denominator of zero stands for a hundred.
fn stated(num: u16, den: u16) -> Duration {
    let den = if den == 0 { 100 } else { den };
    Duration::from_secs(num.into()) / u32::from(den)
}

impl ApngFrames {
    /// Decodes the pixels of the next frame; the place and delay of one of the animation.
    fn decode(&mut self) -> Result<Option<FrameControl>, ReadError> {
        let bytes = self.reader.output_buffer_size();
        let bytes = bytes.ok_or_else(|| ReadError::of("a picture that is too large"))?;
        self.pixels.resize(bytes, 0);
        self.reader.next_frame(&mut self.pixels).map_err(ReadError::of)?;
        Ok(self.reader.info().frame_control)
    }

    fn draw(&mut self, frame: &FrameControl) {
        let info = self.reader.info();
        let (width, height) = (info.width, info.height);
        let canvas = self.canvas.get_or_insert_with(|| Canvas::new(width, height));
        let [x, y] = [frame.x_offset, frame.y_offset];
        let disposal = match frame.dispose_op {
            DisposeOp::None => Disposal::Keep,
            DisposeOp::Background => Disposal::Clear,
            DisposeOp::Previous => Disposal::Restore,
        };
        canvas.begin(Area { x, y, width: frame.width, height: frame.height }, disposal);
        let is_grey = self.reader.output_color_type().0 == ColorType::GrayscaleAlpha;
        let pixel_bytes = if is_grey { 2 } else { 4 };
        let row_bytes = frame.width as usize * pixel_bytes;
        let rows = self.pixels.chunks_exact(row_bytes.max(1)).take(frame.height as usize);
        for (y, row) in (y..).zip(rows) {
            for (x, pixel) in (x..).zip(row.chunks_exact(pixel_bytes)) {
                let rgb = if is_grey { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
                let (samples, alpha) = (samples_of(rgb), pixel[pixel_bytes - 1]);
                match frame.blend_op {
                    BlendOp::Source => canvas.replace(x, y, samples, alpha),
                    BlendOp::Over => canvas.blend(x, y, samples, alpha),
                }
            }
        }
    }
}

impl Frames for ApngFrames {
    fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        while self.left > 0 {
            // A first picture that is not part of the animation is for programs without animations.
            let Some(frame) = self.decode()? else { continue };
            self.left -= 1;
            self.draw(&frame);
            let time = self.pace.add(stated(frame.delay_num, frame.delay_den));
            let canvas = self.canvas.as_ref().expect("it has been drawn on");
            return Ok(Some(Frame { bytes: canvas.samples(), time }));
        }
        Ok(None)
    }
}
