//! keypoints.coco.json: one annotation a line for every person of every frame, then one image for every processed
//! frame.

use super::Expected;
use super::content::Content;
use super::entries::entries;
use super::invalid::{Invalid, ensure, equal};
use super::poses::check_unmarked;
use super::reports::check_last_line;
use super::table::Lines;
use bodyscript_protocol::layout::{
    COCO_END, COCO_IMAGES, COCO_KEYPOINTS, COCO_PERSON, coco_head, coco_image_name,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotation {
    id: u32,
    image_id: u32,
    category_id: u32,
    person_id: u32,
    #[serde(rename = "track_id")]
    _track_id: u32,
    num_keypoints: u32,
    keypoints: Vec<f32>,
    #[serde(rename = "bbox")]
    _bbox: [f32; 4],
    #[serde(rename = "area")]
    _area: f32,
    #[serde(rename = "score")]
    _score: f32,
    iscrowd: u8,
    #[serde(rename = "segmentation")]
    _segmentation: [f32; 0],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    id: u32,
    width: u32,
    height: u32,
    file_name: String,
}

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    check_last_line(content)?;
    let mut lines = Lines::of(content, 0);
    lines.expect(&coco_head(), "its head differs")?;
    let mut annotations = Annotations { expected, number: 0, last: None, detected: 0, people: 0 };
    let Some(()) = entries(&mut lines, COCO_IMAGES, |line| annotations.add(line))? else {
        return Ok(());
    };
    annotations.end()?;
    let mut images = Images { expected, number: 0, last: None };
    let Some(()) = entries(&mut lines, COCO_END, |line| images.add(line))? else {
        return Ok(());
    };
    ensure(lines.next()?.is_none(), "it goes on after its end")?;
    equal("images", images.number, expected.summary.frames_processed)
}

/// The annotations so far.
struct Annotations<'a> {
    expected: &'a Expected,
    number: u32,
    /// The latest frame and the latest person in it.
    last: Option<(u32, u32)>,
    detected: u32,
    people: u32,
}

impl Annotations<'_> {
    fn add(&mut self, line: &[u8]) -> Result<(), Invalid> {
        let annotation: Annotation = serde_json::from_slice(line)?;
        self.number += 1;
        equal("number of an annotation", annotation.id, self.number)?;
        let pose = (annotation.image_id, annotation.person_id);
        ensure(self.last.is_none_or(|last| last < pose), "annotations are not in order")?;
        self.last = Some(pose);
        let (frame, person) = pose;
        self.expected.check_frame(frame)?;
        ensure(person < self.expected.summary.people, "it has a person who was not reported")?;
        self.detected += u32::from(person == 0);
        self.people = self.people.max(person + 1);
        equal("category", annotation.category_id, COCO_PERSON)?;
        equal("crowds", annotation.iscrowd, 0_u64)?;
        let numbers = 3 * COCO_KEYPOINTS.len() as u64;
        equal("numbers of keypoints", annotation.keypoints.len() as u64, numbers)?;
        let flags = annotation.keypoints.iter().skip(2).step_by(3);
        let labelled = flags.filter(|flag| **flag > 0.0).count();
        equal("keypoints", annotation.num_keypoints, labelled as u64)
    }

    fn end(&self) -> Result<(), Invalid> {
        check_unmarked(self.detected, self.expected)?;
        equal("people", self.people, self.expected.summary.people)
    }
}

/// The images so far.
struct Images<'a> {
    expected: &'a Expected,
    number: u32,
    last: Option<u32>,
}

impl Images<'_> {
    fn add(&mut self, line: &[u8]) -> Result<(), Invalid> {
        let image: Image = serde_json::from_slice(line)?;
        equal("width", image.width, self.expected.facts.width)?;
        equal("height", image.height, self.expected.facts.height)?;
        ensure(image.file_name == coco_image_name(image.id), "an image has another name")?;
        ensure(self.last.is_none_or(|last| last < image.id), "images are not in order")?;
        self.expected.check_frame(image.id)?;
        self.last = Some(image.id);
        self.number += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fault, replace};
    use bodyscript_protocol::artefact::Artefact;

    #[test]
    fn faults_are_named() {
        let coco = |from, to| fault(Artefact::Coco, replace(from, to));
        assert_eq!(coco("nose", "head"), "its head differs");
        assert_eq!(coco("\"id\":3", "\"id\":4"), "number of an annotation: 4 instead of 3");
        assert_eq!(coco("\"image_id\":2", "\"image_id\":0"), "annotations are not in order");
        assert_eq!(coco("\"image_id\":2", "\"image_id\":7"), "it has a frame that was not decoded");
        assert_eq!(
            coco("\"person_id\":0", "\"person_id\":9"),
            "it has a person who was not reported"
        );
        assert_eq!(
            coco("\"num_keypoints\":17", "\"num_keypoints\":3"),
            "keypoints: 3 instead of 17"
        );
        assert_eq!(coco("1.5,2.5,2.0,", ""), "numbers of keypoints: 48 instead of 51");
        assert_eq!(coco("\"width\":639", "\"width\":1"), "width: 1 instead of 639");
        assert_eq!(coco("frame_000000000002", "../../etc/passwd00"), "an image has another name");
        assert_eq!(coco("},\n", "}\n"), "a list lacks a comma");
        assert_eq!(coco("}\n", "},\n"), "a list ends with a comma");
        assert!(coco("1.5", "NaN").starts_with("expected value"));
        assert!(coco("\"area\"", "\"arena\"").starts_with("unknown field"));
    }
}
