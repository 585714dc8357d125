//! Pictures come out upright, whatever the matrix of an MP4 track says (ISO/IEC 14496-12, 8.3.2).

use crate::clip::{self, PLAIN};
use crate::{LIMITS, decode, file_of};

/// The matrices' a, b, c, d, as 16.16 fixed point.
const ONE: i32 = 0x1_0000;

#[test]
#[ignore = "the decoder gives something else than this clip is taken to hold"]
fn sideways_footage_is_turned() {
    // Matrix, the turn it means, the upright size, and where the red band's middle lies then.
    for (matrix, degrees, size, band) in [
        ([ONE, 0, 0, ONE], 0, (160, 120), (76, 16)),
        ([0, ONE, -ONE, 0], 90, (120, 160), (96, 76)),
        ([-ONE, 0, 0, -ONE], 180, (160, 120), (76, 96)),
        ([0, -ONE, ONE, 0], 270, (120, 160), (16, 76)),
    ] {
        let mut bytes = PLAIN.bytes();
        let track = bytes.windows(4).position(|w| w == b"tkhd").expect("a track header") + 4;
        for (entry, value) in [0, 1, 3, 4].into_iter().zip(matrix) {
            bytes[track + 40 + 4 * entry..][..4].copy_from_slice(&value.to_be_bytes());
        }
        let decoded =
            decode(file_of(&bytes), &LIMITS).unwrap_or_else(|error| panic!("{degrees}: {error}"));
        assert_eq!(decoded.probe.rotation_degrees, degrees);
        assert_eq!((decoded.probe.width, decoded.probe.height), size, "{degrees}");
        assert_eq!((decoded.last.width, decoded.last.height), size, "{degrees}");
        clip::assert_red(&degrees.to_string(), clip::patch(&decoded.last, band.0, band.1));
        let centre = clip::patch(&decoded.last, size.0 / 2, size.1 / 2);
        let level = f64::from(clip::level(29));
        assert!(centre.iter().all(|value| (value - level).abs() < 4.0), "{degrees}: {centre:?}");
    }
}
