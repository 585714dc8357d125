//! pose.trc: a head with the number of rows, then one row for every processed frame.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::poses::check_trajectory;
use super::table::{Lines, Part, Rows, cells, check_rows, decimal, empty, whole};
use bodyscript_protocol::layout::{TRC_TITLES, trc_labels};
use bodyscript_protocol::pose::LANDMARKS;

/// Number, time, three coordinates of each landmark; a tab ends the last cell too.
const CELLS: usize = 2 + 3 * LANDMARKS + 1;

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let mut lines = Lines::of(content, 0);
    for title in TRC_TITLES {
        lines.expect(title, "its titles differ")?;
    }
    check_numbers(lines.next()?.unwrap_or_default(), expected)?;
    for labels in trc_labels() {
        lines.expect(&labels, "its labels differ")?;
    }
    check_rows(content, lines, |part| Markers { expected, part, number: None, detected: 0 })
}

fn check_numbers(line: &[u8], expected: &Expected) -> Result<(), Invalid> {
    let numbers = cells::<8>(line, b'\t')?.map(<[u8]>::trim_ascii);
    let [rate, camera_rate, rows, markers, unit, original_rate, first, original_rows] = numbers;
    [rate, camera_rate, original_rate].into_iter().try_for_each(decimal)?;
    let frames = expected.summary.frames_processed;
    equal("rows in its head", whole(rows)?, frames)?;
    equal("original rows in its head", whole(original_rows)?, frames)?;
    equal("markers", whole(markers)?, LANDMARKS as u64)?;
    let is_unit = unit == expected.marker_unit().symbol().as_bytes();
    ensure(is_unit && first == b"1", "its head differs")
}

/// The rows so far.
struct Markers<'a> {
    expected: &'a Expected,
    part: Part,
    /// The number of the latest row.
    number: Option<u32>,
    detected: u32,
}

impl Rows for Markers<'_> {
    fn add(&mut self, row: &[u8]) -> Result<(), Invalid> {
        let cells = cells::<CELLS>(row, b'\t')?;
        let (number, time_s) = (whole(cells[0])?, cells[1]);
        decimal(time_s)?;
        let is_next = match (self.number, self.part) {
            (Some(last), _) => number.checked_sub(1) == Some(last),
            (None, Part::Beginning) => number == 1,
            (None, Part::End) => true,
        };
        ensure(is_next, "rows are not in order")?;
        self.number = Some(number);
        let (coordinates, end) = (&cells[2..CELLS - 1], cells[CELLS - 1]);
        ensure(end.is_empty(), "a row does not end with a tab")?;
        if coordinates.first().is_some_and(|first| first.is_empty()) {
            return empty(coordinates);
        }
        self.detected += 1;
        coordinates.iter().try_for_each(|cell| decimal(cell))
    }

    fn end(&self) -> Result<(), Invalid> {
        let summary = &self.expected.summary;
        equal("rows", self.number.unwrap_or(0), summary.frames_processed)?;
        check_trajectory(self.detected, self.expected)
    }
}
