//! Finds transport streams without a clock (ISO/IEC 13818-1: PCR), as some segments of adaptive
//! streaming are, and corrects them. Called by `file_facts`.
//!
//! The demuxer relates every time stamp to the clock and drops the stamps of a stream without one.
//! One packet with a clock value in front of the stream, and a program map that refers to it, make
//! it keep them.

mod packet;
mod program;

use super::corrected_file::{Corrections, Patch};
use packet::{Framing, Packet};
use program::ProgramMap;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are searched for a clock; streams with one have it in the first thousands.
const SEARCH_BYTES_MAX: u64 = 64 << 20;
/// Bytes that are read at once, about.
const PART_BYTES: u64 = 64 * 1024;
/// Most program maps that are corrected; a stream repeats the map a few times a second.
const MAPS_MAX: usize = 4096;
/// Most streams whose first time stamp is recorded.
const STREAMS_MAX: usize = 64;
/// How far the clock is before the first time stamp, in ticks of 90 kHz: as much as receivers
/// usually buffer.
const CLOCK_LEAD: u64 = 9_000;
/// How far the first time stamps of streams may be apart, in the same ticks.
const DISTANCE_MAX: u64 = 900_000;
/// Time stamps have 33 bits.
const STAMP_MASK: u64 = (1 << 33) - 1;

/// The correction of a transport stream without a clock; none for any other file.
pub(super) fn correction(file: &File) -> io::Result<Option<Corrections>> {
    let mut start = vec![0; 8 * packet::BYTES_MAX];
    let read = file.read_at(&mut start, 0)?;
    let Some(framing) = Framing::of(&start[..read]) else { return Ok(None) };
    let mut search = Search::default();
    let step = PART_BYTES / framing.bytes as u64 * framing.bytes as u64;
    let mut part = vec![0; step as usize];
    let mut at = 0;
    while at < SEARCH_BYTES_MAX {
        let read = file.read_at(&mut part, at)?;
        for (n, bytes) in part[..read].chunks_exact(framing.bytes).enumerate() {
            let packet_at = at + (n * framing.bytes + framing.header) as u64;
            if let Some(packet) = Packet::read(&bytes[framing.header..])
                && search.add(&packet, packet_at) == Found::Clock
            {
                return Ok(None);
            }
        }
        if read < part.len() {
            break;
        }
        at += step;
    }
    Ok(search.correction(framing))
}

/// The codec of pictures that the demuxer leaves out; none for any other file.
pub(super) fn unreadable_codec(file: &File) -> io::Result<Option<&'static str>> {
    let mut start = vec![0; PART_BYTES as usize];
    let read = file.read_at(&mut start, 0)?;
    let Some(framing) = Framing::of(&start[..read]) else { return Ok(None) };
    let packets = || {
        let packets = start[..read].chunks_exact(framing.bytes);
        packets.filter_map(|bytes| Packet::read(&bytes[framing.header..]))
    };
    let tables = packets().filter(|packet| packet.id == 0);
    let map_id = tables.filter_map(|packet| program::first_map(&packet)).next();
    Ok(packets().filter(|packet| Some(packet.id) == map_id).find_map(|map| program::left_out(&map)))
}

/// Whether the search is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The stream has a clock.
    Clock,
    /// Not so far.
    Nothing,
}

/// What is known of the stream so far.
#[derive(Default)]
struct Search {
    /// The stream of the program map.
    map_id: Option<u16>,
    map: Option<ProgramMap>,
    /// Corrected program maps.
    patches: Vec<Patch>,
    /// Whether the stream of the video has a clock to which the program map does not refer.
    video_has_clock: bool,
    /// The first time stamp of each stream.
    stamps: BTreeMap<u16, u64>,
}

impl Search {
    fn add(&mut self, packet: &Packet<'_>, at: u64) -> Found {
        if packet.id == 0 && self.map_id.is_none() {
            self.map_id = program::first_map(packet);
        } else if Some(packet.id) == self.map_id {
            if let Some(map) = ProgramMap::read(packet) {
                if self.patches.len() < MAPS_MAX {
                    self.patches.extend(map.corrected(packet, at));
                }
                self.map.get_or_insert(map);
            }
        } else if self.map.is_some_and(|map| packet.has_clock && packet.id == map.clock_id) {
            return Found::Clock;
        }
        let video_id = self.map.and_then(|map| map.video_id);
        self.video_has_clock |= packet.has_clock && video_id == Some(packet.id);
        if let Some(stamp) = packet.stamp()
            && self.stamps.len() < STREAMS_MAX
        {
            self.stamps.entry(packet.id).or_insert(stamp);
        }
        Found::Nothing
    }

    /// A clock on the stream of the video: its own, or a value a little before the first time stamp
    /// of all.
    fn correction(self, framing: Framing) -> Option<Corrections> {
        let map = self.map?;
        let video = *self.stamps.get(&map.video_id?)?;
        // Stamps wrap, and some streams have stamps of their own: the earliest is the one furthest
        // before that of the video, within limits.
        let before = |stamp: &u64| {
            let distance = video.wrapping_sub(*stamp) & STAMP_MASK;
            if distance > DISTANCE_MAX { 0 } else { distance }
        };
        let earliest = self.stamps.values().map(before).max().unwrap_or(0);
        let clock = video.wrapping_sub(earliest).wrapping_sub(CLOCK_LEAD) & STAMP_MASK;
        let lead = if self.video_has_clock {
            Vec::new()
        } else {
            packet::with_clock(map.video_id?, clock, framing)
        };
        Some(Corrections { lead, patches: self.patches, tail_bytes: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correction_of(bytes: &[u8]) -> Option<Corrections> {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        correction(&file).expect("readable")
    }

    #[test]
    fn packets_of_noise_are_not_corrected() {
        let noise = (0..188 * 400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8);
        let mut packets = noise.collect::<Vec<_>>();
        packets.chunks_exact_mut(188).for_each(|packet| packet[0] = 0x47);
        assert_eq!(correction_of(&packets), None);
        for kept in [0, 1, 187, 188 * 5, 188 * 8 + 7] {
            assert_eq!(correction_of(&packets[..kept]), None, "{kept} bytes");
        }
    }

    #[test]
    fn tables_that_are_cut_off_are_not_read() {
        // A program table and a program map, each in a packet of its own.
        let mut programs = vec![0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1];
        programs.extend([0xf0, 0x00, 9, 9, 9, 9]);
        let mut map = vec![0x47, 0x50, 0, 0x10, 0, 2, 0xb0, 18, 0, 1, 0xc1, 0, 0, 0xff, 0xff];
        map.extend([0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0, 9, 9, 9, 9]);
        // A unit of the video with a presentation time stamp.
        let mut unit = vec![0x47, 0x41, 0, 0x10, 0, 0, 1, 0xe0, 0, 0, 0x84, 0x80, 5];
        unit.extend([0x21, 0, 1, 0, 1]);
        let stream = |map: &[u8]| {
            let packets = [programs.as_slice(), map, &unit, &unit, &unit, &unit].map(|packet| {
                let mut packet = packet.to_vec();
                packet.resize(188, 0xff);
                packet
            });
            packets.concat()
        };
        let corrections = correction_of(&stream(&map)).expect("a correction");
        assert_eq!((corrections.lead.len(), corrections.patches.len()), (188, 1));
        assert_eq!(corrections.patches[0].at, 188 + 5);
        assert_eq!(corrections.patches[0].bytes[8..10], [0xe1, 0x00]);
        for (at, value) in [(4, 200), (6, 0xbf), (7, 0), (7, 8), (15, 0xff), (16, 200)] {
            let mut broken = map.clone();
            broken[at] = value;
            assert_eq!(correction_of(&stream(&broken)), None, "{value} at {at}");
        }
    }
}
