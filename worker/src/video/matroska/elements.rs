//! Reads the headers of EBML elements and their numbers (RFC 8794, 4 to 6). Called by `pose`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Most elements of one level that are read; further ones are ignored.
const ELEMENTS_MAX: usize = 4096;
/// Longest header: an identifier of four bytes and a size of eight.
const HEADER_BYTES_MAX: usize = 12;

/// An element.
pub(super) struct Element {
    /// Its identifier, including the length marker.
    pub(super) id: u32,
    /// The range of its contents in the file; cut off at the end of the enclosing element.
    pub(super) contents: Range<u64>,
}

/// The elements within a range of the file, up to the first that has no valid header.
pub(super) fn elements(
    file: &File,
    within: Range<u64>,
) -> impl Iterator<Item = io::Result<Element>> {
    let mut at = within.start;
    let next = move || {
        let element = header(file, at..within.end).transpose()?;
        // After an error nothing more is read.
        at = element.as_ref().map_or(within.end, |element| element.contents.end);
        Some(element)
    };
    std::iter::from_fn(next).take(ELEMENTS_MAX)
}

/// The contents of the first element with this identifier.
pub(super) fn first(file: &File, within: &Range<u64>, id: u32) -> io::Result<Option<Range<u64>>> {
    for element in elements(file, within.clone()) {
        let element = element?;
        if element.id == id {
            return Ok(Some(element.contents));
        }
    }
    Ok(None)
}

/// An unsigned number; none without a byte or with too many.
pub(super) fn unsigned(file: &File, contents: &Range<u64>) -> io::Result<Option<u64>> {
    Ok(number_bytes(file, contents)?.map(u64::from_be_bytes))
}

/// A floating-point number of four or eight bytes, or zero without any.
pub(super) fn float(file: &File, contents: &Range<u64>) -> io::Result<Option<f64>> {
    let bytes = number_bytes(file, contents)?.map(u64::from_be_bytes);
    Ok(match contents.end - contents.start {
        0 => Some(0.0),
        4 => bytes.map(|bits| f32::from_bits(bits as u32).into()),
        8 => bytes.map(f64::from_bits),
        _ => None,
    })
}

fn number_bytes(file: &File, contents: &Range<u64>) -> io::Result<Option<[u8; 8]>> {
    let length = contents.end - contents.start;
    let mut bytes = [0; 8];
    if !(1..=bytes.len() as u64).contains(&length) {
        return Ok(None);
    }
    let from = bytes.len() - length as usize;
    file.read_exact_at(&mut bytes[from..], contents.start)?;
    Ok(Some(bytes))
}

/// The element at the start of this range, if its header is valid.
fn header(file: &File, Range { start, end }: Range<u64>) -> io::Result<Option<Element>> {
    let mut bytes = [0; HEADER_BYTES_MAX];
    let left = end.saturating_sub(start).min(bytes.len() as u64) as usize;
    file.read_exact_at(&mut bytes[..left], start)?;
    let Some((id, id_bytes)) = number(&bytes[..left], 4, Marker::Kept) else { return Ok(None) };
    let Some((size, size_bytes)) = number(&bytes[id_bytes..left], 8, Marker::Removed) else {
        return Ok(None);
    };
    let from = start + (id_bytes + size_bytes) as u64;
    // All bits set: to the end of the enclosing element.
    let is_unknown = size == (1 << (7 * size_bytes)) - 1;
    let until = if is_unknown { end } else { from.saturating_add(size).min(end) };
    Ok(Some(Element { id: id as u32, contents: from..until }))
}

/// What happens to the bit that marks the length of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    Kept,
    Removed,
}

/// A number of variable length and the number of its bytes.
fn number(bytes: &[u8], bytes_max: usize, marker: Marker) -> Option<(u64, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let bytes = bytes.get(..length).filter(|_| length <= bytes_max)?;
    let value = bytes.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    let mark = 1 << (7 * length);
    Some((if marker == Marker::Removed { value - mark } else { value }, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<(u32, Range<u64>)> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        let found = elements(&file, 0..bytes.len() as u64);
        found.map(|element| element.expect("readable")).map(|e| (e.id, e.contents)).collect()
    }

    #[test]
    fn each_length_of_identifier_and_size_is_read() {
        let short = [0xae, 0x81, 9].as_slice();
        let long = [0x16, 0x54, 0xae, 0x6b, 0x01, 0, 0, 0, 0, 0, 0, 2, 9, 9].as_slice();
        let rest = [0x76, 0x70, 0xff, 9, 9].as_slice();
        let found = read(&[short, long, rest].concat());
        assert_eq!(found, [(0xae, 2..3), (0x1654_ae6b, 15..17), (0x7670, 20..22)]);
    }

    #[test]
    fn an_invalid_header_ends_the_sequence_and_a_long_element_is_cut_off() {
        let whole = [0xae, 0x80].as_slice();
        for broken in [[0, 0x80].as_slice(), &[0xae], &[0xae, 0x00], &[0x08, 0x80], &[0x40]] {
            assert_eq!(read(&[whole, broken].concat()).len(), 1, "{broken:?}");
        }
        assert_eq!(read(&[0xae, 0x08, 0xff, 0xff, 0xff, 0xff, 9]), [(0xae, 6..7)]);
        assert_eq!(read(&[0xae, 0x02, 0x7f, 0xff]).len(), 0, "a size that is cut off");
    }
}
