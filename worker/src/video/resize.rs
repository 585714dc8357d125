//! Changes a picture's size. Called by `encode` for previews and by `thumbnail`.

use crate::picture::Picture;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Scales into `to`, whose size is set already; bilinear, averaging where it shrinks.
pub(super) fn resize(
    resizer: &mut Resizer,
    from: &Picture,
    to: &mut Picture,
) -> Result<(), String> {
    let source = ImageRef::new(from.width, from.height, &from.rgb, PixelType::U8x3)
        .map_err(|cause| cause.to_string())?;
    let mut target = Image::from_slice_u8(to.width, to.height, &mut to.rgb, PixelType::U8x3)
        .map_err(|cause| cause.to_string())?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resizer.resize(&source, &mut target, &options).map_err(|cause| cause.to_string())
}
