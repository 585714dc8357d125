//! Creates the clips of the tests. Every frame is plain grey, of a level that identifies its number,
//! with a red corner at the upper left that identifies the orientation.

use bodyscript_worker::picture::RgbPicture;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use tempfile::NamedTempFile;

/// Difference between the levels of two successive frames.
const STEP: u32 = 8;

/// The properties of a clip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clip {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames: u32,
    pub(crate) rate: (u32, u32),
    /// Further properties of the raw pictures.
    pub(crate) raw: &'static str,
    /// Elements from raw pictures to coded ones.
    pub(crate) encoder: &'static str,
    /// For encoders that lose the times of their pictures: elements that read them from an AVI file,
    /// which states a constant rate, and so restore the times; empty for all others.
    pub(crate) retimed: &'static str,
    /// Elements from coded pictures to a file, `m` the name of the last one.
    pub(crate) muxer: &'static str,
    /// Further branches, which may feed `m.`.
    pub(crate) beside: &'static str,
}

/// A second of small H.264 in MP4.
pub(crate) const PLAIN: Clip = Clip {
    width: 160,
    height: 120,
    frames: 30,
    rate: (30, 1),
    raw: "",
    encoder: "x264enc bframes=2 key-int-max=12",
    retimed: "",
    muxer: "mp4mux name=m",
    beside: "",
};

impl Clip {
    /// The clip as a file, open for reading.
    pub(crate) fn make(&self) -> File {
        self.named().reopen().expect("the clip opens")
    }

    /// The bytes of the clip.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.named().path()).expect("the clip is readable")
    }

    pub(crate) fn named(&self) -> NamedTempFile {
        let file = NamedTempFile::new().expect("a temporary file");
        let Self { width, height, rate: (num, den), raw, encoder, muxer, .. } = self;
        let coded = format!(
            "fdsrc fd=0 ! rawvideoparse format=rgb width={width} height={height} \
             framerate={num}/{den} {raw} ! videoconvert ! video/x-raw,format=I420 ! {encoder}"
        );
        let pictures = (0..self.frames).flat_map(|number| self.picture(number).rgb);
        let pictures = pictures.collect::<Vec<_>>();
        let end = format!("{muxer} ! filesink location={} {}", file.path().display(), self.beside);
        if self.retimed.is_empty() {
            launch(&format!("{coded} ! {end}"), &pictures);
        } else {
            let untimed = NamedTempFile::new().expect("a temporary file");
            let path = untimed.path().display();
            launch(&format!("{coded} ! avimux ! filesink location={path}"), &pictures);
            launch(&format!("filesrc location={path} ! {} ! {end}", self.retimed), &[]);
        }
        file
    }

    fn picture(&self, number: u32) -> RgbPicture {
        let mut picture = RgbPicture::new(self.width, self.height);
        picture.rgb.fill(level(number) as u8);
        for y in 0..self.height / 3 {
            for pixel in picture.row_mut(y)[..self.width as usize].chunks_exact_mut(3) {
                pixel.copy_from_slice(&[200, 0, 0]);
            }
        }
        picture
    }
}

/// Runs a graph with the system's own plugins, `input` on its standard input.
pub(crate) fn launch(graph: &str, input: &[u8]) {
    let mut child = Command::new("gst-launch-1.0")
        // A crash ends it instead of waiting for a debugger.
        .args(["-q", "--no-fault"])
        .args(graph.split_whitespace())
        // Set in this process for the code under test.
        .env_remove("GST_REGISTRY_DISABLE")
        .env_remove("ORC_CODE")
        .stdin(Stdio::piped())
        .spawn()
        .expect("gst-launch-1.0 runs; install gstreamer1.0-tools");
    let written = child.stdin.take().expect("piped").write_all(input);
    assert!(child.wait().expect("gst-launch-1.0 ends").success(), "{graph}");
    written.expect("gst-launch-1.0 reads the pictures");
}

/// Level of frame `number`.
pub(crate) fn level(number: u32) -> u32 {
    20 + number * STEP % 208
}

/// Mean level of the plain middle of a picture.
pub(crate) fn level_of(picture: &RgbPicture) -> f64 {
    let (x, y) = (picture.width * 5 / 8, picture.height * 5 / 8);
    patch(picture, x, y).iter().sum::<f64>() / 3.0
}

/// Mean red, green and blue of eight by eight pixels from this one on.
pub(crate) fn patch(picture: &RgbPicture, x: u32, y: u32) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for y in y..y + 8 {
        for pixel in picture.row(y)[x as usize * 3..][..24].chunks_exact(3) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += f64::from(*value) / 64.0;
            }
        }
    }
    sums
}

/// Asserts that the frames are those of a clip, in order, none missing or repeated.
pub(crate) fn assert_levels(what: &str, levels: &[f64], numbers: impl Iterator<Item = u32>) {
    let expected: Vec<_> = numbers.map(|number| f64::from(level(number))).collect();
    assert_eq!(levels.len(), expected.len(), "{what}: frames");
    for (number, (level, expected)) in levels.iter().zip(&expected).enumerate() {
        let off = (level - expected).abs();
        assert!(off < f64::from(STEP) / 2.0, "{what}: frame {number} is {level}, not {expected}");
    }
}

/// Asserts that a patch is the red of the corner.
pub(crate) fn assert_red(what: &str, [red, green, blue]: [f64; 3]) {
    assert!(red > 170.0 && green < 40.0 && blue < 40.0, "{what}: {red} {green} {blue} is not red");
}
