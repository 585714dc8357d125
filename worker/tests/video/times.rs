//! Presentation times are kept by writing and reading: late starts, variable rates, odd rates.

use crate::clip::{Clip, PLAIN};
use crate::writing::{spec, write};
use crate::{LIMITS, assert_times, decode, file_of};
use bodyscript_protocol::warning::Warning;
use bodyscript_worker::video::EncodeSpec;

#[test]

fn a_late_start_is_kept() {
    let times: Vec<_> = (0..30).map(|k| 0.5 + f64::from(k) / 30.0).collect();
    let file = write(&EncodeSpec { frame_rate: (30, 1), ..spec() }, &times);
    let decoded = decode(file, &LIMITS).expect("decodes");
    assert_times("late start", &decoded.times, times.into_iter());
}

#[test]
fn a_variable_frame_rate_is_kept() {
    let times: Vec<_> = (0..40).map(|k| f64::from(k * k) / 400.0).collect();
    let file = write(&EncodeSpec { frame_rate: (0, 1), ..spec() }, &times);
    let decoded = decode(file, &LIMITS).expect("decodes");
    assert_times("varying rate", &decoded.times, times.into_iter());
}

#[test]

fn odd_rates_do_not_drift() {
    for (rate, muxer) in [
        ((30_000, 1001), "mp4mux"),
        ((24_000, 1001), "matroskamux"),
        ((60_000, 1001), "mpegtsmux"),
        ((25, 2), "qtmux"),
    ] {
        let clip = Clip { rate, muxer, frames: 60, ..PLAIN };
        let decoded =
            decode(clip.make(), &LIMITS).unwrap_or_else(|error| panic!("{muxer}: {error}"));
        let period = f64::from(rate.1) / f64::from(rate.0);
        assert_times(muxer, &decoded.times, (0..60).map(|k| f64::from(k) * period));
        let (num, den) = decoded.probe.frame_rate;
        let off = (f64::from(num) / f64::from(den) * period - 1.0).abs();
        assert!(off < 0.001, "{muxer}: {num}/{den}");
    }
}

/// The table of sample durations says zero for each.
#[test]
fn equal_stamps_are_replaced_by_the_frame_rate() {
    let clip = Clip { encoder: "x264enc bframes=0", ..PLAIN };
    let mut bytes = clip.bytes();
    let table = bytes.windows(4).position(|kind| kind == b"stts").expect("a table") + 4;
    // After version and number of entries: number of samples, and the duration of each.
    assert_eq!(bytes[table + 7], 1, "one entry for all frames");
    bytes[table + 12..table + 16].fill(0);
    let decoded = decode(file_of(&bytes), &LIMITS).expect("decodes");
    assert!(decoded.warnings.contains(Warning::TimesEstimated));
    assert_times("equal stamps", &decoded.times, (0..30).map(|k| f64::from(k) / 30.0));
}
