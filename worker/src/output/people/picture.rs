//! Small pictures of people, as JPEG in data URIs (RFC 2397). Called by `people` with finished pictures only.

use crate::picture::Picture;
use crate::video::{VideoError, area_thumbnail, write_thumbnail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bodyscript_protocol::layout::{PERSON_PICTURE_SIDES_MAX, PERSON_PICTURE_START};
use bodyscript_protocol::options::PixelArea;
use serde::Serialize;

/// What is shown around the landmarks, of which none is at the top of the head, as a share of their longer side.
const MARGIN: f32 = 0.12;

/// A picture as text.
#[derive(Serialize)]
pub(super) struct DataUri(String);

/// The picture of somebody within these bounds, which are fractions of the picture; none of somebody outside it.
pub(super) fn of(picture: &Picture, bounds: [f32; 4]) -> Result<Option<DataUri>, VideoError> {
    let Some(area) = area(bounds, [picture.width(), picture.height()]) else { return Ok(None) };
    let small = area_thumbnail(picture, area, PERSON_PICTURE_SIDES_MAX)?;
    let mut file = Vec::new();
    write_thumbnail(&small, &mut file)?;
    Ok(Some(DataUri(PERSON_PICTURE_START.to_owned() + &BASE64_STANDARD.encode(file))))
}

/// The pixels within bounds and the margin around them.
fn area([left, top, right, bottom]: [f32; 4], [width, height]: [u32; 2]) -> Option<PixelArea> {
    let [across, down] = [width as f32, height as f32];
    let margin = MARGIN * ((right - left) * across).max((bottom - top) * down);
    let within = |from: f32, to: f32, pixels: f32| {
        let [from, to] = [from * pixels - margin, to * pixels + margin];
        let [from, to] = [from, to].map(|at| at.clamp(0.0, pixels) as u32);
        // An even number, which is between two samples of chroma.
        (to > from).then_some((from & !1, to - (from & !1)))
    };
    let (x, width) = within(left, right, across)?;
    let (y, height) = within(top, bottom, down)?;
    Some(PixelArea { x, y, width, height })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Layout, SampleRange, Subsampling};

    fn size_of(bounds: [f32; 4]) -> Option<(u16, u16)> {
        let (width, height) = (641, 361);
        let layout =
            Layout { width, height, subsampling: Subsampling::Yuv420, range: SampleRange::Limited };
        let DataUri(text) = of(&Picture::new(layout), bounds).expect("a picture")?;
        let file = text.strip_prefix(PERSON_PICTURE_START).expect("a data URI");
        let file = BASE64_STANDARD.decode(file).expect("base64");
        let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).expect("a frame");
        let side = |at: usize| u16::from_be_bytes([file[frame + at], file[frame + at + 1]]);
        Some((side(7), side(5)))
    }

    #[test]
    fn a_picture_has_the_shape_of_the_body_and_is_not_enlarged() {
        assert_eq!(size_of([0.0, 0.0, 1.0, 1.0]), Some((96, 54)));
        let (width, height) = size_of([0.4, 0.1, 0.5, 0.9]).expect("a picture");
        assert!(height == 128 && (40..80).contains(&width), "{width} x {height}");
        assert_eq!(size_of([0.5, 0.5, 0.5 + 10.0 / 641.0, 0.5 + 20.0 / 361.0]), Some((14, 24)));
    }

    #[test]
    fn who_is_partly_outside_is_cut_and_who_is_outside_has_no_picture() {
        assert_eq!(size_of([0.9, 0.9, 1.5, 1.5]), Some((96, 72)));
        assert_eq!(size_of([1.5, 0.2, 1.7, 0.4]), None);
        assert_eq!(size_of([f32::NAN; 4]), None);
    }
}
