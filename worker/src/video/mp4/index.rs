//! Whether an MP4 or QuickTime file has an index (`moov`, ISO/IEC 14496-12), and the size of its
//! pictures by its index. Called by `file_facts`: the demuxer gives the same error for a file that was
//! cut off before its index and for one whose tracks are empty.

use super::boxes::{boxes, contents_of};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Most boxes that are read.
const BOXES_MAX: usize = 1024;

/// Whether the file has a complete index.
pub(in crate::video) fn is_present(file: &File) -> io::Result<bool> {
    Ok(!contents_of(file, 0..file.metadata()?.len(), &[*b"moov"])?.is_empty())
}

/// Whether the file consists of fragments without an index, which cannot be decoded: the demuxer of
/// GStreamer 1.22 reads such a file in an endless loop.
pub(in crate::video) fn lacks_index_for_fragments(file: &File) -> io::Result<bool> {
    if is_present(file)? {
        return Ok(false);
    }
    let mut end = 0;
    for header in boxes(file, 0..file.metadata()?.len()).take(BOXES_MAX) {
        let header = header?;
        if header.kind == *b"moof" {
            return Ok(true);
        }
        end = header.whole.end;
    }
    // An incomplete fragment causes the loop as well.
    let mut kind = [0; 4];
    Ok(file.read_at(&mut kind, end + 4)? == kind.len() && kind == *b"moof")
}

/// Whether the file ends within its media or its index.
pub(in crate::video) fn is_cut_off(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut end = 0;
    for header in boxes(file, 0..length).take(BOXES_MAX) {
        end = header?.whole.end;
    }
    let mut kind = [0; 4];
    let is_read = file.read_at(&mut kind, end.saturating_add(4))? == kind.len();
    Ok(end > 0 && is_read && [*b"mdat", *b"moof", *b"moov"].contains(&kind))
}

/// Size of the pictures of the first video track, by its first description (12.1.3).
pub(in crate::video) fn picture_size(file: &File) -> io::Result<Option<[u32; 2]>> {
    /// Bytes of a table of descriptions before the first of them.
    const HEAD: u64 = 8;
    /// Bytes of a description before the size.
    const BEFORE_SIZE: u64 = 24;
    let media = [*b"moov", *b"trak", *b"mdia", *b"minf"];
    for media in contents_of(file, 0..file.metadata()?.len(), &media)? {
        let is_video = !contents_of(file, media.clone(), &[*b"vmhd"])?.is_empty();
        let tables = contents_of(file, media, &[*b"stbl", *b"stsd"])?;
        let Some(table) = tables.first().filter(|_| is_video) else { continue };
        let Some(description) = boxes(file, table.start + HEAD..table.end).next() else { continue };
        let description = description?.contents;
        let mut size = [0; 4];
        if description.end - description.start >= BEFORE_SIZE + 4 {
            file.read_exact_at(&mut size, description.start + BEFORE_SIZE)?;
            let [a, b, c, d] = size;
            let size = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])].map(u32::from);
            return Ok(Some(size).filter(|size| !size.contains(&0)));
        }
    }
    Ok(None)
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
        is_present(&file(boxes)).expect("readable")
    }

    #[test]
    fn only_fragments_without_an_index_are_reported() {
        let brand = b"\0\0\0\x0cftypisom".as_slice();
        let [index, lost, fragment] =
            [b"\0\0\0\x0amoovxx".as_slice(), b"\0\0\0\x0amoo*xx", b"\0\0\0\x0amoofxx"];
        let is_lost = |boxes: &[&[u8]]| lacks_index_for_fragments(&file(boxes)).expect("readable");
        assert!(is_lost(&[brand, lost, fragment]) && is_lost(&[fragment]));
        assert!(is_lost(&[brand, lost, b"\0\0\0\x0bmoofxx"]), "a fragment that is cut off");
        assert!(!is_lost(&[brand, index, fragment]) && !is_lost(&[brand, fragment, index]));
        assert!(!is_lost(&[brand]) && !is_lost(&[brand, lost]) && !is_lost(&[]));
    }

    /// A box around these ones.
    fn boxed(kind: &[u8; 4], contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        [&(contents.len() as u32 + 8).to_be_bytes()[..], kind, &contents].concat()
    }

    #[test]
    fn the_size_of_pictures_is_that_of_the_first_video_track() {
        let description = |size: [u8; 4]| boxed(b"mp4v", &[&[0; 24], &size, &[0; 50]]);
        let track = |media: &[u8; 4], description: &[u8]| {
            let table = boxed(b"stbl", &[&boxed(b"stsd", &[&[0; 8], description])]);
            let media = boxed(b"minf", &[&boxed(media, &[&[0; 12]]), &table]);
            boxed(b"trak", &[&boxed(b"mdia", &[&media])])
        };
        let size =
            |tracks: &[&[u8]]| picture_size(&file(&[&boxed(b"moov", tracks)])).expect("readable");
        let sound = track(b"smhd", &description([0, 3, 0, 4]));
        let video = track(b"vmhd", &description([1, 2, 0, 2]));
        assert_eq!(size(&[&sound, &video]), Some([258, 2]));
        assert_eq!(size(&[&sound]), None);
        assert_eq!(size(&[&track(b"vmhd", &description([0, 0, 0, 2]))]), None);
        for incomplete in [b"".as_slice(), b"\0\0\0", b"\0\0\0\x09mp4v\0"] {
            assert_eq!(size(&[&track(b"vmhd", incomplete)]), None);
        }
    }

    #[test]
    fn a_file_that_ends_within_its_media_is_cut_off() {
        let brand = b"\0\0\0\x0cftypisom".as_slice();
        let media = b"\0\0\0\x0cmdatxxxx".as_slice();
        let is_cut_off = |boxes: &[&[u8]]| is_cut_off(&file(boxes)).expect("readable");
        assert!(!is_cut_off(&[brand, media]) && !is_cut_off(&[]));
        assert!(is_cut_off(&[brand, &media[..10]]));
        assert!(!is_cut_off(&[brand, media, b"\0\0\xff\xffxxxx"]), "bytes that are no box");
        assert!(!is_cut_off(&[&media[..10]]), "no other box shows that this is an MP4");
    }

    #[test]
    fn only_a_complete_index_is_present() {
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
