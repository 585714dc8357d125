//! Colours: every matrix and range that a file can state gives the samples of the reference pipeline
//! (`docs/adr/0004`), to within four levels of 255.

use crate::clip::{self, Clip, PLAIN};
use crate::{LIMITS, decode};

/// Largest error of high-quality encoding and rounding, in levels of 255.
const TOLERANCE: f64 = 4.0;

/// Weights of red and blue in luma.
type Matrix = (f64, f64);

const BT601: Matrix = (0.299, 0.114);
const BT709: Matrix = (0.2126, 0.0722);
const BT2020: Matrix = (0.2627, 0.0593);

/// The result for a colour that is stored with one matrix and read with that of BT.601.
fn read_as_601([red, green, blue]: [f64; 3], (kr, kb): Matrix) -> [f64; 3] {
    let luma = kr * red + (1.0 - kr - kb) * green + kb * blue;
    let (u, v) = ((blue - luma) / (2.0 - 2.0 * kb), (red - luma) / (2.0 - 2.0 * kr));
    let (kr, kb) = BT601;
    let (red, blue) = (luma + (2.0 - 2.0 * kr) * v, luma + (2.0 - 2.0 * kb) * u);
    [red, (luma - kr * red - kb * blue) / (1.0 - kr - kb), blue]
        .map(|value| value.clamp(0.0, 255.0))
}

#[test]
fn every_matrix_and_range_gives_the_colours_of_the_reference() {
    // In two steps: GStreamer 1.22 does not convert the range together with the format.
    for (colorimetry, matrix) in [
        ("2:4:16:4", BT601), // limited range
        ("1:4:16:4", BT601), // full range
        ("2:3:5:1", BT709),
        ("1:3:5:1", BT709),
        ("2:6:13:7", BT2020),
        ("1:6:13:7", BT2020),
    ] {
        for format in ["I420", "I420_10LE", "Y444"] {
            let encoder = format!(
                "videoconvert ! video/x-raw,format=I420,colorimetry=(string){colorimetry} \
                 ! videoconvert ! video/x-raw,format={format},colorimetry=(string){colorimetry} \
                 ! x264enc pass=qual quantizer=8"
            );
            let clip = Clip { encoder: encoder.leak(), frames: 5, ..PLAIN };
            let decoded = decode(clip.make(), &LIMITS).expect("decodes");
            let what = format!("{colorimetry} {format}");
            clip::assert_levels(&what, &decoded.levels, 0..5);
            let expected = read_as_601([200.0, 0.0, 0.0], matrix);
            let found = clip::patch(&decoded.last, 20, 16);
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off <= TOLERANCE, "{what}: {found:?} is not {expected:?}");
        }
    }
}

#[test]
fn odd_sizes_keep_their_last_row_and_column() {
    for (encoder, muxer) in [
        ("videocrop right=1 bottom=1 ! vp8enc deadline=1", "webmmux"),
        ("videocrop right=1 bottom=1 ! vp9enc deadline=1 cpu-used=8 ! vp9parse", "webmmux"),
        (
            "videocrop right=1 bottom=1 ! videoconvert ! video/x-raw,colorimetry=(string)1:4:0:0 \
             ! jpegenc quality=95",
            "qtmux",
        ),
    ] {
        let clip = Clip { encoder, muxer, frames: 5, ..PLAIN };
        let decoded = decode(clip.make(), &LIMITS).unwrap_or_else(|e| panic!("{encoder}: {e}"));
        assert_eq!((decoded.probe.width, decoded.probe.height), (159, 119), "{encoder}");
        assert_eq!((decoded.last.width, decoded.last.height), (159, 119), "{encoder}");
        clip::assert_levels(encoder, &decoded.levels, 0..5);
        let corner = clip::patch(&decoded.last, 151, 111);
        let level = f64::from(clip::level(4));
        assert!(
            corner.iter().all(|value| (value - level).abs() < TOLERANCE),
            "{encoder}: {corner:?}"
        );
    }
}
