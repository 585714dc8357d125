//! Times of MPEG transport streams (ISO/IEC 13818-1) that lack a clock or time stamps.

use crate::clip::{self, Clip, PLAIN};
use crate::{Decoded, LIMITS, assert_times, decode, file_of};
use bodyscript_protocol::warning::Warning;

/// Bytes of a packet.
const PACKET: usize = 188;

fn stream() -> Vec<u8> {
    Clip { muxer: "mpegtsmux name=m", ..PLAIN }.bytes()
}

/// The adaptation field of a packet, without its length, and its payload.
fn parts(packet: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    let length = if packet[3] & 0x20 == 0 { 0 } else { 1 + usize::from(packet[4]) };
    let (head, payload) = packet.split_at_mut(4 + length);
    (head.get_mut(5..).unwrap_or_default(), payload)
}

/// Removes every clock value.
fn without_clock(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut removed = 0;
    for packet in bytes.chunks_exact_mut(PACKET) {
        if let Some(flags) = parts(packet).0.first_mut() {
            removed += u32::from(*flags & 0x10 != 0);
            *flags &= !0x10;
        }
    }
    assert!(removed > 1, "the muxer writes clock values");
    bytes
}

/// Has every program map state that there is no clock.
fn without_reference(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut changed = 0;
    for packet in bytes.chunks_exact_mut(PACKET) {
        let is_start = packet[1] & 0x40 != 0;
        let (_, payload) = parts(packet);
        // A pointer of zero, and the type of a program map.
        if is_start && payload.starts_with(&[0, 2]) {
            let map = &mut payload[1..];
            let end = 3 + usize::from(u16::from_be_bytes([map[1] & 0x0f, map[2]]));
            map[8..10].copy_from_slice(&[0xff, 0xff]);
            let check = check_sum(&map[..end - 4]);
            map[end - 4..end].copy_from_slice(&check.to_be_bytes());
            changed += 1;
        }
    }
    assert!(changed > 0, "the muxer writes program maps");
    bytes
}

/// Removes the time stamps of all units but the first.
fn without_stamps(mut bytes: Vec<u8>) -> Vec<u8> {
    let units = bytes.chunks_exact_mut(PACKET).filter_map(|packet| {
        let is_start = packet[1] & 0x40 != 0;
        let (_, payload) = parts(packet);
        (is_start && payload.starts_with(&[0, 0, 1])).then_some(payload)
    });
    units.skip(1).for_each(|unit| unit[7] &= 0x3f);
    bytes
}

fn check_sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
        })
    })
}

fn decoded(what: &str, bytes: &[u8]) -> Decoded {
    let decoded = decode(file_of(bytes), &LIMITS);
    let decoded = decoded.unwrap_or_else(|error| panic!("{what}: {error}"));
    clip::assert_levels(what, &decoded.levels, 0..PLAIN.frames);
    let frames = 0..PLAIN.frames;
    assert_times(what, &decoded.times, frames.map(|k| f64::from(k) / 30.0));
    decoded
}

#[test]
fn time_stamps_are_kept_without_a_clock() {
    let whole = stream();
    for (what, bytes) in [
        ("with a clock", whole.clone()),
        ("no clock value", without_clock(whole.clone())),
        ("no clock", without_reference(without_clock(whole.clone()))),
        ("a clock that nothing refers to", without_reference(whole)),
    ] {
        let decoded = decoded(what, &bytes);
        assert!(
            !decoded.warnings.contains(Warning::TimesEstimated),
            "{what}: not from the frame rate"
        );
    }
}

#[test]
fn packets_of_camcorders_are_corrected_as_well() {
    let bytes = without_reference(without_clock(stream()));
    let packets =
        bytes.chunks_exact(PACKET).flat_map(|packet| [[0; 4].as_slice(), packet].concat());
    let decoded = decoded("192 bytes", &packets.collect::<Vec<_>>());
    assert!(!decoded.warnings.contains(Warning::TimesEstimated), "not from the frame rate");
}

#[test]
fn times_of_units_without_stamps_come_from_the_frame_rate() {
    assert!(
        decoded("one stamp", &without_stamps(stream())).warnings.contains(Warning::TimesEstimated)
    );
}
