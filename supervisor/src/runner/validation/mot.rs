//! joint_angles.mot: a head with the number of rows, then one row for every processed frame.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, equal};
use super::poses::check_trajectory;
use super::table::{Lines, Part, Rows, cells, check_rows, decimal};
use bodyscript_protocol::layout::{ANGLES, MOT_MISSING, mot_head};

const COLUMNS: usize = 1 + ANGLES.len();

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let mut lines = Lines::of(content, 0);
    for line in mot_head(expected.summary.frames_processed) {
        lines.expect(&line, "its head differs")?;
    }
    check_rows(content, lines, |part| Motion { expected, part, rows: 0, defined: 0 })
}

/// The rows so far.
struct Motion<'a> {
    expected: &'a Expected,
    part: Part,
    rows: u32,
    /// Rows with an angle.
    defined: u32,
}

impl Rows for Motion<'_> {
    fn add(&mut self, row: &[u8]) -> Result<(), Invalid> {
        let [time_s, angles @ ..] = cells::<COLUMNS>(row, b'\t')?;
        decimal(time_s)?;
        let mut defined =
            angles.iter().filter(|angle| **angle != MOT_MISSING.as_bytes()).peekable();
        self.rows += 1;
        self.defined += u32::from(defined.peek().is_some());
        defined.try_for_each(|angle| decimal(angle))
    }

    fn end(&self) -> Result<(), Invalid> {
        if self.part == Part::End {
            return Ok(());
        }
        equal("rows", self.rows, self.expected.summary.frames_processed)?;
        check_trajectory(self.defined, self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fault, replace};
    use bodyscript_protocol::artefact::Artefact;

    #[test]
    fn faults_are_named() {
        let mot = |from, to| fault(Artefact::Mot, replace(from, to));
        assert_eq!(mot("nRows=3 ", "nRows=4 "), "its head differs");
        assert_eq!(mot("inDegrees=yes", "inDegrees=no"), "its head differs");
        assert_eq!(mot("1.500", "1e500"), "a cell is no number");
        assert_eq!(mot("\t1.500", ""), "a row has too few cells");
        let row = format!("2.5{}\n", "\t1.500".repeat(17));
        assert_eq!(mot(&row, ""), "rows: 2 instead of 3");
    }
}
