//! Reads the tables of a transport stream that name its streams, and corrects the stream of the clock
//! in them (ISO/IEC 13818-1, 2.4.4). Pure; called by `transport_stream`.

use super::packet::Packet;
use crate::video::corrected_file::Patch;

/// Kinds of streams that carry pictures: MPEG-1, MPEG-2, MPEG-4, H.264, H.265, VC-1.
const VIDEO_KINDS: [u8; 6] = [0x01, 0x02, 0x10, 0x1b, 0x24, 0xea];
/// Kinds of streams whose pictures the demuxer leaves out, by the codes of other containers.
const LEFT_OUT: [(u8, &str); 6] = [
    (0x32, "fourcc:jxsv"),
    (0x33, "fourcc:vvc1"),
    (0x35, "fourcc:evc1"),
    (0x36, "fourcc:lvc1"),
    (0xd2, "fourcc:avs2"),
    (0xd4, "fourcc:avs3"),
];
/// Offset of the stream of the clock in a program map.
const CLOCK_AT: usize = 8;
/// Bytes of a program map before its descriptors.
const HEADER_BYTES: usize = 12;
/// Bytes of the check sum at the end of a table.
const CHECK_BYTES: usize = 4;

/// A table of a packet, from its type to its check sum, and its offset in the packet.
fn table<'a>(packet: &Packet<'a>, kind: u8) -> Option<(&'a [u8], usize)> {
    let skipped = 1 + usize::from(*packet.payload.first().filter(|_| packet.is_start)?);
    let table = packet.payload.get(skipped..)?;
    let length = 3 + usize::from(u16::from_be_bytes([*table.get(1)? & 0x0f, *table.get(2)?]));
    let table = table.get(..length).filter(|table| table[0] == kind)?;
    Some((table, packet.payload_at + skipped))
}

/// The stream of the first program's map, by the table of all programs.
pub(super) fn first_map(packet: &Packet<'_>) -> Option<u16> {
    let (table, _) = table(packet, 0)?;
    let programs = table.get(8..table.len().checked_sub(CHECK_BYTES)?)?;
    let programs = programs.as_chunks::<4>().0;
    // Number zero is the network's own table.
    let first = programs.iter().find(|program| program[..2] != [0, 0])?;
    Some(u16::from_be_bytes([first[2] & 0x1f, first[3]]))
}

fn id(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0] & 0x1f, bytes[1]])
}

/// The kinds and numbers of the streams of a map that is complete in this packet.
fn streams(packet: &Packet<'_>) -> Option<impl Iterator<Item = (u8, u16)>> {
    let (table, _) = table(packet, 2)?;
    let length = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0] & 0x0f, bytes[1]]));
    let descriptors = length(table.get(CLOCK_AT + 2..HEADER_BYTES)?);
    let end = table.len().checked_sub(CHECK_BYTES)?;
    let mut streams = table.get(HEADER_BYTES + descriptors..end)?;
    Some(std::iter::from_fn(move || {
        let [kind, stream @ ..] = streams.first_chunk::<5>()?;
        streams = streams.get(5 + length(&stream[2..])..).unwrap_or_default();
        Some((*kind, id(stream)))
    }))
}

/// The codec of the first stream that the demuxer leaves out.
pub(super) fn left_out(packet: &Packet<'_>) -> Option<&'static str> {
    let name = |kind| LEFT_OUT.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name);
    streams(packet)?.find_map(|(kind, _)| name(kind))
}

/// A program map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProgramMap {
    /// The stream that is stated to carry the clock.
    pub(super) clock_id: u16,
    /// The first stream with pictures.
    pub(super) video_id: Option<u16>,
}

impl ProgramMap {
    /// Reads a map that is complete in this packet.
    pub(super) fn read(packet: &Packet<'_>) -> Option<Self> {
        let (table, _) = table(packet, 2)?;
        let clock_id = id(table.get(CLOCK_AT..CLOCK_AT + 2)?);
        let video = streams(packet)?.find(|(kind, _)| VIDEO_KINDS.contains(kind));
        Some(Self { clock_id, video_id: video.map(|(_, id)| id) })
    }

    /// The patch that makes the stream of the video that of the clock, for a packet at this offset in
    /// the file.
    pub(super) fn corrected(&self, packet: &Packet<'_>, at: u64) -> Option<Patch> {
        let (table, offset) = table(packet, 2)?;
        let [high, low] = self.video_id?.to_be_bytes();
        let mut table = table.to_vec();
        table[CLOCK_AT] = table[CLOCK_AT] & 0xe0 | high;
        table[CLOCK_AT + 1] = low;
        let end = table.len().checked_sub(CHECK_BYTES)?;
        let check = check_sum(&table[..end]).to_be_bytes();
        table[end..].copy_from_slice(&check);
        Some(Patch { at: at + offset as u64, bytes: table })
    }
}

/// The check sum of a table (ISO/IEC 13818-1, annex A).
fn check_sum(bytes: &[u8]) -> u32 {
    let shift = |sum: u32, _| if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
    bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte) << 24, shift))
}
