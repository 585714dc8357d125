//! The layouts of the artefacts, as far as both sides depend on them: a worker writes by them, the supervisor
//! checks by them before it publishes.

use crate::pose::{LANDMARKS, NAMES};
use std::fmt::Write;

/// Version of the layout of all data artefacts. It rises when a reader of the previous one would
/// fail.
pub const SCHEMA_VERSION: u32 = 1;

/// The time of a frame in the file, which may be slower than life: a column of every table.
pub const SOURCE_TIME: &str = "source_time_s";

/// The columns of pose_data.csv. The first seven are those of the service's predecessor, in its order.
pub const CSV_COLUMNS: [&str; 24] = [
    "frame_id",
    "landmark_id",
    "x",
    "y",
    "z",
    "visibility",
    "strategy",
    "presence",
    "world_x",
    "world_y",
    "world_z",
    "time_s",
    "detected",
    "person_id",
    TRACK_ID,
    "metric_x",
    "metric_y",
    "metric_z",
    SOURCE_TIME,
    "x_raw",
    "y_raw",
    "z_raw",
    FILLED,
    "landmark",
];

/// The column of all tables with the number of a person's track.
pub const TRACK_ID: &str = "track_id";

/// The column of all tables that says whether a pose was interpolated.
pub const FILLED: &str = "filled";

/// Most heads of a frame in the recording of a first pass. In a frame with so many, everything is covered.
pub const RECORDED_HEADS_MAX: usize = 65;

/// Bytes of a frame in the recording of a first pass with its heads, and of a person in it.
const RECORDED_FRAME_BYTES: u64 = 22 + 12 * RECORDED_HEADS_MAX as u64;
const RECORDED_PERSON_BYTES: u64 = 12 + 32 * LANDMARKS as u64;

/// The largest size of a recording, in bytes, with this many frames and people in each.
pub const fn recording_bytes_max(frames: u64, people_max: u32) -> u64 {
    let people = RECORDED_PERSON_BYTES.saturating_mul(people_max as u64);
    frames.saturating_mul(RECORDED_FRAME_BYTES + people)
}

/// The columns of joint_angles.csv before the angles; after them come [`TRACK_ID`], [`SOURCE_TIME`] and [`FILLED`].
pub const ANGLE_KEYS: [&str; 4] = ["frame_id", "person_id", "time_s", "detected"];

/// The angles of joint_angles.csv, in the order of their columns.
pub const ANGLES: [&str; 17] = [
    "left_hip_flexion_deg",
    "left_hip_abduction_deg",
    "left_knee_flexion_deg",
    "left_ankle_dorsiflexion_deg",
    "left_shoulder_flexion_deg",
    "left_shoulder_abduction_deg",
    "left_elbow_flexion_deg",
    "right_hip_flexion_deg",
    "right_hip_abduction_deg",
    "right_knee_flexion_deg",
    "right_ankle_dorsiflexion_deg",
    "right_shoulder_flexion_deg",
    "right_shoulder_abduction_deg",
    "right_elbow_flexion_deg",
    "trunk_flexion_deg",
    "trunk_lateral_flexion_deg",
    "trunk_rotation_deg",
];

/// The lines of joint_angles.mot before those of this many rows.
pub fn mot_head(rows: u32) -> [String; 7] {
    [
        "joint_angles".into(),
        "version=1".into(),
        // As long for any number: it is written again at the end.
        format!("nRows={rows:<10}"),
        format!("nColumns={}", 1 + ANGLES.len()),
        "inDegrees=yes".into(),
        "endheader".into(),
        format!("time\t{}", ANGLES.join("\t")),
    ]
}

/// What joint_angles.mot has for an angle that is not defined, or of a person who is not there.
pub const MOT_MISSING: &str = "NaN";

/// The unit of the markers of pose.trc and the points of pose.c3d.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerUnit {
    /// Relative to the hips.
    Millimetres,
    /// In the scene, where the height of the person is known.
    Metres,
}

impl MarkerUnit {
    /// Its symbol.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Millimetres => "mm",
            Self::Metres => "m",
        }
    }
}

/// The lines of pose.trc before the one with its numbers.
pub const TRC_TITLES: [&str; 2] = [
    "PathFileType\t4\t(X/Y/Z)\tpose.trc",
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t\
     OrigNumFrames",
];

/// The lines of pose.trc after the one with its numbers: markers, axes, and an empty one.
pub fn trc_labels() -> [String; 3] {
    let mut markers = String::from("Frame#\tTime\t");
    let mut axes = String::from("\t\t");
    for (i, name) in (1..=LANDMARKS).zip(NAMES) {
        let _ = write!(markers, "{name}\t\t\t");
        let _ = write!(axes, "X{i}\tY{i}\tZ{i}\t");
    }
    [markers, axes, String::new()]
}

/// The name of a frame's document in openpose.zip.
pub fn openpose_name(frame_id: u32) -> String {
    format!("pose_{frame_id:012}_keypoints.json")
}

/// Version of OpenPose's layout that is written.
pub const OPENPOSE_VERSION: f32 = 1.3;

/// Points of one person in OpenPose's layout: its BODY_25 model.
pub const OPENPOSE_POINTS: usize = 25;

/// The landmarks that are COCO's keypoints, in its order. They have the same names.
pub const COCO_KEYPOINTS: [usize; 17] =
    [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28];

/// The lines between COCO's keypoints, which are numbered from 1.
const COCO_SKELETON: [[u8; 2]; 19] = [
    [16, 14],
    [14, 12],
    [17, 15],
    [15, 13],
    [12, 13],
    [6, 12],
    [7, 13],
    [6, 7],
    [6, 8],
    [7, 9],
    [8, 10],
    [9, 11],
    [2, 3],
    [1, 2],
    [1, 3],
    [2, 4],
    [3, 5],
    [4, 6],
    [5, 7],
];

/// The only category of COCO's keypoints: a person.
pub const COCO_PERSON: u32 = 1;

/// The first line of keypoints.coco.json; those of the annotations follow, one each.
pub fn coco_head() -> String {
    let names = COCO_KEYPOINTS.map(|landmark| NAMES[landmark]);
    format!(
        "{{\"info\":{{\"description\":\"BodyScript\",\"version\":\"{SCHEMA_VERSION}\"}},\
         \"categories\":[{{\"supercategory\":\"person\",\"id\":{COCO_PERSON},\"name\":\"person\",\
         \"keypoints\":{names:?},\"skeleton\":{COCO_SKELETON:?}}}],\"annotations\":["
    )
}

/// The line of keypoints.coco.json between the annotations and the images.
pub const COCO_IMAGES: &str = "],\"images\":[";

/// The last line of keypoints.coco.json.
pub const COCO_END: &str = "]}";

/// The name that keypoints.coco.json has for the picture of a frame.
pub fn coco_image_name(frame_id: u32) -> String {
    format!("frame_{frame_id:012}.jpg")
}

/// Most people in people.json; of more, those who are in view shortest are left out.
pub const LISTED_PEOPLE_MAX: usize = 32;

/// Longest line of people.json, in bytes: the largest picture of a person takes two thirds of it.
pub const PERSON_LINE_BYTES_MAX: u64 = 64 << 10;

/// The first line of people.json; those of the people follow, one each.
pub fn people_head() -> String {
    format!("{{\"schema_version\":{SCHEMA_VERSION},\"people\":[")
}

/// The last line of people.json.
pub const PEOPLE_END: &str = "]}";

/// What a picture in people.json begins with; base64 of the file follows.
pub const PERSON_PICTURE_START: &str = "data:image/jpeg;base64,";

/// The largest width and height of a picture of a person, in pixels.
pub const PERSON_PICTURE_SIDES_MAX: [u32; 2] = [96, 128];

/// Longest side of the preview, in pixels, unless the other would be too short for the encoder.
const PREVIEW_SIDE_MAX: u32 = 480;

/// Shortest side that the encoder takes, in pixels.
const ENCODED_SIDE_MIN: u32 = 16;

/// Width of the thumbnail, in pixels.
pub const THUMBNAIL_WIDTH_MAX: u32 = 320;

/// The size of the preview of a video of this size, of the same shape; encoded it has even sides.
pub fn preview_size(sides: [u32; 2]) -> [u32; 2] {
    let [shortest, longest] = [sides[0].min(sides[1]), sides[0].max(sides[1])];
    let least = longest.saturating_mul(ENCODED_SIDE_MIN).div_ceil(shortest.max(1));
    let target = PREVIEW_SIDE_MAX.max(least).min(longest);
    sides.map(|side| (u64::from(side) * u64::from(target) / u64::from(longest.max(1))) as u32)
}

/// The size at which pictures of this size are encoded: 4:2:0 needs even sides.
pub fn encoded_size(sides: [u32; 2]) -> [u32; 2] {
    sides.map(|side| side & !1)
}

/// The size of a picture of this size made at most so wide.
pub fn thumbnail_size([width, height]: [u32; 2], width_max: u32) -> [u32; 2] {
    if width <= width_max {
        return [width, height];
    }
    let height = u64::from(height) * u64::from(width_max) / u64::from(width);
    [width_max, (height as u32).max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_has_the_shape_of_its_video_and_sides_that_can_be_encoded() {
        assert_eq!(preview_size([1920, 1080]), [480, 270]);
        assert_eq!(preview_size([480, 640]), [360, 480]);
        assert_eq!(preview_size([320, 240]), [320, 240], "not enlarged");
        assert_eq!(preview_size([128, 4096]), [16, 512]);
        assert_eq!(preview_size([8192, 32]), [4096, 16]);
        assert_eq!(preview_size([32, 32]), [32, 32]);
    }

    #[test]
    fn a_thumbnail_is_never_wider_than_allowed_and_never_without_rows() {
        assert_eq!(thumbnail_size([1080, 720], 320), [320, 213]);
        assert_eq!(thumbnail_size([320, 4096], 320), [320, 4096]);
        assert_eq!(thumbnail_size([16_384, 32], 320), [320, 1]);
    }
}
