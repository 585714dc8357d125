//! One picture as a JPEG file. Called by the worker's main.

use super::error::VideoError;
use super::resize::resize;
use crate::picture::Picture;
use jpeg_encoder::{ColorType, Encoder};
use std::fs::File;
use std::io::Write;

/// Of 100; artefacts are invisible at the size of a thumbnail.
const QUALITY: u8 = 85;

/// Writes the picture, at most `width_max` pixels wide, as a JPEG (ITU-T T.81).
///
/// # Errors
/// The picture is empty or taller than JPEG can hold, or the file does not take it.
pub fn write_thumbnail(
    picture: &Picture,
    width_max: u32,
    out: &mut File,
) -> Result<(), VideoError> {
    let error = |cause: &dyn std::fmt::Display| VideoError::Thumbnail(cause.to_string());
    let mut smaller = Picture::default();
    let shown = if picture.width > width_max {
        let height = u64::from(picture.height) * u64::from(width_max) / u64::from(picture.width);
        smaller.resize(width_max, (height as u32).max(1));
        resize(&mut Default::default(), picture, &mut smaller).map_err(|cause| error(&cause))?;
        &smaller
    } else {
        picture
    };
    let side = |px: u32| u16::try_from(px).map_err(|cause| error(&cause));
    let (width, height) = (side(shown.width)?, side(shown.height)?);
    let mut file = std::io::BufWriter::new(out);
    Encoder::new(&mut file, QUALITY)
        .encode(&shown.rgb, width, height, ColorType::Rgb)
        .map_err(|cause| error(&cause))?;
    file.flush().map_err(|cause| error(&cause))
}
