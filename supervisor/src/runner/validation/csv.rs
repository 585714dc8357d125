//! pose_data.csv: every processed frame has every landmark, with or without a person.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, ensure};
use super::poses::{Place, Poses};
use super::table::{
    Detection, Lines, Part, Rows, cells, check_rows, decimal, decimals_or_empty, detection, empty,
    track_of, whole,
};
use bodyscript_protocol::layout::CSV_COLUMNS;
use bodyscript_protocol::pose::{LANDMARKS, NAMES};

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let mut lines = Lines::of(content, 0);
    lines.expect(&CSV_COLUMNS.join(","), "its first line does not have its columns")?;
    check_rows(content, lines, |part| Landmarks {
        poses: Poses::new(expected, part),
        part,
        pose: None,
    })
}

/// The landmarks so far.
struct Landmarks<'a> {
    poses: Poses<'a>,
    part: Part,
    /// The latest pose, and the number of its next landmark.
    pose: Option<(Pose, u32)>,
}

/// What the rows of one pose have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pose {
    frame: u32,
    person: u32,
    detection: Detection,
    track: Option<u32>,
}

impl Landmarks<'_> {
    fn begin(&mut self, pose: Pose) -> Result<(), Invalid> {
        self.end_pose()?;
        let place = self.poses.add((pose.frame, pose.person), pose.detection)?;
        // The first person has rows in every frame, unless those are before what is read.
        let is_cut = self.part == Part::End && self.pose.is_none();
        let has_first = place == Place::SameFrame || pose.person == 0 || is_cut;
        ensure(has_first, "a frame lacks its first person")?;
        self.pose = Some((pose, 0));
        Ok(())
    }

    fn end_pose(&self) -> Result<(), Invalid> {
        let is_complete = self.pose.is_none_or(|(_, next)| next == LANDMARKS as u32);
        ensure(is_complete, "a pose lacks landmarks")
    }
}

impl Rows for Landmarks<'_> {
    fn add(&mut self, row: &[u8]) -> Result<(), Invalid> {
        let cells = cells::<{ CSV_COLUMNS.len() }>(row, b',')?;
        let [frame, landmark, x, y, z, visibility, strategy, presence, ..] = cells;
        let [.., world_x, world_y, world_z, time_s, detected, person, _, _, _, _, _, _, _, _, _, _] =
            cells;
        let [.., track, metric_x, metric_y, metric_z, source_time_s, _, _, _, _, _] = cells;
        let [.., x_raw, y_raw, z_raw, filled, name] = cells;
        let detection = detection(detected, filled)?;
        let (frame, person) = (whole(frame)?, whole(person)?);
        let pose = Pose { frame, person, detection, track: track_of(track, detection)? };
        let landmark = whole(landmark)?;
        match &self.pose {
            // The rest of a pose whose beginning is not read.
            None if self.part == Part::End && landmark > 0 => return Ok(()),
            _ if landmark == 0 => self.begin(pose)?,
            Some((last, next)) => {
                ensure(*last == pose && *next == landmark, "landmarks are not in order")?;
            }
            None => ensure(false, "landmarks are not in order")?,
        }
        let is_named = NAMES.get(landmark as usize).is_some_and(|it| it.as_bytes() == name);
        ensure(is_named, "a landmark has another name")?;
        self.pose = Some((pose, landmark + 1));
        decimal(time_s)?;
        decimal(source_time_s)?;
        let metric = [metric_x, metric_y, metric_z];
        let values = [x, y, z, visibility, presence, world_x, world_y, world_z];
        match pose.detection {
            Detection::Found | Detection::Filled => {
                let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                ensure(
                    !strategy.is_empty() && strategy.iter().all(is_word),
                    "a strategy is no word",
                )?;
                values.into_iter().try_for_each(decimal)?;
                match self.poses.has_metres(person) {
                    true => metric.into_iter().try_for_each(decimal)?,
                    false => {
                        ensure(metric.concat().is_empty(), "a pose has metres without a scale")?
                    }
                }
                decimals_or_empty(&[x_raw, y_raw, z_raw])
            }
            Detection::Missing => {
                empty(values.iter().chain(&metric).chain([&strategy, &x_raw, &y_raw, &z_raw]))
            }
        }
    }

    fn end(&self) -> Result<(), Invalid> {
        self.end_pose()?;
        self.poses.end()
    }
}
