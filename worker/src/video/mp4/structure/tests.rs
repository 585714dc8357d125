//! Each rule of the structure, at its limit and one past it.

use super::*;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use std::io::Write;

fn boxed(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    let size = (8 + contents.len()) as u32;
    [&size.to_be_bytes(), kind.as_slice(), contents].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A file with one track and this box in the table of its samples.
fn with(table: &[u8]) -> Vec<u8> {
    with_handler(b"vide", table)
}

fn with_handler(handler: &[u8; 4], table: &[u8]) -> Vec<u8> {
    let hdlr = boxed(b"hdlr", &[&[0; 8], handler.as_slice(), &[0; 12]].concat());
    let minf = boxed(b"minf", &boxed(b"stbl", table));
    let trak = boxed(b"trak", &boxed(b"mdia", &[hdlr, minf].concat()));
    [boxed(b"ftyp", b"isom"), boxed(b"moov", &trak)].concat()
}

fn checked(bytes: &[u8]) -> Result<(), StructureError> {
    let file = tempfile::tempfile().expect("a file");
    file.write_all_at(bytes, 0).expect("room");
    check(&file)
}

fn is_fine(bytes: &[u8]) {
    checked(bytes).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn a_table_with_more_entries_than_room_is_refused() {
    let entry_bytes: [(&[u8; 4], usize); 7] = [
        (b"stts", 8),
        (b"ctts", 8),
        (b"stss", 4),
        (b"stsc", 12),
        (b"stco", 4),
        (b"co64", 8),
        (b"elst", 12),
    ];
    for (kind, bytes) in entry_bytes {
        let table =
            |number: u32| with(&boxed(kind, &[words(&[0, number]), vec![0; 3 * bytes]].concat()));
        is_fine(&table(3));
        for number in [4, 1 << 30, u32::MAX] {
            let fault = checked(&table(number));
            assert!(
                matches!(fault, Err(StructureError::Entries(_))),
                "{kind:?} {number}: {fault:?}"
            );
        }
        let short = checked(&with(&boxed(kind, &[0; 7])));
        assert!(matches!(short, Err(StructureError::Entries(_))), "{short:?}");
    }
    let wide = |number| with(&boxed(b"elst", &[words(&[1 << 24, number]), vec![0; 39]].concat()));
    is_fine(&wide(1));
    assert!(checked(&wide(2)).is_err());
}

#[test]
fn sizes_of_samples_have_room_whatever_their_width() {
    let sizes = |size, number, bytes| {
        with(&boxed(b"stsz", &[words(&[0, size, number]), vec![0; bytes]].concat()))
    };
    is_fine(&sizes(0, 2, 8));
    assert!(matches!(checked(&sizes(0, 3, 8)), Err(StructureError::Entries(_))));
    let compact = |bits, number, bytes| {
        with(&boxed(b"stz2", &[words(&[0, bits, number]), vec![0; bytes]].concat()))
    };
    for (bits, room) in [(4, 6), (8, 3), (16, 1)] {
        is_fine(&compact(bits, room, 3));
        let fault = checked(&compact(bits, room + 1, 3));
        assert!(matches!(fault, Err(StructureError::Entries(_))), "{bits}: {fault:?}");
    }
}

#[test]
fn more_samples_of_one_size_than_the_file_has_room_for_are_refused() {
    let sizes = |number| with(&boxed(b"stsz", &words(&[0, 1, number])));
    let length = sizes(0).len() as u32;
    is_fine(&sizes(64 * length));
    let fault = checked(&sizes(64 * length + 1));
    assert!(matches!(fault, Err(StructureError::Samples(_))), "{fault:?}");
}

#[test]
fn a_run_of_a_fragment_has_room_for_the_fields_it_announces() {
    let run = |flags: u32, number: u32, bytes: usize| {
        let run = boxed(b"trun", &[words(&[flags, number]), vec![0; bytes]].concat());
        boxed(b"moof", &boxed(b"traf", &run))
    };
    // An offset, the flags of the first sample, and for each sample two fields.
    is_fine(&run(0x305, 2, 8 + 16));
    for (flags, number) in [(0x305, 3), (0x705, 2), (0x305, u32::MAX), (0, u32::MAX)] {
        assert!(checked(&run(flags, number, 8 + 16)).is_err(), "{flags:x} {number}");
    }
}

#[test]
fn an_index_of_segments_has_room_for_its_references() {
    let narrow = |number| boxed(b"sidx", &[words(&[0, 1, 1, 0, 0, number]), vec![0; 24]].concat());
    let wide = |number| {
        boxed(b"sidx", &[words(&[1 << 24, 1, 1, 0, 0, 0, 0, number]), vec![0; 24]].concat())
    };
    for index in [narrow as fn(u32) -> Vec<u8>, wide] {
        is_fine(&index(2));
        // The upper half of the word is reserved.
        is_fine(&index(0xffff_0002));
        assert!(matches!(checked(&index(3)), Err(StructureError::Entries(_))));
    }
}

#[test]
fn a_description_shorter_than_the_fields_of_its_type_is_refused() {
    for (handler, fields) in [(b"vide", 78), (b"soun", 28), (b"text", 8)] {
        let descriptions = |number: u32, bytes: usize| {
            let entries = [boxed(b"abcd", &vec![0; fields]), boxed(b"abcd", &vec![0; bytes])];
            let stsd = boxed(b"stsd", &[words(&[0, number]), entries.concat()].concat());
            with_handler(handler, &stsd)
        };
        is_fine(&descriptions(2, fields));
        is_fine(&descriptions(1, fields - 1));
        for (number, bytes) in [(2, fields - 1), (3, fields), (u32::MAX, fields)] {
            let fault = checked(&descriptions(number, bytes));
            assert!(matches!(fault, Err(StructureError::Description)), "{fault:?}");
        }
    }
    let short = checked(&with(&boxed(b"stsd", &[0; 7])));
    assert!(matches!(short, Err(StructureError::Description)), "{short:?}");
}

#[test]
fn deep_nesting_is_refused() {
    for kind in [b"moov", b"udta", b"meta", b"\xa9nam"] {
        let nested = |depth: usize| {
            let inner = (1..depth).fold(Vec::new(), |inner, _| {
                let version = if kind == b"meta" { vec![0; 4] } else { Vec::new() };
                boxed(kind, &[version, inner].concat())
            });
            boxed(b"moov", &inner)
        };
        is_fine(&nested(DEPTH_MAX));
        for depth in [DEPTH_MAX + 2, 10_000] {
            assert!(matches!(checked(&nested(depth)), Err(StructureError::Depth)), "{kind:?}");
        }
    }
}

#[test]
fn many_tracks_are_refused() {
    let tracks = |number| boxed(b"moov", &boxed(b"trak", b"").repeat(number));
    is_fine(&tracks(TRACKS_MAX as usize));
    assert!(matches!(checked(&tracks(TRACKS_MAX as usize + 1)), Err(StructureError::Tracks)));
}

#[test]
fn a_box_of_the_structure_beyond_the_one_around_it_is_refused() {
    for size in [2_u32, 7, 17, u32::MAX] {
        let broken = |kind: &[u8; 4]| [&size.to_be_bytes(), kind.as_slice(), &[0; 8]].concat();
        let fault = checked(&boxed(b"moov", &broken(b"trak")));
        assert!(matches!(fault, Err(StructureError::Size(_))), "{size}: {fault:?}");
        is_fine(&boxed(b"moof", &broken(b"traf")));
        // What programs leave at the end of an index.
        is_fine(&boxed(b"moov", &broken(b"udta")));
        is_fine(&boxed(b"moov", &boxed(b"udta", &broken(b"abcd"))));
    }
}

/// A file whose index is compressed.
fn compressed(index: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(words(&[index.len() as u32]), Compression::fast());
    encoder.write_all(index).expect("memory");
    let data = boxed(b"cmvd", &encoder.finish().expect("memory"));
    boxed(b"moov", &boxed(b"cmov", &[boxed(b"dcom", b"zlib"), data].concat()))
}

#[test]
fn a_compressed_index_is_checked_as_any_other() {
    let tracks = |number| compressed(&boxed(b"moov", &boxed(b"trak", b"").repeat(number)));
    is_fine(&tracks(TRACKS_MAX as usize));
    assert!(matches!(checked(&tracks(TRACKS_MAX as usize + 1)), Err(StructureError::Tracks)));
    let padded = |bytes: usize| compressed(&boxed(b"free", &vec![0; bytes - 8]));
    is_fine(&padded(32 << 20));
    let twice = compressed(&tracks(1));
    for refused in [padded((32 << 20) + 1), twice, boxed(b"cmvd", b""), boxed(b"cmvd", &[0; 20])] {
        let fault = checked(&refused);
        assert!(matches!(fault, Err(StructureError::Compressed)), "{fault:?}");
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_not_refused_for_it() {
    let fragment = boxed(b"moof", &boxed(b"traf", &boxed(b"trun", &words(&[0x100, 1, 5]))));
    let whole = [
        with(&boxed(b"stts", &words(&[0, 1, 1, 1]))),
        fragment.clone(),
        boxed(b"mdat", &[0; 40]),
        fragment,
    ]
    .concat();
    for kept in 0..=whole.len() {
        is_fine(&whole[..kept]);
    }
}

#[test]
fn other_formats_pass() {
    for bytes in
        [&b"RIFF\x10\0\0\0AVI LIST"[..], b"\x1a\x45\xdf\xa3\x01\0\0\0", b"GIF89a", b"", b"G"]
    {
        is_fine(bytes);
    }
}

proptest! {
    /// Whatever the bytes are, the check ends, and panics at none.
    #[test]
    fn damaged_files_are_checked_to_their_end(
        changes in prop::collection::vec((0_usize..400, any::<u8>()), 0..20),
    ) {
        let tables = [
            boxed(b"stsd", &[words(&[0, 1]), boxed(b"avc1", &[0; 78])].concat()),
            boxed(b"stts", &words(&[0, 1, 1, 1])),
            boxed(b"stsz", &words(&[0, 0, 2, 5, 5])),
            boxed(b"stco", &words(&[0, 1, 5])),
        ];
        let run = boxed(b"moof", &boxed(b"traf", &boxed(b"trun", &words(&[0x300, 1, 5, 5]))));
        let mut bytes = [with(&tables.concat()), run].concat();
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[at % length] = byte;
        }
        let _ = checked(&bytes);
    }
}
