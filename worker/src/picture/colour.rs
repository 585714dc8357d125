//! The one conversion between luma with chroma and RGB: the matrix of ITU-R BT.601, products
//! rounded down as 16-bit multiplication does it (`docs/adr/0004`). Pure.

use super::SampleRange;

/// What samples of one range become in RGB. Factors are in units of 2^-13.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    black: i16,
    luma: i16,
    red_of_v: i16,
    green_of_u: i16,
    green_of_v: i16,
    blue_of_u: i16,
}

impl Conversion {
    /// From samples of this range.
    pub const fn of(range: SampleRange) -> Self {
        match range {
            SampleRange::Limited => Self {
                black: 16,
                luma: 9539,
                red_of_v: 13_075,
                green_of_u: -3209,
                green_of_v: -6660,
                blue_of_u: 16_525,
            },
            SampleRange::Full => Self {
                black: 0,
                luma: 8192,
                red_of_v: 11_485,
                green_of_u: -2819,
                green_of_v: -5850,
                blue_of_u: 14_516,
            },
        }
    }

    /// Red, green and blue of luma and two kinds of chroma.
    #[inline(always)]
    pub fn rgb(self, [luma, u, v]: [u8; 3]) -> [u8; 3] {
        self.levels([luma.into(), u.into(), v.into()]).map(|level| level as u8)
    }

    /// The same in 16 bits, for vectors of them.
    #[inline(always)]
    pub(super) fn levels(self, [luma, u, v]: [i16; 3]) -> [i16; 3] {
        let grey = product(luma - self.black, self.luma);
        let (u, v) = (u - 128, v - 128);
        let red = product(v, self.red_of_v);
        let green = product(u, self.green_of_u) + product(v, self.green_of_v);
        let blue = product(u, self.blue_of_u);
        [level(grey + red), level(grey + green), level(grey + blue)]
    }
}

#[inline(always)]
fn product(sample: i16, factor: i16) -> i16 {
    ((i32::from(sample * 8) * i32::from(factor)) >> 16) as i16
}

#[inline(always)]
fn level(value: i16) -> i16 {
    value.clamp(0, 255)
}

/// Luma and chroma of a colour, to the nearest level.
pub fn of_rgb(rgb: [u8; 3], range: SampleRange) -> [u8; 3] {
    let [red, green, blue] = rgb.map(f32::from);
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    let (u, v) = ((blue - luma) / 1.772, (red - luma) / 1.402);
    match range {
        SampleRange::Limited => [
            16.0 + luma * (219.0 / 255.0),
            128.0 + u * (224.0 / 255.0),
            128.0 + v * (224.0 / 255.0),
        ],
        SampleRange::Full => [luma, 128.0 + u, 128.0 + v],
    }
    .map(|level| level.round() as u8)
}
