//! How the pictures of each track are turned, by its projection (RFC 9559, 5.1.4.1.28.41): cameras
//! that are held sideways state a roll. Called by `orientation`.

use super::elements::{elements, first, float, unsigned};
use std::fs::File;
use std::io;
use std::ops::Range;

/// The first bytes of every file.
const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK: u32 = 0xae;
const TRACK_NUMBER: u32 = 0xd7;
const VIDEO: u32 = 0xe0;
const PROJECTION: u32 = 0x7670;
const PROJECTION_TYPE: u32 = 0x7671;
const YAW: u32 = 0x7673;
const PITCH: u32 = 0x7674;
const ROLL: u32 = 0x7675;

/// A rotation of flat pictures, in degrees.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::video) struct Pose {
    /// Around the vertical axis.
    pub(in crate::video) yaw: f64,
    /// Around the horizontal axis.
    pub(in crate::video) pitch: f64,
    /// In the plane of the picture, anticlockwise.
    pub(in crate::video) roll: f64,
}

/// The tracks of this file that state a pose, by their number; none of another container.
pub(in crate::video) fn poses(file: &File) -> io::Result<Vec<(u64, Pose)>> {
    let whole = 0..file.metadata()?.len();
    let Some(header) = elements(file, whole.clone()).next().transpose()? else {
        return Ok(Vec::new());
    };
    if header.id != EBML {
        return Ok(Vec::new());
    }
    let Some(segment) = first(file, &whole, SEGMENT)? else { return Ok(Vec::new()) };
    let Some(tracks) = first(file, &segment, TRACKS)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for track in elements(file, tracks) {
        let track = track?;
        if track.id == TRACK {
            found.extend(pose_of(file, &track.contents)?);
        }
    }
    Ok(found)
}

/// Number and pose of a track; none where it states no pose of flat pictures.
fn pose_of(file: &File, track: &Range<u64>) -> io::Result<Option<(u64, Pose)>> {
    let number = first(file, track, TRACK_NUMBER)?;
    let number = number.map(|number| unsigned(file, &number)).transpose()?.flatten();
    let Some(video) = first(file, track, VIDEO)? else { return Ok(None) };
    let Some(projection) = first(file, &video, PROJECTION)? else { return Ok(None) };
    let mut pose = Pose::default();
    for element in elements(file, projection) {
        let element = element?;
        let angle = match element.id {
            // Spherical pictures are not turned, they are looked at from elsewhere.
            PROJECTION_TYPE if unsigned(file, &element.contents)?.is_some_and(|kind| kind != 0) => {
                return Ok(None);
            }
            YAW => &mut pose.yaw,
            PITCH => &mut pose.pitch,
            ROLL => &mut pose.roll,
            _ => continue,
        };
        *angle = float(file, &element.contents)?.unwrap_or(0.0);
    }
    Ok(number.map(|number| (number, pose)))
}
