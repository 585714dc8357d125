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
        // Stamps wrap: the earliest is the one furthest before that of the video.
        let before = |stamp: &u64| {
            let distance = video.wrapping_sub(*stamp) & STAMP_MASK;
            if distance > STAMP_MASK / 2 { 0 } else { distance }
        };
        let earliest = self.stamps.values().map(before).max().unwrap_or(0);
        let clock = video.wrapping_sub(earliest).wrapping_sub(CLOCK_LEAD) & STAMP_MASK;
        let lead = match self.video_has_clock {
            true => Vec::new(),
            false => packet::with_clock(map.video_id?, clock, framing),
        };
        Some(Corrections { lead, patches: self.patches })
    }
}
