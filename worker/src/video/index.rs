//! Whether an MP4 or QuickTime file has its index (`moov`, ISO/IEC 14496-12). Called by `source`:
//! the demuxer has the same words for a file that was cut off before its index and for one whose
//! tracks are empty.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Size and kind of a box.
const HEAD_BYTES: u64 = 8;
/// Boxes that are looked at; a file made of more is not looked through.
const BOXES_MAX: usize = 1024;

/// Whether the file is a row of boxes with a whole index among them.
pub(super) fn is_there(file: &File) -> io::Result<bool> {
    let end = file.metadata()?.len();
    let mut at: u64 = 0;
    for _ in 0..BOXES_MAX {
        let Some((size, kind)) = head(file, at, end)? else { return Ok(false) };
        if &kind == b"moov" {
            return Ok(true);
        }
        at += size;
    }
    Ok(false)
}

/// Size and kind of the box at this place, if it is whole.
fn head(file: &File, at: u64, end: u64) -> io::Result<Option<(u64, [u8; 4])>> {
    let left = end.saturating_sub(at);
    if left < HEAD_BYTES {
        return Ok(None);
    }
    let mut head = [0; HEAD_BYTES as usize];
    file.read_exact_at(&mut head, at)?;
    let [a, b, c, d, kind @ ..] = head;
    let size = match u32::from_be_bytes([a, b, c, d]) {
        // To the end of the file.
        0 => left,
        // In 64 bits after the kind.
        1 if left >= 2 * HEAD_BYTES => {
            let mut size = [0; 8];
            file.read_exact_at(&mut size, at + HEAD_BYTES)?;
            u64::from_be_bytes(size)
        }
        size => size.into(),
    };
    Ok((HEAD_BYTES..=left).contains(&size).then_some((size, kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn is_found(boxes: &[&[u8]]) -> bool {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&boxes.concat()).expect("room");
        is_there(&file).expect("readable")
    }

    #[test]
    fn only_a_whole_index_counts() {
        let brand = b"\0\0\0\x0cftypisom".as_slice();
        let media = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x12xx".as_slice();
        let index = b"\0\0\0\x0amoovxx".as_slice();
        assert!(is_found(&[brand, media, index]));
        assert!(is_found(&[brand, b"\0\0\0\0moov"]), "to the end of the file");
        assert!(!is_found(&[brand, media]));
        assert!(!is_found(&[brand, media, &index[..9]]), "cut off");
        assert!(!is_found(&[brand, b"\0\0\0\0mdat", index]), "within the media");
        assert!(!is_found(&[b"\0\0\0\x02mdat", index]), "no size of a box");
        assert!(!is_found(&[b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff", index]));
        assert!(!is_found(&[]));
    }
}
