//! Changes a picture's size. Called by `encode` for previews and by `thumbnail`.

use crate::picture::Picture;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Scales each plane into that of `to`, whose layout is already set; bilinear, averaging where it
/// shrinks.
pub(super) fn resize(
    resizer: &mut Resizer,
    from: &Picture,
    to: &mut Picture,
) -> Result<(), String> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let (source, target) = (from.layout(), to.layout());
    let size = |[columns, rows]: [usize; 2]| (columns as u32, rows as u32);
    for (n, (from, to)) in from.planes().into_iter().zip(to.planes_mut()).enumerate() {
        let (width, height) = size(source.plane_size(n));
        let from = ImageRef::new(width, height, from, PixelType::U8);
        let from = from.map_err(|cause| cause.to_string())?;
        let (width, height) = size(target.plane_size(n));
        let to = Image::from_slice_u8(width, height, to, PixelType::U8);
        let mut to = to.map_err(|cause| cause.to_string())?;
        resizer.resize(&from, &mut to, &options).map_err(|cause| cause.to_string())?;
    }
    Ok(())
}
