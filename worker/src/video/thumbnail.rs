//! Thumbnails, as small pictures and as JPEG files. Called by `output::visuals`.

use super::error::VideoError;
use super::resize::resize;
use crate::picture::{Layout, Picture, RgbPicture, Subsampling};
use bodyscript_protocol::layout::thumbnail_size;
use jpeg_encoder::{ColorType, Encoder};
use std::fs::File;
use std::io::Write;

/// Of 100; artefacts are invisible at the size of a thumbnail.
const QUALITY: u8 = 85;

/// The picture in RGB, at most `width_max` pixels wide.
///
/// # Errors
/// The picture is empty.
pub fn thumbnail(picture: &Picture, width_max: u32) -> Result<RgbPicture, VideoError> {
    let Layout { width, height, range, .. } = picture.layout();
    if width <= width_max {
        return Ok(picture.into());
    }
    let [width, height] = thumbnail_size([width, height], width_max);
    // Without chroma subsampling.
    let subsampling = Subsampling::Yuv444;
    let mut smaller = Picture::new(Layout { width, height, subsampling, range });
    resize(&mut Default::default(), picture, &mut smaller).map_err(VideoError::Thumbnail)?;
    Ok((&smaller).into())
}

/// Writes the picture as a JPEG (ITU-T T.81).
///
/// # Errors
/// The picture is empty or taller than JPEG allows, or the file cannot be written.
pub fn write_thumbnail(picture: &RgbPicture, out: &mut File) -> Result<(), VideoError> {
    let error = |cause: &dyn std::fmt::Display| VideoError::Thumbnail(cause.to_string());
    let side = |px: u32| u16::try_from(px).map_err(|cause| error(&cause));
    let (width, height) = (side(picture.width)?, side(picture.height)?);
    let mut file = std::io::BufWriter::new(out);
    Encoder::new(&mut file, QUALITY)
        .encode(&picture.rgb, width, height, ColorType::Rgb)
        .map_err(|cause| error(&cause))?;
    file.flush().map_err(|cause| error(&cause))
}
