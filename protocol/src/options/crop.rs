//! Which area of the picture is processed, as fractions of the upright picture.

use super::Thousandths;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// An area within the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Crop {
    x: Thousandths,
    y: Thousandths,
    width: Thousandths,
    height: Thousandths,
}

/// The pixels of an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelArea {
    /// Columns to the left of it: an even number, which is between two samples of chroma.
    pub x: u32,
    /// Rows above it: an even number.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Crop {
    /// The pixels of a picture of this size. Those on an edge belong to the area if half of them does,
    /// and to the left and above up to one more.
    pub fn pixels(&self, [width, height]: [u32; 2]) -> PixelArea {
        let [x, right] = edges(self.x, self.width, width);
        let [y, bottom] = edges(self.y, self.height, height);
        PixelArea { x, y, width: right - x, height: bottom - y }
    }
}

/// The first pixel, and the one after the last, along a side with so many.
fn edges(from: Thousandths, length: Thousandths, pixels: u32) -> [u32; 2] {
    let at = |thousandths: u32| (u64::from(thousandths) * u64::from(pixels) + 500) / 1000;
    let (first, end) = (at(from.get()), at(from.get() + length.get()));
    [first as u32 & !1, end as u32]
}

impl PixelArea {
    /// A whole picture of this size.
    pub const fn whole([width, height]: [u32; 2]) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// Width and height.
    pub const fn size(&self) -> [u32; 2] {
        [self.width, self.height]
    }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y, width, height } = self;
        write!(f, "{x},{y},{width},{height}")
    }
}

impl FromStr for Crop {
    type Err = NotACrop;

    fn from_str(text: &str) -> Result<Self, NotACrop> {
        let numbers = text.split(',').map(|number| number.trim().parse());
        let numbers = numbers.collect::<Result<Vec<Thousandths>, _>>().map_err(|_| NotACrop)?;
        let [x, y, width, height] = numbers[..] else { return Err(NotACrop) };
        let is_within = |from: Thousandths, length: Thousandths| {
            let end = from.get().checked_add(length.get());
            length.get() > 0 && end.is_some_and(|end| end <= Thousandths::ONE.get())
        };
        if is_within(x, width) && is_within(y, height) {
            Ok(Self { x, y, width, height })
        } else {
            Err(NotACrop)
        }
    }
}

/// A text that is no area within the picture.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected left, top, width and height as fractions of the picture, such as 0.25,0,0.5,1")]
pub struct NotACrop;

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(text: &str) -> Crop {
        text.parse().expect("an area")
    }

    #[test]
    fn an_area_lies_within_the_picture() {
        assert_eq!(crop("0,0,1,1").pixels([641, 359]).size(), [641, 359]);
        assert_eq!(crop(" 0.25, 0,0.5,1 ").to_string(), "0.25,0,0.5,1");
        for wrong in [
            "",
            "0,0,1",
            "0,0,1,1,1",
            "0,0,0,1",
            "0,0,1,0",
            "0.5,0,0.501,1",
            "0,0.5,1,0.501",
            "-0.1,0,1,1",
            "0,0,1.001,1",
            "0.0001,0,0.5,1",
            "a,0,1,1",
            "4294967,0,1,1",
        ] {
            assert_eq!(wrong.parse::<Crop>(), Err(NotACrop), "{wrong}");
        }
    }

    #[test]
    fn pixels_begin_between_samples_of_chroma_and_neighbours_leave_no_gap() {
        let of = |text: &str, size| {
            let PixelArea { x, y, width, height } = crop(text).pixels(size);
            [x, y, width, height]
        };
        assert_eq!(of("0.25,0.5,0.5,0.25", [1280, 720]), [320, 360, 640, 180]);
        assert_eq!(of("0.333,0,0.333,1", [640, 480]), [212, 0, 214, 480]);
        assert_eq!(of("0.999,0.999,0.001,0.001", [16_384, 16_384]), [16_368, 16_368, 16, 16]);
        assert_eq!(of("0,0,0.001,0.001", [32, 32]), [0, 0, 0, 0], "refused as too small");
    }
}
