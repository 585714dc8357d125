//! Whether an MP4 or QuickTime file has its index (`moov`, ISO/IEC 14496-12), and what is in it.
//! Called by `source`: the demuxer has the same words for a file that was cut off before its index
//! and for one whose tracks are empty.

use super::boxes::{boxes, inside};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Boxes that are looked at.
const BOXES_MAX: usize = 1024;

/// Whether the file is a row of boxes with a whole index among them.
pub(super) fn is_there(file: &File) -> io::Result<bool> {
    Ok(!inside(file, 0..file.metadata()?.len(), &[*b"moov"])?.is_empty())
}

/// Whether the file is fragments without an index, and so nothing says what is in them: the
/// demuxer of GStreamer 1.22 reads such a file over and over.
pub(super) fn is_lost(file: &File) -> io::Result<bool> {
    if is_there(file)? {
        return Ok(false);
    }
    let mut end = 0;
    for head in boxes(file, 0..file.metadata()?.len()).take(BOXES_MAX) {
        let head = head?;
        if head.kind == *b"moof" {
            return Ok(true);
        }
        end = head.whole.end;
    }
    // Nor is one that is not whole ever done with.
    let mut kind = [0; 4];
    Ok(file.read_at(&mut kind, end + 4)? == kind.len() && kind == *b"moof")
}

/// Whether an index says which part of the media is shown, and when.
pub(super) fn has_edits(file: &File) -> io::Result<bool> {
    let path = [*b"moov", *b"trak", *b"edts", *b"elst"];
    Ok(!inside(file, 0..file.metadata()?.len(), &path)?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(boxes: &[&[u8]]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&boxes.concat()).expect("room");
        file
    }

    fn is_found(boxes: &[&[u8]]) -> bool {
        is_there(&file(boxes)).expect("readable")
    }

    #[test]
    fn fragments_need_an_index_and_other_files_do_not_miss_one() {
        let brand = b"\0\0\0\x0cftypisom".as_slice();
        let [index, lost, fragment] =
            [b"\0\0\0\x0amoovxx".as_slice(), b"\0\0\0\x0amoo*xx", b"\0\0\0\x0amoofxx"];
        let is_lost = |boxes: &[&[u8]]| is_lost(&file(boxes)).expect("readable");
        assert!(is_lost(&[brand, lost, fragment]) && is_lost(&[fragment]));
        assert!(is_lost(&[brand, lost, b"\0\0\0\x0bmoofxx"]), "a fragment that is cut off");
        assert!(!is_lost(&[brand, index, fragment]) && !is_lost(&[brand, fragment, index]));
        assert!(!is_lost(&[brand]) && !is_lost(&[brand, lost]) && !is_lost(&[]));
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
