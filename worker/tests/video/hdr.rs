//! High dynamic range: pictures are mapped to BT.709 by depth and tags, in every coding, shape and
//! orientation that recorders use.

use crate::clip::{self, Clip, PLAIN};
use crate::{Decoded, LIMITS, decode};
use bodyscript_worker::video::Colours;

/// Errors of coding and rounding, in levels of 255.
const TOLERANCE: f64 = 3.0;
/// Levels of the frames 0, 5, 10, ..., whose values are 20/255, 60/255, ... of the signal, on a display
/// of 100 nits. Computed from the formulas of BT.2100 and BT.2390 for a peak of 1000 nits.
const PQ_LEVELS: [f64; 6] = [18.1, 67.9, 153.8, 233.8, 254.7, 255.0];
const HLG_LEVELS: [f64; 6] = [30.1, 90.4, 150.7, 198.7, 235.0, 252.7];

pub(crate) const H265: &str = "x265enc speed-preset=ultrafast qp=8 ! h265parse";
const H264: &str = "x264enc pass=qual quantizer=8 ! video/x-h264,profile=high-10 ! h264parse";
const VP9: &str = "vp9enc deadline=1 cpu-used=8 target-bitrate=8000000 ! vp9parse";

/// A clip whose values are tagged with a colorimetry, not converted to it.
pub(crate) fn tagged(
    format: &str,
    colorimetry: &str,
    (encoder, muxer): (&str, &'static str),
) -> Clip {
    let matrix = "colorimetry=(string)2:6:16:7";
    let encoder = format!(
        "videoconvert ! video/x-raw,format={format},{matrix} \
         ! capssetter caps=video/x-raw,colorimetry=(string){colorimetry} ! {encoder}"
    );
    Clip { encoder: encoder.leak(), muxer, frames: 26, ..PLAIN }
}

fn assert_levels(what: &str, decoded: &Decoded, expected: [f64; 6]) {
    assert_eq!(decoded.levels.len(), 26, "{what}");
    for (found, expected) in decoded.levels.iter().step_by(5).zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= TOLERANCE, "{what}: {:?}: not {expected}", decoded.levels);
    }
    // BT.709 is what is assumed for large pictures.
    assert_eq!(decoded.probe.colours, Colours::assumed(1080), "{what}");
}

#[test]
fn hdr_of_every_coding_is_mapped() {
    for (coding, format) in [
        ((H265, "mp4mux"), "I420_10LE"),
        ((H265, "qtmux"), "I420_10LE"),
        ((H265, "matroskamux"), "I422_10LE"),
        ((H265, "mpegtsmux"), "I420_10LE"),
        ((H264, "mp4mux"), "I420_10LE"),
        ((VP9, "webmmux"), "I420_10LE"),
    ] {
        for (colorimetry, levels) in [("bt2100-pq", PQ_LEVELS), ("bt2100-hlg", HLG_LEVELS)] {
            let what = format!("{coding:?} {format} {colorimetry}");
            let decoded = decode(tagged(format, colorimetry, coding).make(), &LIMITS);
            assert_levels(&what, &decoded.unwrap_or_else(|e| panic!("{what}: {e}")), levels);
        }
    }
}

#[test]
fn hdr_with_oblong_pixels_or_twelve_bits_is_mapped() {
    let oblong = Clip {
        raw: "pixel-aspect-ratio=2/1",
        ..tagged("I420_10LE", "bt2100-pq", (H265, "mp4mux"))
    };
    let decoded = decode(oblong.make(), &LIMITS).expect("decodes");
    assert_eq!((decoded.last.width, decoded.last.height), (320, 120));
    assert_levels("oblong", &decoded, PQ_LEVELS);
    let deep = tagged("I420_12LE", "bt2100-pq", (H265, "mp4mux"));
    assert_levels("twelve bits", &decode(deep.make(), &LIMITS).expect("decodes"), PQ_LEVELS);
}

#[test]
fn eight_bits_with_a_tag_of_hdr_keep_their_levels_and_their_tag() {
    for colorimetry in ["bt2100-pq", "bt2100-hlg"] {
        for coding in [(H265, "mp4mux"), ("x264enc pass=qual quantizer=8", "mpegtsmux")] {
            let clip = tagged("I420", colorimetry, coding);
            let decoded = decode(clip.make(), &LIMITS).expect("decodes");
            clip::assert_levels(colorimetry, &decoded.levels, 0..26);
            assert_ne!(decoded.probe.colours, Colours::assumed(1080), "{colorimetry}");
        }
    }
}

#[test]
fn ten_bits_of_standard_range_keep_their_levels() {
    for colorimetry in ["bt709", "bt2020-10"] {
        let clip = tagged("I420_10LE", colorimetry, (H265, "mp4mux"));
        let decoded = decode(clip.make(), &LIMITS).expect("decodes");
        clip::assert_levels(colorimetry, &decoded.levels, 0..26);
    }
}

#[test]
fn a_higher_peak_in_the_metadata_darkens_what_is_below_it() {
    let levels = |nits: u32| {
        let metadata = format!(
            "bt2100-pq,content-light-level=(string){nits}:100,mastering-display-info=(string)\
             34000:16000:13250:34500:7500:3000:15635:16450:{nits}0000:1"
        );
        let clip = tagged("I420_10LE", &metadata, (H265, "mp4mux"));
        decode(clip.make(), &LIMITS).expect("decodes").levels
    };
    // Frame 15 has 150 nits, whose level is 20 lower for the higher peak.
    let (low, high) = (levels(1000), levels(4000));
    assert!((low[15] - PQ_LEVELS[3]).abs() <= TOLERANCE, "{low:?}");
    assert!((high[15] - 213.6).abs() <= TOLERANCE, "{high:?}");
}
