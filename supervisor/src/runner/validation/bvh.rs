//! pose.bvh: the skeleton, the number of rows, then one row for every processed frame.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::table::{Lines, Part, Rows, cells, check_rows, decimal};
use bodyscript_protocol::skeleton::{BVH_MOTION, BVH_NUMBERS, bvh_hierarchy, bvh_motion};

const OFFSET: &str = "OFFSET";
const OTHER_SKELETON: &str = "its skeleton differs";

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let mut lines = Lines::of(content, 0);
    for line in bvh_hierarchy(&[[0.0; 3]; _], &[[0.0; 3]; _]) {
        match line.split_once(OFFSET) {
            Some((indent, _)) => check_offset(lines.next()?.unwrap_or_default(), indent)?,
            None => lines.expect(&line, OTHER_SKELETON)?,
        }
    }
    lines.expect(BVH_MOTION, OTHER_SKELETON)?;
    let [rows, _] = bvh_motion(expected.summary.frames_processed, 1.0);
    lines.expect(&rows, "its number of rows differs")?;
    let frame_s = lines.next()?.and_then(|line| line.strip_prefix(b"Frame Time:"));
    decimal(frame_s.unwrap_or_default().trim_ascii())?;
    check_rows(content, lines, |part| Motion { expected, part, rows: 0 })
}

/// Checks a line with the place of a joint.
fn check_offset(line: &[u8], indent: &str) -> Result<(), Invalid> {
    let offset = line.strip_prefix(indent.as_bytes());
    let offset = offset.and_then(|line| line.strip_prefix(OFFSET.as_bytes()));
    let [first, metres @ ..] = cells::<4>(offset.ok_or(Invalid::Malformed(OTHER_SKELETON))?, b' ')?;
    ensure(first.is_empty(), OTHER_SKELETON)?;
    metres.iter().try_for_each(|cell| decimal(cell))
}

/// The rows so far.
struct Motion<'a> {
    expected: &'a Expected,
    part: Part,
    rows: u32,
}

impl Rows for Motion<'_> {
    fn add(&mut self, row: &[u8]) -> Result<(), Invalid> {
        self.rows += 1;
        cells::<BVH_NUMBERS>(row, b' ')?.iter().try_for_each(|cell| decimal(cell))
    }

    fn end(&self) -> Result<(), Invalid> {
        match self.part {
            Part::Beginning => equal("rows", self.rows, self.expected.summary.frames_processed),
            Part::End => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fault, replace};
    use bodyscript_protocol::artefact::Artefact;

    #[test]
    fn faults_are_named() {
        let bvh = |from, to| fault(Artefact::Bvh, replace(from, to));
        assert_eq!(bvh("JOINT Spine", "JOINT Tail"), "its skeleton differs");
        assert_eq!(bvh("OFFSET", "CENTRE"), "its skeleton differs");
        assert_eq!(bvh("OFFSET 0.0", "OFFSET x0.0"), "a cell is no number");
        assert_eq!(bvh("Frames:          3", "Frames:          4"), "its number of rows differs");
        assert_eq!(bvh("Frame Time:", "Frame Time: inf"), "a cell is no number");
        assert_eq!(bvh(" 1.5000", ""), "a row has too few cells");
        assert_eq!(bvh(" 1.5000", " NaN"), "a cell is no number");
    }
}
