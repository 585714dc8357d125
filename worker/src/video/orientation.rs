//! The rotation that makes a picture upright, from the orientation tag of the container (a camera
//! held sideways stores its pictures sideways and adds the tag). Called by `source` and `decode`.
//!
//! The matrices of MP4 tracks are read here (ISO/IEC 14496-12, 8.3.2), because the demuxer supports
//! rotations, but not mirroring; and so are the poses of Matroska tracks, which it ignores.

use super::matroska::{self, Pose};
use super::mp4::contents_of;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A rotation, possibly of the mirrored picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation {
    /// Clockwise rotation that makes the picture upright: 0, 90, 180 or 270.
    pub(super) degrees: u32,
    /// Whether the stored picture is mirrored left to right before that rotation.
    pub(super) mirrored: bool,
    /// Value of `videoflip`'s `video-direction`.
    pub(super) direction: &'static str,
}

/// The values of the tag `image-orientation` and the rotations that undo them. A `flip-` value is
/// mirrored left to right before it is rotated.
const ORIENTATIONS: [(&str, Orientation); 8] = [
    ("rotate-0", rotated(0, "identity")),
    ("rotate-90", rotated(90, "90r")),
    ("rotate-180", rotated(180, "180")),
    ("rotate-270", rotated(270, "90l")),
    ("flip-rotate-0", mirrored(0, "horiz")),
    ("flip-rotate-90", mirrored(90, "ur-ll")),
    ("flip-rotate-180", mirrored(180, "vert")),
    ("flip-rotate-270", mirrored(270, "ul-lr")),
];

/// How far a stated rotation may be from whole quarters, in quarters: a degree.
const QUARTERS_OFF_MAX: f64 = 1.0 / 90.0;

const fn rotated(degrees: u32, direction: &'static str) -> Orientation {
    Orientation { degrees, mirrored: false, direction }
}

const fn mirrored(degrees: u32, direction: &'static str) -> Orientation {
    Orientation { degrees, mirrored: true, direction }
}

impl Orientation {
    /// No rotation.
    pub(super) const UPRIGHT: Self = ORIENTATIONS[0].1;

    /// The orientation of the tags at this pad; upright without one.
    pub(super) fn of(pad: &gst::Pad) -> Self {
        let mut found = Self::UPRIGHT;
        pad.sticky_events_foreach(|event| {
            if let gst::EventView::Tag(tag) = event.view()
                && let Some(value) = tag.tag().get::<gst::tags::ImageOrientation>()
                && let Some((_, known)) = ORIENTATIONS.iter().find(|(name, _)| *name == value.get())
            {
                found = *known;
            }
            std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
        });
        found
    }

    /// The orientation that undoes the linear part a, b, c, d of a matrix, if it consists of quarter
    /// turns and mirroring; scales are ignored. A point is mapped to (a x + c y, b x + d y).
    fn of_matrix(matrix: [i32; 4]) -> Option<Self> {
        let direction = match matrix.map(i32::signum) {
            [1, 0, 0, 1] => "identity",
            [0, 1, -1, 0] => "90r",
            [-1, 0, 0, -1] => "180",
            [0, -1, 1, 0] => "90l",
            [-1, 0, 0, 1] => "horiz",
            [0, -1, -1, 0] => "ur-ll",
            [1, 0, 0, -1] => "vert",
            [0, 1, 1, 0] => "ul-lr",
            _ => return None,
        };
        ORIENTATIONS.iter().map(|(_, known)| *known).find(|known| known.direction == direction)
    }

    /// The orientation that undoes a pose, if it consists of quarter turns and mirroring, the latter
    /// stated as a view from behind.
    fn of_pose(Pose { yaw, pitch, roll }: Pose) -> Option<Self> {
        let mirrored = match yaw.abs() {
            0.0 => false,
            180.0 => true,
            _ => return None,
        };
        let quarters = (-roll / 90.0).round();
        let off = (-roll / 90.0 - quarters).abs();
        if pitch != 0.0 || off.is_nan() || off > QUARTERS_OFF_MAX {
            return None;
        }
        let degrees = quarters.rem_euclid(4.0) as u32 * 90;
        let mut known = ORIENTATIONS.iter().map(|(_, known)| *known);
        known.find(|known| (known.degrees, known.mirrored) == (degrees, mirrored))
    }

    /// Size of a picture after the rotation.
    pub(super) const fn rotated_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.degrees.is_multiple_of(180) { (width, height) } else { (height, width) }
    }
}

/// The orientation of each track of an MP4, QuickTime or Matroska file, by the track's number.
#[derive(Default)]
pub(super) struct TrackOrientations(BTreeMap<u64, Orientation>);

impl TrackOrientations {
    /// The orientations of this file; none if it is another container.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut orientations = BTreeMap::new();
        let whole = 0..file.metadata()?.len();
        for header in contents_of(file, whole, &[*b"moov", *b"trak", *b"tkhd"])? {
            if let Some((number, matrix)) = header_of(file, header)?
                && let Some(orientation) = Orientation::of_matrix(matrix)
            {
                orientations.insert(number.into(), orientation);
            }
        }
        for (number, pose) in matroska::poses(file)? {
            orientations.extend(Orientation::of_pose(pose).map(|found| (number, found)));
        }
        Ok(Self(orientations))
    }

    /// The orientation of the track at this pad.
    pub(super) fn at(&self, pad: &gst::Pad) -> Option<Orientation> {
        self.0.get(&track_number(pad)?).copied()
    }
}

/// The number of the track at this pad: the demuxer of MP4 ends a stream's name with it, that of
/// Matroska with it, a colon and another identifier.
pub(super) fn track_number(pad: &gst::Pad) -> Option<u64> {
    let name = pad.stream_id()?;
    let (_, end) = name.rsplit_once('/')?;
    end.split(':').next()?.parse().ok()
}

/// Number and matrix of a track header; from version 1 on its times have 64 bits.
fn header_of(file: &File, header: Range<u64>) -> io::Result<Option<(u32, [i32; 4])>> {
    let mut bytes = [0; 52 + 20];
    let length = (header.end - header.start).min(bytes.len() as u64) as usize;
    file.read_exact_at(&mut bytes[..length], header.start)?;
    let (number, matrix) = if bytes[0] == 0 { (12, 40) } else { (20, 52) };
    if length < matrix + 20 {
        return Ok(None);
    }
    let word =
        |at: usize| i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let linear = [matrix, matrix + 4, matrix + 12, matrix + 16].map(word);
    Ok(Some((word(number).cast_unsigned(), linear)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pose_of_quarters_and_mirroring_is_undone() {
        let undone = |yaw, pitch, roll| {
            let orientation = Orientation::of_pose(Pose { yaw, pitch, roll });
            orientation.map(|found| (found.degrees, found.mirrored))
        };
        for (roll, degrees) in
            [(0.0, 0), (-90.0, 90), (180.0, 180), (-180.0, 180), (90.0, 270), (-269.5, 270)]
        {
            assert_eq!(undone(0.0, 0.0, roll), Some((degrees, false)), "{roll}");
            assert_eq!(undone(-180.0, 0.0, roll), Some((degrees, true)), "{roll} mirrored");
        }
        for (yaw, pitch, roll) in [
            (0.0, 0.0, 45.0),
            (90.0, 0.0, 0.0),
            (0.0, 10.0, 0.0),
            (0.0, 0.0, f64::NAN),
            (0.0, 0.0, f64::INFINITY),
            (f64::NAN, 0.0, 0.0),
        ] {
            assert_eq!(undone(yaw, pitch, roll), None, "{yaw} {pitch} {roll}");
        }
    }
}
