//! The files one job produces, and the table from which their names, media types, URLs, downloads and documentation
//! follow.
//!
//! A new format is a variant of [`Artefact`] and a row of the table; the worker has the writers.

use crate::layout::{LISTED_PEOPLE_MAX, PERSON_LINE_BYTES_MAX};
use crate::limits::FILE_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// One file a worker writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Artefact {
    /// The video with the skeleton drawn over it.
    Video,
    /// One row for every processed frame and landmark.
    Csv,
    /// The same data as a document, with the video's facts and the statistics.
    Json,
    /// One picture: the frame whose pose is the clearest.
    Thumbnail,
    /// The first seconds of the video, small.
    Preview,
    /// Properties of the video and statistics of the run.
    Metadata,
    /// An archive with one OpenPose document for every processed frame.
    OpenPose,
    /// One person's landmarks as marker trajectories for OpenSim.
    Trc,
    /// The table in columnar form.
    Parquet,
    /// One row of joint angles for every processed frame and person.
    Angles,
    /// The video as it is, in a form that browsers play.
    Clean,
    /// One person's landmarks as point trajectories for biomechanics.
    C3d,
    /// One person's joint angles as a motion for OpenSim.
    Mot,
    /// Keypoints for training and evaluation of detectors.
    Coco,
    /// The frames of the JSON document, one a line.
    Ndjson,
    /// One person's skeleton and its movement, for animation.
    Bvh,
    /// The same with a simple body, for 3D programs and the web.
    Glb,
    /// Who was found, each with a small picture.
    People,
}

/// What is stated about an artefact.
struct Row {
    artefact: Artefact,
    /// The name by which it is requested.
    name: &'static str,
    file_name: &'static str,
    media_type: &'static str,
    is_default: bool,
    title: &'static str,
    content: &'static str,
    size: SizeBound,
}

/// The largest size that an artefact can have, in bytes: more than any video leads to, so that a larger file
/// shows that its worker does not do its job.
struct SizeBound {
    /// Independent of the video.
    flat: u64,
    /// For each processed frame.
    frame: u64,
    /// For each person in each processed frame.
    person: u64,
}

impl SizeBound {
    const fn flat(bytes: u64) -> Self {
        Self { flat: bytes, frame: 0, person: 0 }
    }

    /// A table: its head, and what each frame and each person in it add.
    const fn table(head: u64, frame: u64, person: u64) -> Self {
        Self { flat: head, frame, person }
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of a number with its separator, as text: the longest that a pose leads to has half as many.
const NUMBER_BYTES: u64 = 24;
/// Bytes of one landmark of one person, in any table.
const ROW_BYTES: u64 = 24 * NUMBER_BYTES;
const LANDMARKS: u64 = crate::pose::LANDMARKS as u64;

/// One row for each artefact. The order is that of the variants, which are bits of
/// [`crate::formats::Formats`] in messages and journals: a new one goes last.
const TABLE: &[Row] = &[
    Row {
        artefact: Artefact::Video,
        name: "video",
        file_name: "output.mp4",
        media_type: "video/mp4",
        is_default: true,
        title: "Video",
        content: "The video with skeleton overlay and sound",
        size: SizeBound::flat(FILE_BYTES_MAX),
    },
    Row {
        artefact: Artefact::Csv,
        name: "csv",
        file_name: "pose_data.csv",
        media_type: "text/csv; charset=utf-8",
        is_default: true,
        title: "Landmarks, CSV",
        content: "One row per processed frame and landmark",
        size: SizeBound::table(KIB, LANDMARKS * ROW_BYTES, LANDMARKS * ROW_BYTES),
    },
    Row {
        artefact: Artefact::Json,
        name: "json",
        file_name: "pose_data.json",
        media_type: "application/json",
        is_default: true,
        title: "Landmarks, JSON",
        content: "Same data as JSON",
        size: SizeBound::table(16 * KIB, 256, 256 + LANDMARKS * ROW_BYTES),
    },
    Row {
        artefact: Artefact::Thumbnail,
        name: "thumbnail",
        file_name: "thumbnail.jpg",
        media_type: "image/jpeg",
        is_default: true,
        title: "Thumbnail",
        content: "Frame with the most visible pose",
        size: SizeBound::flat(16 * MIB),
    },
    Row {
        artefact: Artefact::Preview,
        name: "preview",
        file_name: "preview.mp4",
        media_type: "video/mp4",
        is_default: true,
        title: "Preview",
        content: "First three seconds in reduced size",
        size: SizeBound::flat(64 * MIB),
    },
    Row {
        artefact: Artefact::Metadata,
        name: "metadata",
        file_name: "metadata.json",
        media_type: "application/json",
        is_default: true,
        title: "Metadata",
        content: "Source and run details",
        size: SizeBound::flat(64 * KIB),
    },
    Row {
        artefact: Artefact::OpenPose,
        name: "openpose",
        file_name: "openpose.zip",
        media_type: "application/zip",
        is_default: false,
        title: "OpenPose JSON",
        content: "Keypoints in OpenPose order, one document per frame",
        size: SizeBound::table(KIB, KIB, KIB + 3 * 25 * NUMBER_BYTES),
    },
    Row {
        artefact: Artefact::Trc,
        name: "trc",
        file_name: "pose.trc",
        // None is registered for TRC, which is plain text.
        media_type: "text/plain; charset=utf-8",
        is_default: false,
        title: "TRC",
        content: "Marker trajectories for OpenSim",
        size: SizeBound::table(16 * KIB, (2 + 3 * LANDMARKS) * NUMBER_BYTES, 0),
    },
    Row {
        artefact: Artefact::Parquet,
        name: "parquet",
        file_name: "pose_data.parquet",
        media_type: "application/vnd.apache.parquet",
        is_default: false,
        title: "Parquet",
        content: "Landmarks in typed columns, for pandas, R and DuckDB",
        size: SizeBound::table(64 * KIB, LANDMARKS * ROW_BYTES, LANDMARKS * ROW_BYTES),
    },
    Row {
        artefact: Artefact::Angles,
        name: "angles",
        file_name: "joint_angles.csv",
        media_type: "text/csv; charset=utf-8",
        is_default: false,
        title: "Joint angles, CSV",
        content: "Joint angles in degrees, one row per frame and person",
        size: SizeBound::table(KIB, 23 * NUMBER_BYTES, 23 * NUMBER_BYTES),
    },
    Row {
        artefact: Artefact::Clean,
        name: "clean",
        file_name: "clean.mp4",
        media_type: "video/mp4",
        is_default: false,
        title: "Video without skeleton",
        content: "The upright video and its sound in a form that browsers play",
        size: SizeBound::flat(FILE_BYTES_MAX),
    },
    Row {
        artefact: Artefact::C3d,
        name: "c3d",
        file_name: "pose.c3d",
        // None is registered for C3D.
        media_type: "application/octet-stream",
        is_default: false,
        title: "C3D",
        content: "Point trajectories for motion analysis, as Visual3D, Mokka and ezc3d read",
        size: SizeBound::table(8 * KIB, crate::c3d::FRAME_BYTES as u64, 0),
    },
    Row {
        artefact: Artefact::Mot,
        name: "mot",
        file_name: "joint_angles.mot",
        // None is registered for MOT, which is plain text.
        media_type: "text/plain; charset=utf-8",
        is_default: false,
        title: "Joint angles, MOT",
        content: "Joint angles in degrees as an OpenSim motion",
        size: SizeBound::table(KIB, 18 * NUMBER_BYTES, 0),
    },
    Row {
        artefact: Artefact::Coco,
        name: "coco",
        file_name: "keypoints.coco.json",
        media_type: "application/json",
        is_default: false,
        title: "COCO keypoints",
        content: "17 keypoints per person and frame, as pycocotools reads",
        size: SizeBound::table(2 * KIB, 256, KIB + 3 * 17 * NUMBER_BYTES),
    },
    Row {
        artefact: Artefact::Ndjson,
        name: "ndjson",
        file_name: "pose_data.ndjson",
        media_type: "application/x-ndjson",
        is_default: false,
        title: "Landmarks, NDJSON",
        content: "The frames of the JSON, one per line",
        size: SizeBound::table(0, 256, 256 + LANDMARKS * ROW_BYTES),
    },
    Row {
        artefact: Artefact::Bvh,
        name: "bvh",
        file_name: "pose.bvh",
        // None is registered for BVH, which is plain text.
        media_type: "text/plain; charset=utf-8",
        is_default: false,
        title: "BVH",
        content: "Skeleton in motion, for animation",
        size: SizeBound::table(16 * KIB, crate::skeleton::BVH_NUMBERS as u64 * NUMBER_BYTES, 0),
    },
    Row {
        artefact: Artefact::Glb,
        name: "glb",
        file_name: "pose.glb",
        media_type: "model/gltf-binary",
        is_default: false,
        title: "GLB",
        content: "Skeleton in motion with a simple body, for 3D programs and the web",
        size: SizeBound::table(64 * KIB, crate::skeleton::GLB_FRAME_BYTES as u64, 0),
    },
    Row {
        artefact: Artefact::People,
        name: "people",
        file_name: "people.json",
        media_type: "application/json",
        is_default: false,
        title: "People",
        content: "Who was found: times in view, a place to choose each by, and a small picture",
        size: SizeBound::flat(KIB + LISTED_PEOPLE_MAX as u64 * PERSON_LINE_BYTES_MAX),
    },
];

impl Artefact {
    /// Every artefact, in the order in which their files are passed to a worker.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::Video; TABLE.len()];
        let mut i = 0;
        while i < all.len() {
            assert!(TABLE[i].artefact as usize == i, "the rows have the order of the variants");
            all[i] = TABLE[i].artefact;
            i += 1;
        }
        all
    };

    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The name by which it is requested.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Name of the file, in a results folder and in a URL.
    pub const fn file_name(self) -> &'static str {
        self.row().file_name
    }

    /// Media type of the file (RFC 6838 names).
    pub const fn media_type(self) -> &'static str {
        self.row().media_type
    }

    /// Whether it is written if nothing is requested.
    pub const fn is_default(self) -> bool {
        self.row().is_default
    }

    /// Title of a download.
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// What the file contains, in a few words.
    pub const fn content(self) -> &'static str {
        self.row().content
    }

    /// The largest size that its file can have, in bytes, with this many processed frames and people in each.
    pub const fn bytes_max(self, frames: u64, people_max: u32) -> u64 {
        let SizeBound { flat, frame, person } = self.row().size;
        let of_frame = frame.saturating_add(person.saturating_mul(people_max as u64));
        let bytes = flat.saturating_add(of_frame.saturating_mul(frames));
        if bytes < FILE_BYTES_MAX { bytes } else { FILE_BYTES_MAX }
    }

    /// The artefact with this file name.
    pub fn from_file_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|artefact| artefact.file_name() == name)
    }

    /// The artefact of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|artefact| artefact.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_artefact_is_found_by_its_name_and_its_file() {
        for artefact in Artefact::ALL {
            assert_eq!(Artefact::from_name(artefact.name()), Some(artefact));
            assert_eq!(Artefact::from_file_name(artefact.file_name()), Some(artefact));
        }
    }

    #[test]
    fn a_table_may_grow_with_frames_and_people_and_never_beyond_the_largest_file() {
        let bytes_max = |frames, people| Artefact::Csv.bytes_max(frames, people);
        assert!(bytes_max(1, 1) < 64 * KIB, "{}", bytes_max(1, 1));
        assert!(bytes_max(2, 1) > bytes_max(1, 1) && bytes_max(1, 2) > bytes_max(1, 1));
        assert_eq!(bytes_max(u64::MAX, u32::MAX), FILE_BYTES_MAX);
        assert_eq!(Artefact::Metadata.bytes_max(1, 1), Artefact::Metadata.bytes_max(1_000, 5));
    }
}
