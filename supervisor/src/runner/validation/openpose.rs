//! openpose.zip: one stored document for every processed frame, one after the other, then the index (APPNOTE.TXT
//! of ZIP, 4.3). Nothing lies between them, before or after.

use super::Expected;
use super::SCANNED_BYTES_MAX;
use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::poses::Poses;
use super::table::{Detection, Part};
use bodyscript_protocol::layout::{OPENPOSE_POINTS, OPENPOSE_VERSION, openpose_name};
use serde::Deserialize;
use std::io::Read;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const END_64_LOCATOR: u32 = 0x0706_4b50;

/// All names are equally long: the number is padded.
const NAME_BYTES: usize = "pose_000000000000_keypoints.json".len();
const LOCAL_BYTES: u64 = 30 + NAME_BYTES as u64;
const CENTRAL_BYTES: usize = 46 + NAME_BYTES;
const END_BYTES: u64 = 22;
/// Most entries that the end of the index counts by itself.
const ENTRIES_16_BIT: u64 = 0xffff;
/// The record and its locator that come before the end where there are more entries than 16 bits count.
const END_64_BYTES: u64 = 56 + 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: f32,
    people: Vec<PersonKeypoints>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonKeypoints {
    person_id: [u32; 1],
    pose_keypoints_2d: Vec<f32>,
    #[serde(rename = "face_keypoints_2d")]
    _face_2d: [f32; 0],
    #[serde(rename = "hand_left_keypoints_2d")]
    _left_2d: [f32; 0],
    #[serde(rename = "hand_right_keypoints_2d")]
    _right_2d: [f32; 0],
    #[serde(rename = "pose_keypoints_3d")]
    _pose_3d: [f32; 0],
    #[serde(rename = "face_keypoints_3d")]
    _face_3d: [f32; 0],
    #[serde(rename = "hand_left_keypoints_3d")]
    _left_3d: [f32; 0],
    #[serde(rename = "hand_right_keypoints_3d")]
    _right_3d: [f32; 0],
}

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let entries = u64::from(expected.summary.frames_processed);
    let index_bytes = entries * CENTRAL_BYTES as u64;
    let end_bytes = if entries <= ENTRIES_16_BIT { END_BYTES } else { END_BYTES + END_64_BYTES };
    let index = content.bytes().checked_sub(index_bytes + end_bytes);
    let index = index.ok_or(Invalid::Malformed("it is shorter than its index"))?;
    check_end(content, [entries, index_bytes, index])?;
    let mut reader = content.buffered(index, index + index_bytes);
    let mut poses = Poses::with_unmarked_filling(expected, Part::Beginning);
    let mut at = 0;
    for _ in 0..entries {
        let mut entry = [0; CENTRAL_BYTES];
        reader.read_exact(&mut entry)?;
        let entry = Entry::read(&entry, at)?;
        if at < SCANNED_BYTES_MAX {
            let frame = check_document(content, &entry, &mut poses)?;
            ensure(entry.name == openpose_name(frame).as_bytes(), "a document has another name")?;
        }
        at += LOCAL_BYTES + u64::from(entry.bytes);
    }
    equal("end of the documents", at, index)?;
    if at < SCANNED_BYTES_MAX { poses.end() } else { Ok(()) }
}

/// Checks the records at the end: how many entries there are, and how large the index is and where.
fn check_end(content: &Content<'_>, index: [u64; 3]) -> Result<(), Invalid> {
    let at = content.bytes().saturating_sub(END_BYTES);
    let end = Fields(content.piece(at, END_BYTES)?);
    ensure(end.u32(0) == END && end.u32(4) == 0, "it has no end of index")?;
    equal("bytes of a comment", end.u16(20), 0_u64)?;
    let [entries, bytes, from] = index;
    if entries > ENTRIES_16_BIT {
        let at = at.saturating_sub(END_64_BYTES);
        let end = Fields(content.piece(at, END_64_BYTES)?);
        let is_valid = end.u32(0) == END_64 && end.u64(4) == 44 && end.u32(56) == END_64_LOCATOR;
        ensure(is_valid && end.u64(64) == at, "it has no end of a large index")?;
        equal("entries", end.u64(32), entries)?;
        equal("bytes of the index", end.u64(40), bytes)?;
        return equal("place of the index", end.u64(48), from);
    }
    equal("entries of this disk", end.u16(8), entries)?;
    equal("entries", end.u16(10), entries)?;
    equal("bytes of the index", end.u32(12), bytes)?;
    equal("place of the index", end.u32(16), from)
}

/// One entry of the index.
struct Entry {
    name: [u8; NAME_BYTES],
    at: u64,
    bytes: u32,
    /// What the index and the header before the document have in common: from the version to the lengths.
    common: [u8; 26],
}

impl Entry {
    fn read(bytes: &[u8; CENTRAL_BYTES], at: u64) -> Result<Self, Invalid> {
        let fields = Fields(bytes.to_vec());
        ensure(fields.u32(0) == CENTRAL, "its index has something else in it")?;
        // Flags and method: neither encrypted nor compressed.
        ensure(fields.u32(8) == 0, "an entry is not stored as it is")?;
        let size = fields.u32(24);
        equal("stored size of an entry", fields.u32(20), size)?;
        equal("length of a name", fields.u16(28), NAME_BYTES as u64)?;
        ensure(fields.u32(30) == 0, "an entry has extra fields")?;
        equal("place of an entry", fields.u32(42), at)?;
        let common = fields.0[6..32].try_into();
        let name = fields.0[46..].try_into();
        let (Ok(common), Ok(name)) = (common, name) else {
            return Err(Invalid::Malformed("an entry is too short"));
        };
        Ok(Self { name, at, bytes: size, common })
    }
}

/// Checks the header and the document of an entry; returns the frame that its name has.
fn check_document(
    content: &Content<'_>,
    entry: &Entry,
    poses: &mut Poses<'_>,
) -> Result<u32, Invalid> {
    let piece = content.piece(entry.at, LOCAL_BYTES + u64::from(entry.bytes))?;
    let (header, text) = piece.split_at(LOCAL_BYTES as usize);
    let is_same = header[..4] == LOCAL.to_le_bytes()
        && header[4..30] == entry.common
        && header[30..] == entry.name;
    ensure(is_same, "an entry differs from its header")?;
    let digits = entry.name.get(5..17).and_then(|digits| std::str::from_utf8(digits).ok());
    let frame = digits.and_then(|digits| digits.parse().ok());
    let frame = frame.ok_or(Invalid::Malformed("a document has another name"))?;
    let document: Document = serde_json::from_slice(text)?;
    ensure(document.version == OPENPOSE_VERSION, "a document has another version")?;
    if document.people.is_empty() {
        poses.add((frame, 0), Detection::Missing)?;
    }
    for PersonKeypoints { person_id: [person], pose_keypoints_2d, .. } in &document.people {
        equal("numbers of a person", pose_keypoints_2d.len() as u64, 3 * OPENPOSE_POINTS as u64)?;
        poses.add((frame, *person), Detection::Found)?;
    }
    Ok(frame)
}

/// Numbers in a record, least byte first.
struct Fields(Vec<u8>);

impl Fields {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0[at..].first_chunk().copied().unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u64 {
        u16::from_le_bytes(self.array(at)).into()
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}
