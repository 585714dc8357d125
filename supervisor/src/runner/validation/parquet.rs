//! pose_data.parquet: the magic at both ends, and a footer with the columns and rows of the table. The pages
//! are not decoded.

use super::Expected;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::thrift::{Kind, Thrift};
use bodyscript_protocol::layout::CSV_COLUMNS;
use bodyscript_protocol::pose::LANDMARKS;
use std::io::Read;

const MAGIC: [u8; 4] = *b"PAR1";
const MAGIC_BYTES: u64 = MAGIC.len() as u64;

/// The fields of the footer that are read (parquet.thrift, `FileMetaData`).
const SCHEMA: u64 = 2;
const ROWS: u64 = 3;
const GROUPS: u64 = 4;

/// The field of a column's description that is its name (`SchemaElement`).
const NAME: u64 = 4;

/// The field of a row group that is its number of rows (`RowGroup`).
const GROUP_ROWS: u64 = 3;

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let ends = content.bytes().checked_sub(MAGIC_BYTES + 4);
    let end = ends.ok_or(Invalid::Malformed("it is too short"))?;
    let is_marked = content.array(0)? == MAGIC && content.array(end + 4)? == MAGIC;
    ensure(is_marked, "it does not begin and end as Parquet")?;
    let bytes = u64::from(u32::from_le_bytes(content.array(end)?));
    let from = end.checked_sub(bytes).filter(|from| *from >= MAGIC_BYTES);
    let from = from.ok_or(Invalid::Malformed("its footer is longer than the file"))?;
    let mut footer = Thrift(content.buffered(from, end));
    let rows = check_footer(&mut footer)?;
    let frames = u64::from(expected.summary.frames_processed) * LANDMARKS as u64;
    let people_max = u64::from(expected.parameters.options.people_max);
    equal("rows", rows, rows.clamp(frames, frames * people_max))?;
    equal("rows that are no pose", rows % LANDMARKS as u64, 0_u64)
}

/// Returns the number of rows.
fn check_footer<R: Read>(footer: &mut Thrift<R>) -> Result<u64, Invalid> {
    let (mut rows, mut in_groups, mut columns) = (0, 0, 0);
    let mut last = 0;
    while let Some((field, kind)) = footer.field(&mut last)? {
        match (field, kind) {
            (SCHEMA, Kind::LIST) => columns += check_schema(footer)?,
            (ROWS, Kind::I64) => rows = footer.number()?,
            (GROUPS, Kind::LIST) => in_groups = rows_of_groups(footer)?,
            (SCHEMA | ROWS | GROUPS, _) => ensure(false, "its footer has other fields")?,
            _ => footer.skip(kind)?,
        }
    }
    equal("columns", columns, CSV_COLUMNS.len() as u64)?;
    equal("rows in its groups", in_groups, rows)?;
    Ok(rows)
}

/// Checks the names of the columns; returns their number.
fn check_schema<R: Read>(footer: &mut Thrift<R>) -> Result<u64, Invalid> {
    let entries = footer.list_of(Kind::STRUCT)?;
    equal("entries of its schema", entries, 1 + CSV_COLUMNS.len() as u64)?;
    // The first is the table itself.
    for name in ["pose_data"].into_iter().chain(CSV_COLUMNS) {
        let (mut last, mut found) = (0, Vec::new());
        while let Some((field, kind)) = footer.field(&mut last)? {
            match (field, kind) {
                (NAME, Kind::TEXT) => found = footer.text()?,
                _ => footer.skip(kind)?,
            }
        }
        ensure(found == name.as_bytes(), "its columns differ")?;
    }
    Ok(entries - 1)
}

/// The sum of the rows of all groups.
fn rows_of_groups<R: Read>(footer: &mut Thrift<R>) -> Result<u64, Invalid> {
    let mut rows: u64 = 0;
    for _ in 0..footer.list_of(Kind::STRUCT)? {
        let mut last = 0;
        while let Some((field, kind)) = footer.field(&mut last)? {
            match (field, kind) {
                (GROUP_ROWS, Kind::I64) => rows = rows.saturating_add(footer.number()?),
                _ => footer.skip(kind)?,
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bytes, fault, replace, run};
    use bodyscript_protocol::artefact::Artefact;
    use bodyscript_sample_results::summary;

    #[test]
    fn faults_are_named() {
        let parquet = |change: &dyn Fn(&mut Vec<u8>)| fault(Artefact::Parquet, change);
        assert_eq!(parquet(&replace("PAR1", "PAR2")), "it does not begin and end as Parquet");
        assert_eq!(parquet(&replace("presence", "presents")), "its columns differ");
        let longer = |bytes: &mut Vec<u8>| {
            let at = bytes.len() - 6;
            bytes[at] = 1;
        };
        assert_eq!(parquet(&longer), "its footer is longer than the file");
    }

    #[test]
    fn the_footer_states_the_reported_rows() {
        let bytes = run(summary(2)).artefact(Artefact::Parquet);
        let refused = check_bytes(Artefact::Parquet, &bytes, &run(summary(3)));
        assert_eq!(refused.expect_err("too few").to_string(), "rows: 66 instead of 99");
    }
}
