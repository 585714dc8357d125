//! Damages video files at random: the same file and seed give the same bytes. Called by the test of mutants.
//! It knows of containers only the names of their boxes and elements.

use fastrand::Rng;

/// Names of boxes and chunks in MP4, QuickTime and AVI, then of elements in Matroska (head, segment, tracks, clusters)
/// and objects in ASF (header, file and stream properties, data). Sizes, counts and times are next to them.
const NAMES: [[u8; 4]; 32] = [
    *b"moov",
    *b"mvhd",
    *b"trak",
    *b"tkhd",
    *b"mdhd",
    *b"elst",
    *b"stsd",
    *b"stts",
    *b"ctts",
    *b"stsc",
    *b"stsz",
    *b"stco",
    *b"avcC",
    *b"esds",
    *b"moof",
    *b"tfhd",
    *b"trun",
    *b"mdat",
    *b"RIFF",
    *b"avih",
    *b"strh",
    *b"strf",
    *b"movi",
    *b"idx1",
    [0x1a, 0x45, 0xdf, 0xa3],
    [0x18, 0x53, 0x80, 0x67],
    [0x16, 0x54, 0xae, 0x6b],
    [0x1f, 0x43, 0xb6, 0x75],
    [0x30, 0x26, 0xb2, 0x75],
    [0xa1, 0xdc, 0xab, 0x8c],
    [0x91, 0x07, 0xdc, 0xb7],
    [0x36, 0x26, 0xb2, 0x75],
];
/// The prefix of the units of MPEG streams.
const START_CODE: [u8; 3] = [0, 0, 1];
/// Exponents of the powers of two near which integer arithmetic fails.
const EDGES: [u32; 9] = [0, 1, 7, 8, 15, 16, 24, 31, 32];
/// Bytes at the beginning in which headers usually are.
const HEADER_BYTES: usize = 400;
/// Longest range of bytes that is removed, repeated or moved.
const RANGE_BYTES_MAX: usize = 8192;
/// Bytes of a packet of a transport stream.
const PACKET_BYTES: usize = 188;

/// A way to damage a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Single bits turned.
    BitsFlipped,
    /// Single bytes replaced.
    BytesReplaced,
    /// Numbers next to the names of boxes set to extremes.
    FieldsExtreme,
    /// Numbers anywhere set to extremes.
    NumbersExtreme,
    /// Bytes at the beginning replaced.
    HeaderDamaged,
    /// The end cut off.
    Truncated,
    /// A range of bytes removed.
    Deleted,
    /// A range of bytes repeated.
    Duplicated,
    /// Two ranges of bytes swapped.
    Swapped,
    /// A range of bytes overwritten with zeroes or ones.
    Blanked,
    /// Packets out of order.
    Shuffled,
}

impl Damage {
    /// Every kind; the one that causes most crashes more than once.
    const ALL: [Self; 13] = [
        Self::BitsFlipped,
        Self::BytesReplaced,
        Self::FieldsExtreme,
        Self::FieldsExtreme,
        Self::FieldsExtreme,
        Self::NumbersExtreme,
        Self::HeaderDamaged,
        Self::Truncated,
        Self::Deleted,
        Self::Duplicated,
        Self::Swapped,
        Self::Blanked,
        Self::Shuffled,
    ];
}

/// A copy of the file, which must not be empty, with damage that depends on the seed.
pub fn mutate(original: &[u8], seed: u64) -> (Damage, Vec<u8>) {
    let mut chance = Rng::with_seed(seed);
    let damage = Damage::ALL[chance.usize(..Damage::ALL.len())];
    let mut bytes = original.to_vec();
    match damage {
        Damage::BitsFlipped => several(&mut chance, |chance| {
            let at = chance.usize(..bytes.len());
            bytes[at] ^= 1 << chance.u8(..8);
        }),
        Damage::BytesReplaced => several(&mut chance, |chance| {
            let at = chance.usize(..bytes.len());
            bytes[at] = chance.u8(..);
        }),
        Damage::HeaderDamaged => {
            let end = bytes.len().min(HEADER_BYTES);
            for _ in 0..1 << chance.u32(..5) {
                bytes[chance.usize(..end)] = chance.u8(..);
            }
        }
        Damage::FieldsExtreme => {
            let places = places(original);
            for _ in 0..1 << chance.u32(..3) {
                let beside = places.get(chance.usize(..places.len().max(1))).copied();
                let at = beside.unwrap_or_default() + 4 * chance.usize(..12);
                set_extreme(&mut bytes, &mut chance, at.saturating_sub(4));
            }
        }
        Damage::NumbersExtreme => {
            for _ in 0..1 << chance.u32(..5) {
                let at = chance.usize(..bytes.len());
                set_extreme(&mut bytes, &mut chance, at);
            }
        }
        Damage::Truncated => bytes.truncate(chance.usize(1..=bytes.len())),
        Damage::Deleted | Damage::Duplicated | Damage::Swapped | Damage::Blanked => {
            rearrange(&mut bytes, &mut chance, damage);
        }
        Damage::Shuffled => {
            let mut packets: Vec<_> = original.chunks(PACKET_BYTES).collect();
            let from = chance.usize(..packets.len());
            let to = packets.len().min(from + chance.usize(2..30));
            chance.shuffle(&mut packets[from..to]);
            bytes = packets.concat();
        }
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
    (damage, bytes)
}

/// Makes a change once or many times.
fn several(chance: &mut Rng, mut change: impl FnMut(&mut Rng)) {
    const TIMES: [usize; 5] = [1, 3, 10, 60, 300];
    for _ in 0..TIMES[chance.usize(..TIMES.len())] {
        change(chance);
    }
}

/// Positions of the names of boxes and elements.
fn places(original: &[u8]) -> Vec<usize> {
    let is_named = |at: &usize| {
        let rest = &original[*at..];
        rest.starts_with(&START_CODE)
            || rest.first_chunk().is_some_and(|word: &[u8; 4]| NAMES.contains(word))
    };
    (0..original.len()).filter(is_named).collect()
}

fn set_extreme(bytes: &mut [u8], chance: &mut Rng, at: usize) {
    let edge = 1_u64 << EDGES[chance.usize(..EDGES.len())];
    let extreme = (edge - u64::from(chance.bool())) as u32;
    let value = if chance.u8(..8) == 0 { chance.u32(..) } else { extreme };
    let value = if chance.u8(..4) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
    for (byte, new) in bytes.iter_mut().skip(at).zip(value) {
        *byte = new;
    }
}

/// Changes one range of bytes, or two.
fn rearrange(bytes: &mut Vec<u8>, chance: &mut Rng, damage: Damage) {
    let from = chance.usize(..bytes.len());
    let length = chance.usize(1..=RANGE_BYTES_MAX.min(bytes.len() - from));
    let range = from..from + length;
    match damage {
        Damage::Deleted => drop(bytes.drain(range)),
        Damage::Duplicated => {
            let times = [1, 1, 2, 20][chance.usize(..4)];
            let copies = bytes[range].repeat(times);
            drop(bytes.splice(from..from, copies));
        }
        Damage::Swapped => {
            let other = chance.usize(..=bytes.len() - length);
            for n in 0..length {
                bytes.swap(from + n, other + n);
            }
        }
        _ => bytes[range].fill([0, 0xff][chance.usize(..2)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A file with some boxes.
    fn sample() -> Vec<u8> {
        let filler = (0..20_000_u32).map(|n| ((n * n) >> 5) as u8).collect::<Vec<_>>();
        [b"\0\0\0\x20moov....mvhd".as_slice(), &filler, b"stsz....mdat", &filler].concat()
    }

    #[test]
    fn a_seed_determines_its_mutant() {
        let original = sample();
        let mutants: Vec<_> = (0..500).map(|seed| mutate(&original, seed)).collect();
        for (seed, mutant) in mutants.iter().enumerate() {
            assert_eq!(mutate(&original, seed as u64), *mutant);
        }
        let changed = mutants.iter().filter(|(_, bytes)| *bytes != original).count();
        assert!(changed > 480, "{changed} of 500 differ from the file");
        let mut different: Vec<_> = mutants.iter().map(|(_, bytes)| bytes).collect();
        different.sort();
        different.dedup();
        assert!(different.len() > 450, "{} of 500 are different", different.len());
    }

    #[test]
    fn every_kind_of_damage_occurs_and_handles_short_files() {
        let mut seen = BTreeMap::new();
        for seed in 0..500 {
            *seen.entry(format!("{:?}", mutate(&sample(), seed).0)).or_insert(0) += 1;
            for length in 1..5 {
                assert!(!mutate(&vec![7; length], seed).1.is_empty());
            }
        }
        assert_eq!(seen.len(), 11, "{seen:?}");
        assert!(seen.values().all(|times| *times > 10), "{seen:?}");
    }
}
