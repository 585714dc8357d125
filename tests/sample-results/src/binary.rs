//! Archives and columns.

use crate::SampleRun;
use bodyscript_protocol::c3d::{BLOCK_BYTES, MISSING, head};
use bodyscript_protocol::layout::{CSV_COLUMNS, OPENPOSE_POINTS, OPENPOSE_VERSION, openpose_name};
use bodyscript_protocol::pose::LANDMARKS;
use serde_json::json;

pub(crate) fn openpose(run: &SampleRun) -> Vec<u8> {
    let (mut documents, mut index) = (Vec::new(), Vec::new());
    for (frame, is_detected) in run.frames() {
        let none: [f32; 0] = [];
        let person = json!({
            "person_id": [0],
            "pose_keypoints_2d": vec![0.5; 3 * OPENPOSE_POINTS],
            "face_keypoints_2d": none,
            "hand_left_keypoints_2d": none,
            "hand_right_keypoints_2d": none,
            "pose_keypoints_3d": none,
            "face_keypoints_3d": none,
            "hand_left_keypoints_3d": none,
            "hand_right_keypoints_3d": none,
        });
        let people = if is_detected { vec![person] } else { Vec::new() };
        let text = json!({"version": OPENPOSE_VERSION, "people": people}).to_string();
        let name = openpose_name(frame);
        let at = documents.len() as u32;
        let size = (text.len() as u32).to_le_bytes();
        // Version, flags, method, time, date and checksum, sizes, lengths.
        let common =
            [&[10, 0, 0, 0, 0, 0][..], &[0; 8], &size, &size, &[name.len() as u8, 0, 0, 0]]
                .concat();
        documents.extend([b"PK\x03\x04", &*common, name.as_bytes(), text.as_bytes()].concat());
        let entry = [b"PK\x01\x02", &[10, 3][..], &common, &[0; 10], &at.to_le_bytes()];
        index.extend(entry.concat());
        index.extend(name.as_bytes());
    }
    let entries = (run.summary.frames_processed as u16).to_le_bytes();
    let place = [(index.len() as u32).to_le_bytes(), (documents.len() as u32).to_le_bytes()];
    let end = [b"PK\x05\x06", &[0; 4][..], &entries, &entries, &place.concat(), &[0; 2]].concat();
    [documents, index, end].concat()
}

pub(crate) fn c3d(run: &SampleRun) -> Vec<u8> {
    let mut bytes = head(run.summary.frames_processed as u16, 30.0, run.marker_unit());
    for (_, is_detected) in run.frames() {
        let point = if is_detected { [1.5, -2.5, 0.5, 0.0] } else { [0.0, 0.0, 0.0, MISSING] };
        bytes.extend(point.map(f32::to_le_bytes).concat().repeat(LANDMARKS));
    }
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

/// Without pages: only the footer, in Thrift's compact protocol.
pub(crate) fn parquet(run: &SampleRun) -> Vec<u8> {
    let rows = number(u64::from(run.summary.frames_processed) * LANDMARKS as u64);
    let columns = ["pose_data"].into_iter().chain(CSV_COLUMNS).flat_map(|name| {
        let bytes = name.len() as u8;
        // The name is field 4, a text.
        [&[0x48, bytes][..], name.as_bytes(), &[0]].concat()
    });
    let schema = [vec![0xfc, 1 + CSV_COLUMNS.len() as u8], columns.collect()].concat();
    // One row group, whose field 3 is its number of rows.
    let groups = [&[0x1c, 0x36][..], &rows, &[0]].concat();
    // Version, schema, rows and groups are the fields 1 to 4.
    let footer = [&[0x15, 4, 0x19][..], &schema, &[0x16], &rows, &[0x19], &groups, &[0]].concat();
    let bytes = (footer.len() as u32).to_le_bytes();
    [b"PAR1", &*footer, &bytes, b"PAR1"].concat()
}

/// A number as Thrift codes it: the sign is in the lowest bit, seven bits are in each byte.
fn number(value: u64) -> Vec<u8> {
    let (mut rest, mut bytes) = (value << 1, Vec::new());
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}
