//! pose_data.ndjson: every processed frame, one a line, as in pose_data.json.

use super::Expected;
use super::content::Content;
use super::invalid::Invalid;
use super::json::{Frame, check_frame};
use super::poses::Poses;
use super::table::{Lines, Rows, check_rows};

/// Longest line, in bytes: a frame with all the people who can be in it.
const LINE_BYTES_MAX: u64 = 64 << 10;

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let lines = Lines::of(content, 0).up_to(LINE_BYTES_MAX);
    check_rows(content, lines, |part| Frames(Poses::new(expected, part)))
}

struct Frames<'a>(Poses<'a>);

impl Rows for Frames<'_> {
    fn add(&mut self, row: &[u8]) -> Result<(), Invalid> {
        let frame: Frame = serde_json::from_slice(row)?;
        check_frame(&frame, &mut self.0)
    }

    fn end(&self) -> Result<(), Invalid> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fault, replace};
    use bodyscript_protocol::artefact::Artefact;

    #[test]
    fn faults_are_named() {
        let ndjson = |from, to| fault(Artefact::Ndjson, replace(from, to));
        assert_eq!(ndjson("\"frame_id\":1", "\"frame_id\":0"), "people are not in order");
        assert!(ndjson("\"x\":0.25", "\"x\":null").starts_with("invalid type: null"));
        assert!(ndjson("}\n{", "},{").starts_with("trailing characters"));
        assert_eq!(
            ndjson("\"detected\":true", "\"detected\":false"),
            "`detected` differs from the people in a frame"
        );
    }
}
