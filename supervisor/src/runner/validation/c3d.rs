//! pose.c3d: the head of so many frames, then the points of each, then zeros to the end of a block.

use super::Expected;
use super::SCANNED_BYTES_MAX;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::poses::check_trajectory;
use bodyscript_protocol::c3d::{
    BLOCK_BYTES, FRAME_BYTES, FRAMES_MAX, MISSING, POINT_NUMBERS, head,
};
use bodyscript_protocol::warning::Warning;
use std::io::Read;

/// Where the header has the rate.
const RATE_AT: u64 = 20;

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let summary = &expected.summary;
    let frames = summary.frames_processed.min(FRAMES_MAX);
    let is_shortened = frames < summary.frames_processed;
    let is_told = summary.warnings.contains(Warning::C3dShortened);
    ensure(is_told == is_shortened, "its warning differs from its frames")?;
    let rate = f32::from_le_bytes(content.array(RATE_AT)?);
    ensure(rate.is_finite() && rate > 0.0, "its rate is no number above zero")?;
    let head = head(frames as u16, rate, expected.marker_unit());
    let found = content.piece(0, head.len() as u64)?;
    ensure(found == head, "its head differs")?;
    let points_end = (head.len() + frames as usize * FRAME_BYTES) as u64;
    equal("bytes", content.bytes(), points_end.next_multiple_of(BLOCK_BYTES as u64))?;
    let scanned = (SCANNED_BYTES_MAX / FRAME_BYTES as u64).min(frames.into());
    let mut reader = content.buffered(head.len() as u64, points_end);
    let mut detected = 0;
    for _ in 0..scanned {
        let mut frame = [0; FRAME_BYTES];
        reader.read_exact(&mut frame)?;
        detected += u32::from(has_person(&frame)?);
    }
    check_trajectory(detected, expected)?;
    let rest = content.piece(points_end, content.bytes() - points_end)?;
    ensure(rest.iter().all(|byte| *byte == 0), "it has something after its last frame")
}

/// Whether the points of a frame are there; all are, or none is.
fn has_person(frame: &[u8; FRAME_BYTES]) -> Result<bool, Invalid> {
    let numbers = frame.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let numbers: Vec<f32> = numbers.collect();
    let (points, _) = numbers.as_chunks::<POINT_NUMBERS>();
    if points.iter().all(|point| *point == [0.0, 0.0, 0.0, MISSING]) {
        return Ok(false);
    }
    let is_there = |[x, y, z, residual]: &[f32; POINT_NUMBERS]| {
        [x, y, z].into_iter().all(|number| number.is_finite()) && *residual == 0.0
    };
    ensure(points.iter().all(is_there), "a point is neither there nor missing")?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fault, replace};
    use bodyscript_protocol::artefact::Artefact;
    use bodyscript_protocol::c3d::head;
    use bodyscript_protocol::layout::MarkerUnit;

    #[test]
    fn faults_are_named() {
        let c3d = |change: &dyn Fn(&mut Vec<u8>)| fault(Artefact::C3d, change);
        assert_eq!(c3d(&replace("nose", "head")), "its head differs");
        assert_eq!(c3d(&replace("UNITS", "ANGLE")), "its head differs");
        let set = |at: usize, value: f32| {
            move |bytes: &mut Vec<u8>| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes())
        };
        assert_eq!(c3d(&set(20, f32::NAN)), "its rate is no number above zero");
        assert_eq!(c3d(&set(20, 25.0)), "its head differs", "the parameters have another rate");
        let points = head(3, 30.0, MarkerUnit::Millimetres).len();
        for (value, number) in [(f32::INFINITY, 0), (-1.0, 3)] {
            let change = set(points + 4 * number, value);
            assert_eq!(c3d(&change), "a point is neither there nor missing");
        }
        let last = |bytes: &mut Vec<u8>| *bytes.last_mut().expect("a byte") = 1;
        assert_eq!(c3d(&last), "it has something after its last frame");
    }
}
