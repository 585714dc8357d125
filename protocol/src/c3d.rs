//! The layout of pose.c3d before its frames: a worker writes it, the supervisor compares.
//!
//! C3D (c3d.org, "The C3D File Format User Guide") has blocks of 512 bytes: one of header, then those of the
//! parameters, then the frames. All is little-endian, and numbers of points are IEEE floats.

use crate::layout::MarkerUnit;
use crate::pose::{LANDMARKS, NAMES};

/// Size of a block. The last one is filled up with zeros.
pub const BLOCK_BYTES: usize = 512;

/// Most frames of a file: their number has 16 bits.
pub const FRAMES_MAX: u32 = u16::MAX as u32;

/// Numbers of a point: X, Y, Z and the residual.
pub const POINT_NUMBERS: usize = 4;

/// Bytes of one frame.
pub const FRAME_BYTES: usize = LANDMARKS * POINT_NUMBERS * size_of::<f32>();

/// The residual of a point that is not there.
pub const MISSING: f32 = -1.0;

/// The first byte of header and parameters says where these are, the second that it is C3D.
const PARAMETERS_BLOCK: u8 = 2;
const KEY: u8 = 0x50;
/// Little-endian with IEEE floats.
const INTEL: u8 = 84;

/// Coordinates are floats and in the unit itself: a negative scale says so.
const SCALE: f32 = -1.0;

/// A group's parameters have its number.
const POINT: u8 = 1;
const ANALOG: u8 = 2;

/// The bytes before the frames of a file with this many frames at this rate, of points in this unit.
pub fn head(frames: u16, rate: f32, unit: MarkerUnit) -> Vec<u8> {
    let blocks = parameters((frames, rate, unit), 0).len().div_ceil(BLOCK_BYTES);
    let first_block = u16::from(PARAMETERS_BLOCK) + blocks as u16;
    let mut head = header(frames, rate, first_block);
    let mut parameters = parameters((frames, rate, unit), first_block);
    parameters[2] = blocks as u8;
    head.extend(parameters);
    head.resize(BLOCK_BYTES * (1 + blocks), 0);
    head
}

fn header(frames: u16, rate: f32, first_block: u16) -> Vec<u8> {
    let mut header = vec![PARAMETERS_BLOCK, KEY];
    // Points, analogue samples a frame, first and last frame, longest gap that was filled.
    header.extend([LANDMARKS as u16, 0, 1, frames, 0].map(u16::to_le_bytes).concat());
    header.extend(SCALE.to_le_bytes());
    // Where the frames begin, and analogue frames for each of them.
    header.extend([first_block, 0].map(u16::to_le_bytes).concat());
    header.extend(rate.to_le_bytes());
    header.resize(BLOCK_BYTES, 0);
    header
}

/// A value of a parameter.
enum Value<'a> {
    Whole(u16),
    Float(f32),
    /// One text.
    Text(&'a str),
    /// Texts that are filled up with spaces to the longest one.
    Texts(&'a [&'a str]),
}

fn parameters((frames, rate, unit): (u16, f32, MarkerUnit), first_block: u16) -> Vec<u8> {
    // The number of blocks is set once it is known.
    let mut records = vec![1, KEY, 0, INTEL];
    add_group(&mut records, POINT, "POINT");
    add_group(&mut records, ANALOG, "ANALOG");
    let point = [
        ("USED", Value::Whole(LANDMARKS as u16)),
        ("SCALE", Value::Float(SCALE)),
        ("RATE", Value::Float(rate)),
        ("DATA_START", Value::Whole(first_block)),
        ("FRAMES", Value::Whole(frames)),
        ("LABELS", Value::Texts(&NAMES)),
        ("DESCRIPTIONS", Value::Texts(&NAMES)),
        ("UNITS", Value::Text(unit.symbol())),
        // The axes that point to the right and up in the picture.
        ("X_SCREEN", Value::Text("+X")),
        ("Y_SCREEN", Value::Text("+Y")),
    ];
    for (name, value) in &point {
        add_parameter(&mut records, POINT, name, value);
    }
    let last = records.len();
    add_parameter(&mut records, ANALOG, "USED", &Value::Whole(0));
    // The last record says so by having none at a distance.
    let distance = last + 2 + "USED".len();
    records[distance..distance + 2].fill(0);
    records
}

/// Bytes from where a record's distance to the next one is to the text that describes it: the distance itself.
const DISTANCE_BYTES: usize = 2;

fn add_group(records: &mut Vec<u8>, number: u8, name: &str) {
    records.extend([name.len() as u8, number.wrapping_neg()]);
    records.extend(name.bytes());
    // A description of no length.
    records.extend((DISTANCE_BYTES as u16 + 1).to_le_bytes());
    records.push(0);
}

fn add_parameter(records: &mut Vec<u8>, group: u8, name: &str, value: &Value<'_>) {
    let (kind, sides, bytes): (i8, Vec<u8>, Vec<u8>) = match value {
        Value::Whole(number) => (2, vec![], number.to_le_bytes().into()),
        Value::Float(number) => (4, vec![], number.to_le_bytes().into()),
        Value::Text(text) => (-1, vec![text.len() as u8], text.bytes().collect()),
        Value::Texts(texts) => {
            let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
            let padded = texts.iter().map(|text| format!("{text:longest$}"));
            (-1, vec![longest as u8, texts.len() as u8], padded.collect::<String>().into())
        }
    };
    records.extend([name.len() as u8, group]);
    records.extend(name.bytes());
    // Kind and number of sides before the sides, and a description of no length after the values.
    let distance = DISTANCE_BYTES + 2 + sides.len() + bytes.len() + 1;
    records.extend((distance as u16).to_le_bytes());
    records.extend([kind as u8, sides.len() as u8]);
    records.extend(sides);
    records.extend(bytes);
    records.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_where_the_frames_begin_and_has_whole_blocks() {
        let head = head(300, 29.97, MarkerUnit::Metres);
        assert_eq!(head.len() % BLOCK_BYTES, 0);
        let first_block = u16::from_le_bytes([head[16], head[17]]);
        assert_eq!(usize::from(first_block - 1) * BLOCK_BYTES, head.len());
        assert_eq!(head[BLOCK_BYTES + 2] as usize, head.len() / BLOCK_BYTES - 1);
    }

    /// As readers do: from record to record by their distances.
    #[test]
    fn records_follow_each_other_to_the_last_one() {
        let head = head(300, 29.97, MarkerUnit::Millimetres);
        let (mut at, mut names) = (BLOCK_BYTES + 4, Vec::new());
        loop {
            let name = at + 2..at + 2 + usize::from(head[at]);
            names.push(String::from_utf8(head[name.clone()].to_vec()).expect("a name"));
            match u16::from_le_bytes([head[name.end], head[name.end + 1]]) {
                0 => break,
                distance => at = name.end + usize::from(distance),
            }
        }
        let expected = "POINT ANALOG USED SCALE RATE DATA_START FRAMES LABELS DESCRIPTIONS UNITS \
                        X_SCREEN Y_SCREEN USED";
        assert_eq!(names.join(" "), expected);
    }
}
