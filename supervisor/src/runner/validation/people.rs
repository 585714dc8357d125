//! people.json: one person a line, with a small picture. The page and other clients show the pictures, so each is decoded
//! and has to be one JPEG, and all other texts are of this program's making.

use super::Expected;
use super::content::Content;
use super::entries::entries;
use super::invalid::{Invalid, ensure, equal};
use super::jpeg;
use super::reports::check_last_line;
use super::table::Lines;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bodyscript_protocol::layout::{
    LISTED_PEOPLE_MAX, PEOPLE_END, PERSON_LINE_BYTES_MAX, PERSON_PICTURE_SIDES_MAX,
    PERSON_PICTURE_START, people_head,
};
use bodyscript_protocol::options::PersonChoice;
use serde::Deserialize;

/// How far fractions may be beyond one by rounding.
const ROUNDING: f64 = 1e-6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    person_id: u32,
    track_id: Option<u32>,
    frames: u32,
    first_s: f64,
    last_s: f64,
    in_view_s: f64,
    best_s: f64,
    #[serde(rename = "box")]
    area: [f64; 4],
    person: String,
    picture: Option<String>,
}

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    check_last_line(content)?;
    let mut lines = Lines::of(content, 0).up_to(PERSON_LINE_BYTES_MAX);
    lines.expect(&people_head(), "its head differs")?;
    let mut people = People { expected, number: 0, last: None, detected: 0, people: 0 };
    let end = entries(&mut lines, PEOPLE_END, |line| people.add(line))?;
    ensure(end.is_some(), "a list has no end")?;
    ensure(lines.next()?.is_none(), "it goes on after its end")?;
    people.end()
}

/// The people so far.
struct People<'a> {
    expected: &'a Expected,
    number: usize,
    /// The latest person, and the track.
    last: Option<(u32, Option<u32>)>,
    /// Frames of person 0.
    detected: u32,
    people: u32,
}

impl People<'_> {
    fn add(&mut self, line: &[u8]) -> Result<(), Invalid> {
        let entry: Entry = serde_json::from_slice(line)?;
        let Expected { parameters, summary, .. } = self.expected;
        self.number += 1;
        ensure(self.number <= LISTED_PEOPLE_MAX, "it has too many people")?;
        let key = (entry.person_id, entry.track_id);
        ensure(self.last.is_none_or(|last| last < key), "people are not in order")?;
        self.last = Some(key);
        let by_track = parameters.options.tells_people_by_track();
        ensure(entry.track_id.is_some() == by_track, "it has tracks where people are asked for")?;
        ensure(entry.person_id < summary.people, "it has a person who was not reported")?;
        ensure(
            (1..=summary.frames_processed).contains(&entry.frames),
            "a person is in more or less frames than there are",
        )?;
        self.people = self.people.max(entry.person_id + 1);
        if entry.person_id == 0 {
            self.detected = self.detected.saturating_add(entry.frames);
        }
        entry.check_times()?;
        entry.check_place()?;
        entry.picture.as_deref().map_or(Ok(()), check_picture)
    }

    /// Checks the totals, unless people are left out.
    fn end(&self) -> Result<(), Invalid> {
        if self.number == LISTED_PEOPLE_MAX {
            return Ok(());
        }
        equal("people", self.people, self.expected.summary.people)?;
        equal("frames with a person", self.detected, self.expected.summary.frames_detected)
    }
}

impl Entry {
    fn check_times(&self) -> Result<(), Invalid> {
        let Self { first_s, last_s, in_view_s, best_s, .. } = *self;
        let is_ordered = 0.0 <= first_s && first_s <= best_s && best_s <= last_s;
        let is_within = 0.0 <= in_view_s && in_view_s <= last_s - first_s + ROUNDING;
        ensure(is_ordered && is_within, "the times of a person contradict each other")
    }

    fn check_place(&self) -> Result<(), Invalid> {
        let [left, top, width, height] = self.area;
        let within = 0.0..=1.0 + ROUNDING;
        let is_inside = self.area.iter().all(|side| within.contains(side))
            && within.contains(&(left + width))
            && within.contains(&(top + height));
        ensure(is_inside, "a box lies outside the picture")?;
        let choice = self.person.parse().ok();
        let is_place = matches!(choice, Some(PersonChoice::At(_)))
            && choice.is_some_and(|choice| choice.to_string() == self.person);
        ensure(is_place, "a person is not chosen by a place")
    }
}

/// Checks that a text is a JPEG that is not too large.
fn check_picture(text: &str) -> Result<(), Invalid> {
    let file = text.strip_prefix(PERSON_PICTURE_START);
    let file = file.and_then(|file| BASE64_STANDARD.decode(file).ok());
    let file = file.ok_or(Invalid::Malformed("a picture is not in base64"))?;
    let sides = jpeg::size(&Content::of_bytes(&file))?;
    let mut sides = sides.map(u32::from).into_iter().zip(PERSON_PICTURE_SIDES_MAX);
    let is_small = sides.all(|(side, side_max)| (1..=side_max).contains(&side));
    ensure(is_small, "a picture has another size")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fault, replace};
    use super::PERSON_PICTURE_START;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use bodyscript_protocol::artefact::Artefact;

    #[test]
    fn faults_are_named() {
        let people = |from, to| fault(Artefact::People, replace(from, to));
        assert_eq!(people("schema_version\":1", "schema_version\":2"), "its head differs");
        assert_eq!(
            people("\"person_id\":0", "\"person_id\":7"),
            "it has a person who was not reported"
        );
        assert_eq!(
            people("\"track_id\":0", "\"track_id\":null"),
            "it has tracks where people are asked for"
        );
        assert_eq!(people("\"frames\":3", "\"frames\":2"), "frames with a person: 2 instead of 3");
        assert_eq!(
            people("\"frames\":3", "\"frames\":9"),
            "a person is in more or less frames than there are"
        );
        let times = "the times of a person contradict each other";
        assert_eq!(people("\"last_s\":1.0", "\"last_s\":0.25"), times);
        assert_eq!(people("\"in_view_s\":1.0", "\"in_view_s\":1.5"), times);
        assert_eq!(people("0.25,0.25]", "0.25,0.95]"), "a box lies outside the picture");
        assert!(people("0.25,0.25]", "0.25,null]").starts_with("invalid type: null"));
        let place = "a person is not chosen by a place";
        assert_eq!(people("0.5,0.5,0.5", "longest"), place);
        assert_eq!(people("0.5,0.5,0.5", "0.5,0.5,0.50"), place);
        assert_eq!(people("0.5,0.5,0.5", "<b>,0.5,0.5"), place);
        assert!(people("\"frames\"", "\"name\":\"<b>\",\"frames\"").starts_with("unknown field"));
    }

    /// What is found wrong where the picture is changed.
    fn picture_fault(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
        fault(Artefact::People, |bytes| {
            let start = PERSON_PICTURE_START.as_bytes();
            let at = bytes.windows(start.len()).position(|it| it == start).expect("a picture");
            let from = at + start.len();
            let end = from + bytes[from..].iter().position(|it| *it == b'"').expect("its end");
            let file = BASE64_STANDARD.decode(&bytes[from..end]).expect("base64");
            bytes.splice(from..end, BASE64_STANDARD.encode(change(file)).into_bytes());
        })
    }

    #[test]
    fn what_is_no_small_jpeg_is_refused() {
        let start = PERSON_PICTURE_START;
        let picture = |from, to: &str| fault(Artefact::People, replace(from, to));
        let text = "a picture is not in base64";
        assert_eq!(picture(start, "data:image/svg+xml;base64,"), text);
        assert_eq!(picture(start, "javascript:"), text);
        assert_eq!(picture(start, &format!("{start}<b>")), text);
        let svg = picture_fault(|_| b"<svg onload='alert(1)'/>".to_vec());
        assert_eq!(svg, "it does not begin as a JPEG");
        let followed = picture_fault(|file| [&file[..], b"<script>"].concat());
        assert!(followed.starts_with("end of the picture: "), "{followed}");
        let large = picture_fault(|mut file| {
            let frame = file.windows(2).position(|it| it == [0xff, 0xc0]).expect("a frame");
            file[frame + 5] = 1;
            file
        });
        assert_eq!(large, "a picture has another size");
    }
}
