//! The picture that the frames of an animation are drawn on, in luma and chroma. Called by `gif` and
//! `apng`.
//!
//! It has no alpha: whatever is transparent shows white, as on a page. Colours are converted by
//! BT.601, by which they are converted back for the networks (`docs/adr/0004`).

use crate::video::colour::RGB_AS_SAMPLES;
use gstreamer as gst;
use gstreamer_video::{VideoCapsBuilder, VideoFormat};

/// White.
const PAPER: [u8; 3] = [235, 128, 128];

/// Part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    /// First column.
    pub(super) x: u32,
    /// First row.
    pub(super) y: u32,
    /// Columns.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
}

/// What happens to a frame's area before the next frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    /// It stays.
    Keep,
    /// It becomes transparent.
    Clear,
    /// It becomes what it was before the frame.
    Restore,
}

/// A picture.
pub(super) struct Canvas {
    width: u32,
    height: u32,
    /// Bytes from one row to the next, as GStreamer lays them out.
    stride: usize,
    /// Luma, then both kinds of chroma.
    samples: Vec<u8>,
    last: Option<(Area, Disposal)>,
    /// What the area of the last frame was before it.
    before: Vec<u8>,
}

impl Canvas {
    /// An empty picture of a size that has been checked.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let stride = (width as usize).next_multiple_of(4);
        let plane = stride * height as usize;
        let samples = PAPER.iter().flat_map(|level| std::iter::repeat_n(*level, plane)).collect();
        Self { width, height, stride, samples, last: None, before: Vec::new() }
    }

    /// Its caps.
    pub(super) fn caps(width: u32, height: u32, rate: Option<(i32, i32)>) -> gst::Caps {
        let caps = VideoCapsBuilder::new()
            .format(VideoFormat::Y444)
            .width(width as i32)
            .height(height as i32)
            .pixel_aspect_ratio(gst::Fraction::new(1, 1))
            .field("interlace-mode", "progressive")
            .field("colorimetry", RGB_AS_SAMPLES);
        let (num, den) = rate.unwrap_or((0, 1));
        caps.framerate(gst::Fraction::new(num, den)).build()
    }

    /// Disposes of the last frame and prepares for one in this area, of which only the part within
    /// the picture counts.
    pub(super) fn begin(&mut self, area: Area, disposal: Disposal) {
        match self.last.take() {
            Some((last, Disposal::Clear)) => self.clear(last),
            Some((last, Disposal::Restore)) => self.restore(last),
            Some((_, Disposal::Keep)) | None => {}
        }
        let area = self.visible(area);
        if disposal == Disposal::Restore {
            self.save(area);
        }
        self.last = Some((area, disposal));
    }

    /// Draws a pixel; those outside the picture are ignored.
    #[inline(always)]
    pub(super) fn draw(&mut self, x: u32, y: u32, samples: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = y as usize * self.stride + x as usize;
            let plane = self.stride * self.height as usize;
            for (n, sample) in samples.into_iter().enumerate() {
                self.samples[n * plane + at] = sample;
            }
        }
    }

    /// Draws a pixel over what is there.
    pub(super) fn blend(&mut self, x: u32, y: u32, samples: [u8; 3], alpha: u8) {
        if x < self.width && y < self.height {
            let at = y as usize * self.stride + x as usize;
            let plane = self.stride * self.height as usize;
            let below = [0, 1, 2].map(|n| self.samples[n * plane + at]);
            self.draw(x, y, mixed(samples, below, alpha));
        }
    }

    /// Replaces a pixel by one that is transparent to this degree.
    pub(super) fn replace(&mut self, x: u32, y: u32, samples: [u8; 3], alpha: u8) {
        self.draw(x, y, mixed(samples, PAPER, alpha));
    }

    /// The samples of the whole picture.
    pub(super) fn samples(&self) -> Vec<u8> {
        self.samples.clone()
    }

    fn visible(&self, area: Area) -> Area {
        let (x, y) = (area.x.min(self.width), area.y.min(self.height));
        let (width, height) = (area.width.min(self.width - x), area.height.min(self.height - y));
        Area { x, y, width, height }
    }

    /// The places of an area's rows, in all planes.
    fn rows(&self, area: Area) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> + use<> {
        let (stride, height) = (self.stride, self.height as usize);
        (0..3).flat_map(move |plane| {
            (area.y as usize..(area.y + area.height) as usize).map(move |row| {
                let from = (plane * height + row) * stride + area.x as usize;
                (plane, from..from + area.width as usize)
            })
        })
    }

    fn clear(&mut self, area: Area) {
        for (plane, row) in self.rows(area) {
            self.samples[row].fill(PAPER[plane]);
        }
    }

    fn save(&mut self, area: Area) {
        self.before.clear();
        for (_, row) in self.rows(area) {
            self.before.extend_from_slice(&self.samples[row]);
        }
    }

    fn restore(&mut self, area: Area) {
        let mut from = 0;
        for (_, row) in self.rows(area) {
            let bytes = row.len();
            self.samples[row].copy_from_slice(&self.before[from..from + bytes]);
            from += bytes;
        }
    }
}

/// A colour over another.
fn mixed(above: [u8; 3], below: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    std::array::from_fn(|n| {
        let sum = u32::from(above[n]) * alpha + u32::from(below[n]) * (255 - alpha);
        ((sum + 127) / 255) as u8
    })
}

/// Luma and chroma of a colour, in units of 2^-16.
#[inline(always)]
pub(super) fn samples_of(rgb: [u8; 3]) -> [u8; 3] {
    let [red, green, blue] = rgb.map(i32::from);
    let scaled = |by: [i32; 3], black: i32| {
        let sum = by[0] * red + by[1] * green + by[2] * blue;
        (((sum + (1 << 15)) >> 16) + black) as u8
    };
    [
        scaled([16_829, 33_039, 6416], 16),
        scaled([-9714, -19_070, 28_784], 128),
        scaled([28_784, -24_103, -4681], 128),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{SampleRange, colour};
    use gstreamer_video::VideoInfo;

    const WHOLE: Area = Area { x: 0, y: 0, width: 6, height: 4 };
    const GREY: [u8; 3] = [100, 128, 128];

    fn luma(canvas: &Canvas, x: usize, y: usize) -> u8 {
        canvas.samples[y * canvas.stride + x]
    }

    fn painted(area: Area, disposal: Disposal, canvas: &mut Canvas) {
        canvas.begin(area, disposal);
        for y in area.y..area.y + area.height {
            for x in area.x..area.x + area.width {
                canvas.draw(x, y, GREY);
            }
        }
    }

    #[test]
    fn colours_are_those_that_are_converted_back() {
        for n in 0..4096_u32 {
            let rgb = [n, n >> 4, n >> 8].map(|level| (level % 16 * 17) as u8);
            let exact = colour::of_rgb(rgb, SampleRange::Limited);
            let found = samples_of(rgb);
            let off = exact.iter().zip(found).map(|(a, b)| a.abs_diff(b)).max();
            assert!(off <= Some(1), "{rgb:?}: {found:?}, not {exact:?}");
        }
    }

    #[test]
    fn rows_are_where_gstreamer_expects_them() {
        gst::init().expect("GStreamer initialises");
        for (width, height) in [(6, 4), (33, 35), (64, 32)] {
            let info = VideoInfo::from_caps(&Canvas::caps(width, height, None)).expect("caps");
            let canvas = Canvas::new(width, height);
            assert_eq!(info.size(), canvas.samples.len());
            assert_eq!(info.stride()[0] as usize, canvas.stride);
            assert_eq!(info.offset()[2], 2 * canvas.stride * height as usize);
        }
    }

    #[test]
    fn a_frame_is_kept_cleared_or_undone_before_the_next() {
        let part = Area { x: 2, y: 1, width: 2, height: 2 };
        let nothing = Area { width: 0, height: 0, ..part };
        for (disposal, expected) in
            [(Disposal::Keep, 100), (Disposal::Clear, 235), (Disposal::Restore, 50)]
        {
            let mut canvas = Canvas::new(6, 4);
            canvas.samples.fill(50);
            painted(part, disposal, &mut canvas);
            assert_eq!(luma(&canvas, 3, 2), 100, "{disposal:?}: while it is shown");
            canvas.begin(nothing, Disposal::Keep);
            assert_eq!(luma(&canvas, 3, 2), expected, "{disposal:?}");
            assert_eq!(luma(&canvas, 1, 2), 50, "{disposal:?}: beside it");
        }
    }

    #[test]
    fn what_lies_outside_the_picture_is_ignored() {
        let mut canvas = Canvas::new(6, 4);
        let outside = Area { x: 5, y: 3, width: 9, height: u32::MAX - 3 };
        canvas.begin(outside, Disposal::Restore);
        canvas.draw(5, 3, GREY);
        canvas.draw(6, 3, GREY);
        canvas.blend(5, 4, GREY, 255);
        canvas.begin(Area { x: 90, y: 90, ..WHOLE }, Disposal::Clear);
        canvas.begin(WHOLE, Disposal::Keep);
        assert!(canvas.samples == Canvas::new(6, 4).samples);
    }

    #[test]
    fn transparent_colours_are_mixed_with_what_is_below_or_with_white() {
        let mut canvas = Canvas::new(6, 4);
        canvas.draw(0, 0, GREY);
        canvas.blend(0, 0, [200, 128, 128], 51);
        canvas.replace(1, 0, GREY, 0);
        canvas.replace(2, 0, GREY, 255);
        assert_eq!([0, 1, 2].map(|x| luma(&canvas, x, 0)), [120, 235, 100]);
    }
}
