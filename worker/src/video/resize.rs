//! Changes a picture's size. Called by `encode` for previews and by `thumbnail`.

use crate::picture::{Layout, Picture};
use bodyscript_protocol::options::PixelArea;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// Scales each plane into that of `to`, whose layout is already set; bilinear, averaging where it
/// shrinks.
pub(super) fn resize(
    resizer: &mut Resizer,
    from: &Picture,
    to: &mut Picture,
) -> Result<(), String> {
    let whole = PixelArea::whole([from.width(), from.height()]);
    resize_area(resizer, (from, whole), to)
}

/// The same for an area of a picture, which is not empty and lies within it.
pub(super) fn resize_area(
    resizer: &mut Resizer,
    (from, area): (&Picture, PixelArea),
    to: &mut Picture,
) -> Result<(), String> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let (source, target) = (from.layout(), to.layout());
    let size = |[columns, rows]: [usize; 2]| (columns as u32, rows as u32);
    for (n, (from, to)) in from.planes().into_iter().zip(to.planes_mut()).enumerate() {
        let (width, height) = size(source.plane_size(n));
        let [across, down] = if n == 0 { [0; 2] } else { source.subsampling.shifts() };
        let [columns, rows] =
            Layout { width: area.width, height: area.height, ..source }.plane_size(n);
        let options = options.crop(
            f64::from(area.x >> across),
            f64::from(area.y >> down),
            columns as f64,
            rows as f64,
        );
        // Typed: an image of any type compiles the code for all of them, most of this crate's build time.
        let from = TypedImageRef::<U8>::from_buffer(width, height, from);
        let from = from.map_err(|cause| cause.to_string())?;
        let (width, height) = size(target.plane_size(n));
        let to = TypedImage::<U8>::from_buffer(width, height, to);
        let mut to = to.map_err(|cause| cause.to_string())?;
        resizer.resize_typed(&from, &mut to, &options).map_err(|cause| cause.to_string())?;
    }
    Ok(())
}
