//! Draws a pose over its picture: anti-aliased limbs and joints, coloured by limb. The person's
//! left is cool and the right warm, in hues that the colour-blind can distinguish (Okabe and Ito,
//! "Color Universal Design", 2008).

use crate::heads::Cover;
use crate::picture::{Layout, Picture, colour};
use bodyscript_protocol::pose::{CONNECTIONS, Pose};

/// Landmarks less visible than this are not drawn.
const VISIBILITY_MIN: f32 = 0.5;
/// Line width as a share of the picture's longer side.
const LINE_SHARE: f32 = 1.0 / 320.0;
/// Narrowest line, in pixels.
const LINE_PX_MIN: f32 = 2.0;

type Rgb = [u8; 3];

const FACE: Rgb = [240, 228, 66];
const TORSO: Rgb = [240, 240, 240];
const LEFT_ARM: Rgb = [86, 180, 233];
const RIGHT_ARM: Rgb = [230, 159, 0];
const LEFT_LEG: Rgb = [0, 158, 115];
const RIGHT_LEG: Rgb = [213, 94, 0];
const JOINT: Rgb = [255, 255, 255];

/// What heads are covered with: one colour, of which nothing can be restored. Coarse pixels of many frames, or a picture
/// out of focus, still tell people apart, and its colours the skin and the hair.
const COVER: Rgb = [128; 3];

/// Covers a part of the picture.
pub(crate) fn cover(picture: &mut Picture, Cover { ends, radius }: Cover) {
    Canvas::of(picture).draw(&Capsule { ends, radius }, COVER);
}

/// Draws one pose.
pub(crate) fn draw(picture: &mut Picture, pose: &Pose) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let radius = (width.max(height) * LINE_SHARE).max(LINE_PX_MIN) / 2.0;
    let point = |i: usize| {
        let landmark = &pose[i];
        let is_near = landmark.x.abs() < 4.0 && landmark.y.abs() < 4.0;
        (landmark.visibility >= VISIBILITY_MIN && is_near)
            .then_some([landmark.x * width, landmark.y * height])
    };
    let mut canvas = Canvas::of(picture);
    for (from, to) in CONNECTIONS {
        if let (Some(a), Some(b)) = (point(from), point(to)) {
            canvas.draw(&Capsule { ends: [a, b], radius }, color(from, to));
        }
    }
    for i in 0..pose.len() {
        if let Some(at) = point(i) {
            canvas.draw(&Capsule { ends: [at, at], radius: radius * 1.8 }, JOINT);
        }
    }
}

fn color(from: usize, to: usize) -> Rgb {
    match (from, to) {
        (0..=10, 0..=10) => FACE,
        (11 | 12 | 23 | 24, 11 | 12 | 23 | 24) => TORSO,
        (_, 11..=22) if to % 2 == 1 => LEFT_ARM,
        (_, 11..=22) => RIGHT_ARM,
        _ if to % 2 == 1 => LEFT_LEG,
        _ => RIGHT_LEG,
    }
}

/// A picture that is drawn on.
struct Canvas<'a> {
    layout: Layout,
    planes: [&'a mut [u8]; 3],
    /// Of each sample of chroma in a row, how many of its pixels are covered.
    covered: Vec<f32>,
}

/// A line with round ends, drawn by the distance of each pixel's centre.
struct Capsule {
    ends: [[f32; 2]; 2],
    radius: f32,
}

impl<'a> Canvas<'a> {
    fn of(picture: &'a mut Picture) -> Self {
        Self { layout: picture.layout(), planes: picture.planes_mut(), covered: Vec::new() }
    }

    /// Draws in rows of chroma samples. Luma is blended pixel by pixel, chroma by the mean coverage
    /// of its pixels.
    fn draw(&mut self, capsule: &Capsule, color: Rgb) {
        let [luma, chroma @ ..] = colour::of_rgb(color, self.layout.range).map(f32::from);
        let [across, down] = self.layout.subsampling.shifts();
        let ([columns, rows], [chroma_columns, _]) =
            (self.layout.plane_size(0), self.layout.plane_size(1));
        let (top, bottom) = capsule.rows(rows);
        for row in top >> down..(bottom + (1 << down) - 1) >> down {
            let pixel_rows = row << down..((row + 1) << down).min(rows);
            let (left, right) = capsule.columns([pixel_rows.start, pixel_rows.end], columns);
            let (first, last) = (left >> across, (right + (1 << across) - 1) >> across);
            self.covered.clear();
            self.covered.resize(last - first, 0.0);
            for y in pixel_rows.clone() {
                let pixels = &mut self.planes[0][y * columns..][left..right];
                for (x, pixel) in (left..).zip(pixels) {
                    let cover = capsule.cover([x as f32 + 0.5, y as f32 + 0.5]);
                    blend(pixel, luma, cover);
                    self.covered[(x >> across) - first] += cover;
                }
            }
            for (n, level) in (1..).zip(chroma) {
                let samples = &mut self.planes[n][row * chroma_columns..][first..last];
                for ((at, sample), covered) in (first..).zip(samples).zip(&self.covered) {
                    let wide = ((at + 1) << across).min(columns) - (at << across);
                    blend(sample, level, covered / (wide * pixel_rows.len()) as f32);
                }
            }
        }
    }
}

fn blend(sample: &mut u8, level: f32, cover: f32) {
    if cover > 0.0 {
        let from = f32::from(*sample);
        *sample = (from + cover * (level - from)).round() as u8;
    }
}

impl Capsule {
    /// The rows that may be covered, as a half-open range.
    fn rows(&self, rows: usize) -> (usize, usize) {
        let [a, b] = self.ends.map(|[_, y]| y);
        self.span(a.min(b), a.max(b), rows)
    }

    /// The columns that may be covered in these rows.
    fn columns(&self, [top, bottom]: [usize; 2], columns: usize) -> (usize, usize) {
        let [a, b] = self.ends;
        // The part of the line that is near enough.
        let (top, bottom) = (top as f32 - self.reach(), bottom as f32 + self.reach());
        let at = |y: f32| a[0] + ((y - a[1]) / (b[1] - a[1])).clamp(0.0, 1.0) * (b[0] - a[0]);
        let (from, to) = if a[1] == b[1] { (a[0], b[0]) } else { (at(top), at(bottom)) };
        self.span(from.min(to), from.max(to), columns)
    }

    fn span(&self, from: f32, to: f32, size: usize) -> (usize, usize) {
        let low = (from - self.reach()).floor().clamp(0.0, size as f32) as usize;
        let high = (to + self.reach()).ceil().clamp(0.0, size as f32) as usize;
        (low, high.max(low))
    }

    /// How far from the line a partly covered pixel may lie.
    fn reach(&self) -> f32 {
        self.radius + 1.0
    }

    /// How much of the pixel around this point is covered.
    fn cover(&self, p: [f32; 2]) -> f32 {
        (self.radius + 0.5 - self.distance(p)).clamp(0.0, 1.0)
    }

    fn distance(&self, p: [f32; 2]) -> f32 {
        let [a, b] = self.ends;
        let (pa, ba) = ([p[0] - a[0], p[1] - a[1]], [b[0] - a[0], b[1] - a[1]]);
        let length_squared = ba[0] * ba[0] + ba[1] * ba[1];
        let along = if length_squared > 0.0 {
            ((pa[0] * ba[0] + pa[1] * ba[1]) / length_squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let (x, y) = (pa[0] - along * ba[0], pa[1] - along * ba[1]);
        (x * x + y * y).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Pixels, SampleRange, Subsampling};
    use bodyscript_protocol::pose::{LANDMARKS, Landmark};

    fn pose(visibility: f32) -> Pose {
        let mut pose = [Landmark::default(); LANDMARKS];
        for (i, landmark) in pose.iter_mut().enumerate() {
            landmark.x = 0.1 + 0.8 * (i % 6) as f32 / 5.0;
            landmark.y = 0.1 + 0.8 * (i / 6) as f32 / 5.0;
            landmark.visibility = visibility;
        }
        pose
    }

    #[test]
    fn only_visible_landmarks_are_drawn() {
        let black = Picture::new(Layout { width: 64, height: 48, ..Layout::default() });
        let mut picture = black.clone();
        draw(&mut picture, &pose(0.49));
        assert_eq!(picture, black);
        draw(&mut picture, &pose(0.51));
        assert_eq!(picture.pixel((0.1 * 64.0) as usize, (0.1 * 48.0) as usize), JOINT);
    }

    /// Every kind of picture.
    fn layouts(width: u32, height: u32) -> impl Iterator<Item = Layout> {
        let all = [Subsampling::Yuv420, Subsampling::Yuv422, Subsampling::Yuv444];
        let ranges = [SampleRange::Limited, SampleRange::Full];
        all.into_iter().flat_map(move |subsampling| {
            ranges.map(|range| Layout { width, height, subsampling, range })
        })
    }

    #[test]
    fn a_line_has_its_colour_and_leaves_other_pixels_unchanged() {
        for layout in layouts(101, 61) {
            for rgb in [FACE, TORSO, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG] {
                let mut picture = Picture::new(layout);
                picture.fill([60, 90, 120]);
                let plain = picture.clone();
                let capsule = Capsule { ends: [[20.0, 10.0], [80.0, 50.0]], radius: 4.0 };
                Canvas::of(&mut picture).draw(&capsule, rgb);
                let mut covered = 0;
                for (y, x) in (0..61).flat_map(|y| (0..101).map(move |x| (y, x))) {
                    let distance = capsule.distance([x as f32 + 0.5, y as f32 + 0.5]);
                    let seen = picture.pixel(x, y);
                    // The chroma of a pixel is that of the square of two by two it lies in.
                    if distance <= 2.0 {
                        covered += 1;
                        let off = seen.iter().zip(rgb).map(|(a, b)| a.abs_diff(b)).max();
                        assert!(off <= Some(3), "{layout:?} {rgb:?}: {seen:?} at {x}, {y}");
                    } else if distance >= 6.5 {
                        assert_eq!(seen, plain.pixel(x, y), "{layout:?} {rgb:?}: {x}, {y}");
                    }
                }
                assert!(covered > 200, "{covered}");
            }
        }
    }

    #[test]
    fn nothing_is_left_of_what_is_covered() {
        for layout in layouts(101, 61) {
            let of_one_colour = |rgb| {
                let mut picture = Picture::new(layout);
                picture.fill(rgb);
                picture
            };
            let mut picture = of_one_colour([200, 60, 20]);
            cover(&mut picture, Cover { ends: [[30.0, 30.0], [70.0, 30.0]], radius: 12.0 });
            let covered = of_one_colour(COVER);
            for (x, y) in [(21, 30), (50, 39), (79, 30)] {
                assert_eq!(picture.pixel(x, y), covered.pixel(x, y), "{layout:?}: {x}, {y}");
            }
            cover(&mut picture, Cover::EVERYTHING);
            assert_eq!(picture, covered, "{layout:?}");
        }
    }

    #[test]
    fn every_covered_pixel_is_drawn_at_any_angle() {
        for layout in layouts(33, 27) {
            for number in 0..64 {
                let angle = number as f32 * 0.1;
                let (dx, dy) = (30.0 * angle.cos(), 30.0 * angle.sin());
                let ends = [[16.0, 13.0], [16.0 + dx, 13.0 + dy]];
                let capsule = Capsule { ends, radius: 1.0 + number as f32 * 0.05 };
                let mut picture = Picture::new(layout);
                Canvas::of(&mut picture).draw(&capsule, JOINT);
                let [luma, ..] = picture.planes();
                let [dark, _, _] = colour::of_rgb([0; 3], layout.range);
                let [bright, _, _] = colour::of_rgb(JOINT, layout.range);
                for (at, level) in luma.iter().enumerate() {
                    let (x, y) = ((at % 33) as f32 + 0.5, (at / 33) as f32 + 0.5);
                    let mut expected = dark;
                    blend(&mut expected, bright.into(), capsule.cover([x, y]));
                    assert_eq!(*level, expected, "{layout:?} {ends:?}: {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn landmarks_outside_the_picture_or_not_finite_do_not_panic() {
        let mut picture = Picture::new(Layout { width: 64, height: 48, ..Layout::default() });
        let mut pose = pose(1.0);
        for (i, bad) in [f32::NAN, f32::INFINITY, -1e30, 3.9, -3.9].into_iter().enumerate() {
            pose[2 * i].x = bad;
            pose[2 * i + 1].y = bad;
        }
        draw(&mut picture, &pose);
    }

    #[test]
    fn every_limb_has_its_own_colour() {
        let limbs = [(2, 3), (23, 24), (13, 15), (14, 16), (27, 31), (28, 32)];
        let colors: Vec<_> = limbs.iter().map(|(from, to)| color(*from, *to)).collect();
        assert_eq!(colors, [FACE, TORSO, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG]);
        for (i, a) in colors.iter().enumerate() {
            for b in &colors[..i] {
                let distance: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                assert!(distance > 60, "{a:?} and {b:?}");
            }
        }
    }
}
