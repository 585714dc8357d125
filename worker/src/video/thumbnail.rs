//! Thumbnails, as small pictures and as JPEG files. Called by `output::visuals`.

use super::error::VideoError;
use super::resize::resize_area;
use crate::picture::{Layout, Picture, RgbPicture, Subsampling};
use bodyscript_protocol::layout::thumbnail_size;
use bodyscript_protocol::options::PixelArea;
use jpeg_encoder::{ColorType, Encoder};
use std::io::Write;

/// Of 100; artefacts are invisible at the size of a thumbnail.
const QUALITY: u8 = 85;

/// The picture in RGB, at most `width_max` pixels wide.
///
/// # Errors
/// The picture is empty.
pub fn thumbnail(picture: &Picture, width_max: u32) -> Result<RgbPicture, VideoError> {
    let size = [picture.width(), picture.height()];
    if size[0] <= width_max {
        return Ok(picture.into());
    }
    smaller((picture, PixelArea::whole(size)), thumbnail_size(size, width_max))
}

/// An area of the picture in RGB, of the same shape and at most so large; the area is not empty and lies in the picture.
///
/// # Errors
/// The area is not in the picture.
pub(crate) fn area_thumbnail(
    picture: &Picture,
    area: PixelArea,
    sides_max: [u32; 2],
) -> Result<RgbPicture, VideoError> {
    let [across, down] = [area.width, area.height].map(f64::from);
    let [width_max, height_max] = sides_max.map(f64::from);
    let scale = (width_max / across).min(height_max / down).min(1.0);
    smaller((picture, area), [across, down].map(|side| ((side * scale).round() as u32).max(1)))
}

/// An area of the picture in RGB, resized.
fn smaller(
    from: (&Picture, PixelArea),
    [width, height]: [u32; 2],
) -> Result<RgbPicture, VideoError> {
    let range = from.0.layout().range;
    // Without chroma subsampling.
    let subsampling = Subsampling::Yuv444;
    let mut smaller = Picture::new(Layout { width, height, subsampling, range });
    resize_area(&mut Default::default(), from, &mut smaller).map_err(VideoError::Thumbnail)?;
    Ok((&smaller).into())
}

/// Writes the picture as a JPEG (ITU-T T.81).
///
/// # Errors
/// The picture is empty or taller than JPEG allows, or the file cannot be written.
pub fn write_thumbnail(picture: &RgbPicture, out: &mut impl Write) -> Result<(), VideoError> {
    let error = |cause: &dyn std::fmt::Display| VideoError::Thumbnail(cause.to_string());
    let side = |px: u32| u16::try_from(px).map_err(|cause| error(&cause));
    let (width, height) = (side(picture.width)?, side(picture.height)?);
    let mut file = std::io::BufWriter::new(out);
    Encoder::new(&mut file, QUALITY)
        .encode(&picture.rgb, width, height, ColorType::Rgb)
        .map_err(|cause| error(&cause))?;
    file.flush().map_err(|cause| error(&cause))
}
