//! keypoints.coco.json: the 17 keypoints of COCO for every person, in pixels, as its readers expect them.
//!
//! One annotation a line as the frames come. The images, one for every processed frame with or without a person,
//! come last, so that of a frame only its number is kept in memory.

use crate::output::error::OutputError;
use crate::output::json_list::JsonList;
use crate::output::writer::{DataFormat, FrameWriter, WriterContext};
use crate::pose::{Frame, Person};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::{
    COCO_END, COCO_IMAGES, COCO_KEYPOINTS, COCO_PERSON, coco_head, coco_image_name,
};
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::pose::{Landmark, Pose, mean_visibility};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Coco,
    create: |file, WriterContext { facts, .. }| {
        Ok(Box::new(CocoWriter::create(file, [facts.width, facts.height])?))
    },
};

/// From this visibility on a keypoint counts as visible.
const VISIBILITY_MIN: f32 = 0.5;

/// A number of the list of keypoints: coordinates, and a flag that readers expect to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
enum Number {
    Pixels(f32),
    Flag(u8),
}

/// COCO's flags of a keypoint.
const OUTSIDE: u8 = 0;
const HIDDEN: u8 = 1;
const VISIBLE: u8 = 2;

#[derive(Serialize)]
struct Annotation {
    id: u32,
    image_id: u32,
    category_id: u32,
    person_id: u32,
    track_id: u32,
    num_keypoints: usize,
    keypoints: Vec<Number>,
    bbox: [f32; 4],
    area: f32,
    score: f32,
    iscrowd: u8,
    segmentation: [f32; 0],
}

#[derive(Serialize)]
struct Image {
    id: u32,
    width: u32,
    height: u32,
    file_name: String,
}

/// Writes the document line by line.
struct CocoWriter {
    file: BufWriter<File>,
    size: [u32; 2],
    annotations: JsonList,
    last_id: u32,
    frames: Vec<u32>,
}

impl CocoWriter {
    /// Starts the document for pictures of this size in pixels.
    fn create(file: File, size: [u32; 2]) -> Result<Self, OutputError> {
        let mut file = BufWriter::new(file);
        file.write_all(coco_head().as_bytes()).map_err(OutputError::of(Artefact::Coco))?;
        let (annotations, frames) = (JsonList::default(), Vec::new());
        Ok(Self { file, size, annotations, last_id: 0, frames })
    }

    fn add(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        self.frames.push(frame.id);
        for person in frame.people {
            self.last_id += 1;
            let annotation = annotation(self.last_id, frame.id, person, self.size);
            self.annotations.push(&mut self.file, &annotation)?;
        }
        Ok(())
    }

    fn complete(mut self) -> io::Result<()> {
        write!(self.file, "\n{COCO_IMAGES}")?;
        let [width, height] = self.size;
        let mut images = JsonList::default();
        for id in &self.frames {
            let image = Image { id: *id, width, height, file_name: coco_image_name(*id) };
            images.push(&mut self.file, &image)?;
        }
        writeln!(self.file, "\n{COCO_END}")?;
        self.file.flush()
    }
}

impl FrameWriter for CocoWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        self.add(frame).map_err(OutputError::of(Artefact::Coco))
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.complete().map_err(OutputError::of(Artefact::Coco))
    }
}

fn annotation(id: u32, image_id: u32, person: &Person, size: [u32; 2]) -> Annotation {
    let size = size.map(|side| side as f32);
    let keypoints = COCO_KEYPOINTS.map(|landmark| keypoint(&person.pose[landmark], size));
    let [left, top, right, bottom] = bounds(&person.pose, size).map(thousandths);
    let [width, height] = [right - left, bottom - top].map(thousandths);
    Annotation {
        id,
        image_id,
        category_id: COCO_PERSON,
        person_id: person.id,
        track_id: person.track,
        num_keypoints: keypoints.iter().filter(|[.., flag]| *flag != Number::Flag(OUTSIDE)).count(),
        keypoints: keypoints.as_flattened().to_vec(),
        bbox: [left, top, width, height],
        area: thousandths(width * height),
        score: mean_visibility(&person.pose),
        iscrowd: 0,
        segmentation: [],
    }
}

/// Position in pixels and flag; one outside the picture has no position.
fn keypoint(landmark: &Landmark, size: [f32; 2]) -> [Number; 3] {
    let shares = [landmark.x, landmark.y];
    let is_inside = shares.iter().all(|share| (0.0..=1.0).contains(share));
    let ([x, y], flag) = match is_inside {
        false => ([0.0; 2], OUTSIDE),
        true if landmark.visibility < VISIBILITY_MIN => (pixels(shares, size), HIDDEN),
        true => (pixels(shares, size), VISIBLE),
    };
    [Number::Pixels(x), Number::Pixels(y), Number::Flag(flag)]
}

/// What all landmarks lie in, as far as it is in the picture: left, top, right, bottom.
fn bounds(pose: &Pose, size: [f32; 2]) -> [f32; 4] {
    let within = |landmark: &Landmark| {
        pixels([landmark.x, landmark.y].map(|share| share.clamp(0.0, 1.0)), size)
    };
    let [first, rest @ ..] = pose;
    let [x, y] = within(first);
    rest.iter().map(within).fold([x, y, x, y], |[left, top, right, bottom], [x, y]| {
        [left.min(x), top.min(y), right.max(x), bottom.max(y)]
    })
}

fn pixels(shares: [f32; 2], size: [f32; 2]) -> [f32; 2] {
    [thousandths(shares[0] * size[0]), thousandths(shares[1] * size[1])]
}

fn thousandths(value: f32) -> f32 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::writer::EMPTY_SUMMARY;
    use bodyscript_protocol::pose::LANDMARKS;
    use serde_json::Value;
    use std::io::{Read, Seek};
    use std::time::Duration;

    fn document(frames: &[Vec<Person>]) -> Value {
        let mut file = tempfile::tempfile().expect("a file");
        let handle = file.try_clone().expect("a handle");
        let mut writer = Box::new(CocoWriter::create(handle, [640, 480]).expect("a head"));
        for (id, people) in (0..).map(|n| 2 * n).zip(frames) {
            let time = Duration::ZERO;
            let frame = Frame { id, time, source_time: time, people };
            FrameWriter::write(&mut *writer, &frame).expect("a frame");
        }
        writer.finish(&EMPTY_SUMMARY).expect("completed");
        file.rewind().expect("it seeks");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    fn person(id: u32) -> Person {
        let middle = Landmark { x: 0.5, y: 0.25, visibility: 0.9, ..Landmark::default() };
        let mut pose = [middle; LANDMARKS];
        pose[2] = Landmark { x: 0.75, visibility: 0.2, ..middle };
        pose[5] = Landmark { y: 1.5, ..middle };
        Person { id, track: 7, pose, strategy: "track", filtered: None }
    }

    #[test]
    fn every_frame_has_an_image_and_every_person_an_annotation() {
        let document = document(&[vec![person(0), person(1)], vec![], vec![person(1)]]);
        let list = |name: &str, field: &str| -> Vec<u64> {
            let entries = document[name].as_array().expect("a list").iter();
            entries.map(|entry| entry[field].as_u64().expect("a number")).collect()
        };
        assert_eq!(list("images", "id"), [0, 2, 4]);
        assert_eq!(document["images"][1]["file_name"], "frame_000000000002.jpg");
        assert_eq!(list("annotations", "id"), [1, 2, 3]);
        assert_eq!(list("annotations", "image_id"), [0, 0, 4]);
        assert_eq!(list("annotations", "person_id"), [0, 1, 1]);
        assert_eq!(list("annotations", "track_id"), [7, 7, 7]);
        assert_eq!(document["categories"][0]["keypoints"][16], "right_ankle");
    }

    #[test]
    fn a_video_without_people_has_images_only() {
        let document = document(&[vec![], vec![]]);
        assert_eq!(document["annotations"], serde_json::json!([]));
        assert_eq!(document["images"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn keypoints_are_in_pixels_and_flagged_by_visibility() {
        let document = document(&[vec![person(0)]]);
        let annotation = &document["annotations"][0];
        let keypoints = &annotation["keypoints"].as_array().expect("a list")[..9];
        let expected = serde_json::json!([320.0, 120.0, 2, 480.0, 120.0, 1, 0.0, 0.0, 0]);
        assert_eq!(keypoints, expected.as_array().expect("a list").as_slice());
        assert_eq!(annotation["num_keypoints"], 16);
        assert_eq!(annotation["bbox"], serde_json::json!([320.0, 120.0, 160.0, 360.0]));
        assert_eq!(annotation["area"], 57_600.0);
    }
}
