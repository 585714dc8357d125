//! The conversion between luma with chroma and RGB: the matrix of ITU-R BT.601, products
//! rounded down as 16-bit multiplication does it (`docs/adr/0004`). Pure.

use super::layout::SampleRange;

/// The conversion of samples of one range to RGB. Factors are in units of 2^-13.
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
    /// The conversion for this range.
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

    /// The same in 16 bits, for vectorization.
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

#[cfg(test)]
mod tests {
    use super::*;
    use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix, yuv444_to_rgb};

    /// Histogram over all colours of the distance, in levels, from a library that rounds to the
    /// nearest. The library clamps luma below black.
    fn distances(range: SampleRange, known_as: YuvRange) -> [u32; 256] {
        let mut distances = [0; 256];
        let black = Conversion::of(range).black as u8;
        let side: Vec<u8> = (0..=255).collect();
        let u_plane: Vec<u8> = side.repeat(256);
        let v_plane: Vec<u8> = side.iter().flat_map(|v| [*v; 256]).collect();
        let mut rgb = vec![0; 3 * 256 * 256];
        for luma in black..=255 {
            let planes = YuvPlanarImage {
                y_plane: &[luma; 256 * 256],
                y_stride: 256,
                u_plane: &u_plane,
                u_stride: 256,
                v_plane: &v_plane,
                v_stride: 256,
                width: 256,
                height: 256,
            };
            yuv444_to_rgb(&planes, &mut rgb, 3 * 256, known_as, YuvStandardMatrix::Bt601)
                .expect("converts");
            let chroma = u_plane.iter().zip(&v_plane);
            for (expected, (u, v)) in rgb.chunks_exact(3).zip(chroma) {
                let found = Conversion::of(range).rgb([luma, *u, *v]);
                for (a, b) in found.iter().zip(expected) {
                    distances[usize::from(a.abs_diff(*b))] += 1;
                }
            }
        }
        distances
    }

    #[test]
    fn full_range_is_within_two_levels_of_exact_rounding() {
        let distances = distances(SampleRange::Full, YuvRange::Full);
        assert_eq!(distances[3..].iter().sum::<u32>(), 0, "{:?}", &distances[..8]);
    }

    #[test]
    fn limited_range_is_within_three_levels_and_mostly_within_two() {
        let distances = distances(SampleRange::Limited, YuvRange::Limited);
        assert_eq!(distances[4..].iter().sum::<u32>(), 0, "{:?}", &distances[..8]);
        let values: u32 = distances.iter().sum();
        assert!(distances[3] < values / 20, "{:?}", &distances[..8]);
    }

    #[test]
    fn colours_survive_the_round_trip() {
        for range in [SampleRange::Limited, SampleRange::Full] {
            for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 60], [10, 90, 220], [128; 3]] {
                let back = Conversion::of(range).rgb(of_rgb(rgb, range));
                let off = back.iter().zip(rgb).map(|(a, b)| a.abs_diff(b)).max();
                assert!(off <= Some(3), "{range:?}: {rgb:?} became {back:?}");
            }
        }
    }
}
