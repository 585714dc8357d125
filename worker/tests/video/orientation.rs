//! Pictures are decoded upright, for every matrix of an MP4 track (ISO/IEC 14496-12, 8.3.2) and every
//! pose of a Matroska track (RFC 9559, 5.1.4.1.28.41).

use crate::clip::{self, Clip, PLAIN};
use crate::{LIMITS, decode, file_of};

/// The matrices' a, b, c, d are 16.16 fixed point.
const ONE: i32 = 0x1_0000;

/// A second of pictures whose track has this matrix.
fn clip_with([a, b, c, d]: [i32; 4]) -> Vec<u8> {
    let mut bytes = PLAIN.bytes();
    let track = bytes.windows(4).position(|w| w == b"tkhd").expect("a track header") + 4;
    for (entry, value) in [(0, a), (1, b), (3, c), (4, d)] {
        bytes[track + 40 + 4 * entry..][..4].copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

#[test]
fn rotated_and_mirrored_footage_is_decoded_upright() {
    const NO: i32 = -ONE;
    // Matrix; rotation, and whether the picture is mirrored; upright size; and position of the upper
    // left of a patch in the red corner, which is 53 by 40 pixels.
    for (matrix, degrees, mirrored, size, red) in [
        ([ONE, 0, 0, ONE], 0, false, (160, 120), (22, 16)),
        ([0, ONE, NO, 0], 90, false, (120, 160), (96, 22)),
        ([NO, 0, 0, NO], 180, false, (160, 120), (130, 96)),
        ([0, NO, ONE, 0], 270, false, (120, 160), (16, 130)),
        ([NO, 0, 0, ONE], 0, true, (160, 120), (130, 16)),
        ([0, NO, NO, 0], 90, true, (120, 160), (96, 130)),
        ([ONE, 0, 0, NO], 180, true, (160, 120), (22, 96)),
        ([0, ONE, ONE, 0], 270, true, (120, 160), (16, 22)),
        ([2 * ONE, 0, 0, 2 * NO], 180, true, (160, 120), (22, 96)),
        ([ONE, ONE, NO, ONE], 0, false, (160, 120), (22, 16)),
    ] {
        let decoded = decode(file_of(&clip_with(matrix)), &LIMITS)
            .unwrap_or_else(|error| panic!("{matrix:?}: {error}"));
        let probe = decoded.probe;
        assert_eq!((probe.rotation_degrees, probe.mirrored), (degrees, mirrored), "{matrix:?}");
        assert_eq!((probe.width, probe.height), size, "{matrix:?}");
        assert_eq!((decoded.last.width, decoded.last.height), size, "{matrix:?}");
        clip::assert_red(&format!("{matrix:?}"), clip::patch(&decoded.last, red.0, red.1));
        let centre = clip::patch(&decoded.last, size.0 / 2, size.1 / 2);
        let level = f64::from(clip::level(29));
        assert!(centre.iter().all(|value| (value - level).abs() < 4.0), "{matrix:?}: {centre:?}");
    }
}

/// A second of pictures whose track has this pose: the muxer's element of colours, of 16 bytes, is
/// replaced.
fn posed(yaw: f32, roll: f32) -> Vec<u8> {
    let mut bytes = Clip { muxer: "matroskamux name=m", ..PLAIN }.bytes();
    let colours = [0x55, 0xb0, 1, 0, 0, 0, 0, 0, 0, 16];
    let at = bytes.windows(10).position(|window| window == colours).expect("colours");
    bytes[at..at + 2].copy_from_slice(&[0x76, 0x70]);
    let angle = |id: [u8; 3], degrees: f32| [id.as_slice(), &degrees.to_be_bytes()].concat();
    // Two angles of four bytes each, and an empty element.
    let pose = [angle([0x76, 0x73, 0x84], yaw), angle([0x76, 0x75, 0x84], roll), vec![0xec, 0x80]];
    bytes[at + 10..at + 26].copy_from_slice(&pose.concat());
    bytes
}

#[test]
fn posed_matroska_footage_is_decoded_upright() {
    for (yaw, roll, degrees, mirrored, size, red) in [
        (0.0, 0.0, 0, false, (160, 120), (22, 16)),
        (0.0, -90.0, 90, false, (120, 160), (96, 22)),
        (0.0, 180.0, 180, false, (160, 120), (130, 96)),
        (0.0, 90.0, 270, false, (120, 160), (16, 130)),
        (180.0, 0.0, 0, true, (160, 120), (130, 16)),
        (0.0, 30.0, 0, false, (160, 120), (22, 16)),
    ] {
        let what = format!("yaw {yaw}, roll {roll}");
        let decoded = decode(file_of(&posed(yaw, roll)), &LIMITS)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let probe = decoded.probe;
        assert_eq!((probe.rotation_degrees, probe.mirrored), (degrees, mirrored), "{what}");
        assert_eq!((probe.width, probe.height), size, "{what}");
        clip::assert_red(&what, clip::patch(&decoded.last, red.0, red.1));
    }
}
