//! Lists of JSON with one entry a line. Called for the formats that have such lists.

use super::SCANNED_BYTES_MAX;
use super::invalid::{Invalid, ensure};
use super::table::Lines;

/// Passes on the lines of a list, without the commas between them, up to the line that ends it; nothing where that
/// is beyond what is scanned.
pub(super) fn entries(
    lines: &mut Lines<'_>,
    end: &str,
    mut add: impl FnMut(&[u8]) -> Result<(), Invalid>,
) -> Result<Option<()>, Invalid> {
    let (mut is_first, mut goes_on) = (true, false);
    while lines.at() < SCANNED_BYTES_MAX {
        let line = lines.next()?.ok_or(Invalid::Malformed("a list has no end"))?;
        if line == end.as_bytes() {
            ensure(!goes_on, "a list ends with a comma")?;
            return Ok(Some(()));
        }
        ensure(is_first || goes_on, "a list lacks a comma")?;
        let entry = line.strip_suffix(b",");
        (is_first, goes_on) = (false, entry.is_some());
        add(entry.unwrap_or(line))?;
    }
    Ok(None)
}
