//! Tables of text: lines of cells, read one at a time.

use super::SCANNED_BYTES_MAX;
use super::content::{Content, Section};
use super::invalid::{Invalid, ensure};
use std::io::{BufRead, BufReader, Read};

/// Longest line of most tables, in bytes.
const LINE_BYTES_MAX: u64 = 4 << 10;

/// Bytes at the end of a long table that are read, at least.
const TAIL_BYTES: u64 = 64 << 10;

/// Which part of a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// From its first row on.
    Beginning,
    /// From some row on, to the last.
    End,
}

/// A check of rows that come in order.
pub(super) trait Rows {
    /// Checks the next row.
    fn add(&mut self, row: &[u8]) -> Result<(), Invalid>;

    /// Checks what follows from the last row being the last.
    fn end(&self) -> Result<(), Invalid>;
}

/// The lines of a table.
pub(super) struct Lines<'a> {
    reader: BufReader<Section<'a>>,
    line: Vec<u8>,
    line_bytes_max: u64,
    /// Where the next line begins.
    at: u64,
}

impl<'a> Lines<'a> {
    /// The lines from a position on.
    pub(super) fn of(content: &Content<'a>, at: u64) -> Self {
        let reader = content.buffered(at, content.bytes());
        Self { reader, line: Vec::new(), line_bytes_max: LINE_BYTES_MAX, at }
    }

    /// The same for a table with longer lines.
    pub(super) const fn up_to(mut self, line_bytes_max: u64) -> Self {
        self.line_bytes_max = line_bytes_max;
        self
    }

    /// Where the next line begins.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// The next line, without its end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Invalid> {
        self.line.clear();
        let read =
            self.reader.by_ref().take(self.line_bytes_max).read_until(b'\n', &mut self.line)?;
        self.at += read as u64;
        match self.line.split_last() {
            None => Ok(None),
            Some((b'\n', line)) => Ok(Some(line)),
            Some(_) => Err(Invalid::Malformed("a line is cut off or too long")),
        }
    }

    /// Checks that the next line is this one.
    pub(super) fn expect(&mut self, line: &str, fault: &'static str) -> Result<(), Invalid> {
        let found = self.next()?;
        ensure(found == Some(line.as_bytes()), fault)
    }
}

/// Checks all rows that are left; of a table beyond the budget those of its beginning and its end.
pub(super) fn check_rows<R: Rows>(
    content: &Content<'_>,
    mut lines: Lines<'_>,
    new: impl Fn(Part) -> R,
) -> Result<(), Invalid> {
    let mut rows = new(Part::Beginning);
    let line_bytes_max = lines.line_bytes_max;
    // With a whole line, wherever it begins.
    let tail_bytes = TAIL_BYTES.max(2 * line_bytes_max);
    let is_long = content.bytes() > SCANNED_BYTES_MAX + tail_bytes;
    while !is_long || lines.at < SCANNED_BYTES_MAX {
        match lines.next()? {
            Some(line) => rows.add(line)?,
            None => return rows.end(),
        }
    }
    let mut lines = Lines::of(content, content.bytes() - tail_bytes).up_to(line_bytes_max);
    let mut rows = new(Part::End);
    // The position is within a line, except by chance.
    lines.next()?;
    while let Some(line) = lines.next()? {
        rows.add(line)?;
    }
    rows.end()
}

/// The cells of a row of `N`.
pub(super) fn cells<const N: usize>(row: &[u8], separator: u8) -> Result<[&[u8]; N], Invalid> {
    let mut cells = [&[][..]; N];
    let mut found = row.split(|byte| *byte == separator);
    for cell in &mut cells {
        *cell = found.next().ok_or(Invalid::Malformed("a row has too few cells"))?;
    }
    ensure(found.next().is_none(), "a row has too many cells")?;
    Ok(cells)
}

/// A whole number.
pub(super) fn whole(cell: &[u8]) -> Result<u32, Invalid> {
    let text = std::str::from_utf8(cell).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| text.parse().ok()).ok_or(Invalid::Malformed("a cell is no whole number"))
}

/// Checks a decimal number.
pub(super) fn decimal(cell: &[u8]) -> Result<(), Invalid> {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let mut parts = digits.split(|byte| *byte == b'.');
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let is_decimal = parts.next().is_some_and(is_number)
        && parts.next().is_none_or(is_number)
        && parts.next().is_none();
    ensure(is_decimal, "a cell is no number")
}

/// Checks that the cells are empty.
pub(super) fn empty<'a>(cells: impl IntoIterator<Item = &'a &'a [u8]>) -> Result<(), Invalid> {
    let is_empty = cells.into_iter().all(|cell| cell.is_empty());
    ensure(is_empty, "a row without a person has values")
}

/// Whether a person was found, by the cells of `detected` and `filled`.
pub(super) fn detection(detected: &[u8], filled: &[u8]) -> Result<Detection, Invalid> {
    let detected = flag(detected, "`detected` is neither true nor false")?;
    let filled = flag(filled, "`filled` is neither true nor false")?;
    Ok(match (detected, filled) {
        (true, _) => Detection::Found,
        (false, true) => Detection::Filled,
        (false, false) => Detection::Missing,
    })
}

fn flag(cell: &[u8], fault: &'static str) -> Result<bool, Invalid> {
    match cell {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(Invalid::Malformed(fault)),
    }
}

/// Checks cells that have numbers, or are all empty.
pub(super) fn decimals_or_empty(cells: &[&[u8]]) -> Result<(), Invalid> {
    match cells.iter().all(|cell| cell.is_empty()) {
        true => Ok(()),
        false => cells.iter().try_for_each(|cell| decimal(cell)),
    }
}

/// The number of a track, which only a person who was found has.
pub(super) fn track_of(cell: &[u8], detection: Detection) -> Result<Option<u32>, Invalid> {
    match detection {
        Detection::Found | Detection::Filled => whole(cell).map(Some),
        Detection::Missing => empty([&cell]).map(|()| None),
    }
}

/// Whether a person was found in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detection {
    /// The row has the pose.
    Found,
    /// The row has a pose that was interpolated.
    Filled,
    /// The row says that there is none.
    Missing,
}
