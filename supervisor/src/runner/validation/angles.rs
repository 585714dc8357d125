//! joint_angles.csv: every processed frame has a row, one for each person.

use super::Expected;
use super::content::Content;
use super::invalid::Invalid;
use super::poses::Poses;
use super::table::{
    Detection, Lines, Rows, cells, check_rows, decimal, detection, empty, track_of, whole,
};
use bodyscript_protocol::layout::{ANGLE_KEYS, ANGLES, FILLED, SOURCE_TIME, TRACK_ID};

const COLUMNS: usize = ANGLE_KEYS.len() + ANGLES.len() + 3;

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let mut lines = Lines::of(content, 0);
    let columns = ANGLE_KEYS.into_iter().chain(ANGLES).chain([TRACK_ID, SOURCE_TIME, FILLED]);
    let columns: Vec<_> = columns.collect();
    lines.expect(&columns.join(","), "its first line does not have its columns")?;
    check_rows(content, lines, |part| Angles(Poses::new(expected, part)))
}

struct Angles<'a>(Poses<'a>);

impl Rows for Angles<'_> {
    fn add(&mut self, row: &[u8]) -> Result<(), Invalid> {
        let cells = cells::<COLUMNS>(row, b',')?;
        let [frame, person, time_s, detected, angles @ .., track, source_time_s, filled] = &cells;
        let detection = detection(detected, filled)?;
        self.0.add((whole(frame)?, whole(person)?), detection)?;
        decimal(time_s)?;
        track_of(track, detection)?;
        decimal(source_time_s)?;
        match detection {
            // An angle that is not defined is empty.
            Detection::Found | Detection::Filled => {
                angles.iter().filter(|angle| !angle.is_empty()).try_for_each(|it| decimal(it))
            }
            Detection::Missing => empty(angles),
        }
    }

    fn end(&self) -> Result<(), Invalid> {
        self.0.end()
    }
}
