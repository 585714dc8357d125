//! Whole tracks through the filter.

use super::super::synthetic_walk::{ASPECT, FRONT, Walk};
use super::*;
use bodyscript_protocol::pose::{LANDMARKS, mirror_of};
use std::f64::consts::FRAC_PI_2;

const NOISE: [f64; 3] = [0.01, 0.01, 0.02];

fn settings() -> TrackFilterSettings {
    TrackFilterSettings { aspect: ASPECT, ..TrackFilterSettings::new(LowPass::default(), [1, 1]) }
}

fn filtered(frames: impl IntoIterator<Item = (f64, Option<Pose>)>) -> Vec<FilteredFrame> {
    let mut filter = TrackFilter::new(settings());
    let mut filtered = Vec::new();
    for (time, pose) in frames {
        filter.push(time, pose);
        assert!(filter.frames.len() <= BEFORE_FRAMES_MAX + AFTER_FRAMES_MAX);
        filtered.extend(std::iter::from_fn(|| filter.pop()));
    }
    filter.finish();
    filtered.extend(std::iter::from_fn(|| filter.pop()));
    filtered
}

fn present((times, poses): (Vec<f64>, Vec<Pose>)) -> Vec<(f64, Option<Pose>)> {
    times.into_iter().zip(poses.into_iter().map(Some)).collect()
}

/// Root of the mean square distance of both, in metres.
fn error_m(filtered: &[FilteredFrame], exact: &[Pose]) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for (frame, exact) in filtered.iter().zip(exact) {
        let pose = frame.pose.expect("a pose");
        for (landmark, exact) in pose.iter().zip(exact) {
            let axes = landmark.world.iter().zip(exact.world);
            sum += axes.map(|(is, should)| f64::from(is - should).powi(2)).sum::<f64>();
            count += 1;
        }
    }
    (sum / f64::from(count)).sqrt()
}

#[test]
fn noise_is_removed_and_movement_stays() {
    let noisy = Walk { turn: 0.6, noise_m: NOISE, ..FRONT };
    let (_, exact) = Walk { noise_m: [0.0; 3], ..noisy }.frames(300, 1);
    let frames = filtered(present(noisy.frames(300, 1)));
    let before = NOISE.iter().map(|sigma| sigma * sigma).sum::<f64>().sqrt();
    let after = error_m(&frames, &exact);
    assert!(after < 0.7 * before, "{after} of {before}");
    let undamaged = error_m(
        &filtered(present((frames.iter().map(|it| it.time).collect(), exact.clone()))),
        &exact,
    );
    assert!(undamaged < 0.004, "{undamaged}");
    let filled: usize =
        frames.iter().map(|it| (0..LANDMARKS).filter(|i| it.filled.contains(*i)).count()).sum();
    assert!(filled < frames.len() * LANDMARKS / 200, "{filled} ordinary values were rejected");
}

#[test]
fn blocks_give_what_the_whole_track_would() {
    let walk = Walk { noise_m: NOISE, ..FRONT };
    let mut frames = present(walk.frames(1500, 2));
    for i in (0..1500).filter(|i| i % 97 > 88) {
        frames[i].1 = None;
    }
    let mut whole: Vec<Recorded> =
        frames.iter().map(|(time, raw)| Recorded::new(*time, *raw)).collect();
    series::find_outliers(&mut whole, 0, &settings());
    let whole = series::filter(&whole, &settings());
    let blocks = filtered(frames);
    assert_eq!(blocks.len(), whole.len());
    for (block, whole) in blocks.iter().zip(&whole) {
        assert_eq!((block.time, block.filled), (whole.time, whole.filled));
        let (block, whole) = (block.pose.expect("filled"), whole.pose.expect("filled"));
        for (block, whole) in block.iter().zip(&whole) {
            let apart = (block.x - whole.x).abs().max((block.world[2] - whole.world[2]).abs());
            assert!(apart < 1e-6, "{apart}");
        }
    }
}

#[test]
fn short_gaps_and_outliers_are_filled_and_flagged_and_long_gaps_stay() {
    let (times, exact) = FRONT.frames(200, 3);
    let mut frames = present((times, exact.clone()));
    (50..60).for_each(|i| frames[i].1 = None);
    (100..120).for_each(|i| frames[i].1 = None);
    let wrist = 15;
    frames[150].1.as_mut().expect("a pose")[wrist].world[1] += 0.4;
    let frames = filtered(frames);
    for (i, frame) in frames.iter().enumerate() {
        let filled = (0..LANDMARKS).filter(|landmark| frame.filled.contains(*landmark)).count();
        assert_eq!(frame.pose.is_none(), (100..120).contains(&i), "{i}");
        assert_eq!(filled, if (50..60).contains(&i) { LANDMARKS } else { usize::from(i == 150) });
    }
    assert!(frames[150].filled.contains(wrist));
    assert!(error_m(&frames[140..160], &exact[140..160]) < 0.005);
    assert!(error_m(&frames[45..65], &exact[45..65]) < 0.06);
    assert_eq!(frames[150].raw.expect("a pose")[wrist].world[1], exact[150][wrist].world[1] + 0.4);
}

#[test]
fn exchanged_sides_are_undone_across_blocks_and_told() {
    let walk = Walk { turn: FRAC_PI_2, noise_m: NOISE, ..FRONT };
    let (times, exact) = walk.frames(900, 4);
    let mut poses = exact.clone();
    let is_exchanged = |i: usize| i > 10 && (i / 40) % 5 == 1 || (250..262).contains(&i);
    let legs: LandmarkSet = (25..33).collect();
    for (i, pose) in poses.iter_mut().enumerate().filter(|(i, _)| is_exchanged(*i)) {
        assert!(!legs.is_empty() && mirror_of(25) == 26, "{i}");
        *pose = swaps::exchange(pose, legs);
    }
    let frames = filtered(present((times, poses)));
    for (i, frame) in frames.iter().enumerate() {
        let expected = if is_exchanged(i) { legs } else { LandmarkSet::default() };
        assert_eq!(frame.exchanged, expected, "{i}");
    }
    assert!(error_m(&frames, &exact) < 0.03, "{}", error_m(&frames, &exact));
}

#[test]
fn frames_come_back_in_order_however_high_the_rate() {
    let (times, poses) = Walk { rate_hz: 2000.0, ..FRONT }.frames(6000, 5);
    let frames = filtered(present((times.clone(), poses)));
    assert_eq!(frames.iter().map(|frame| frame.time).collect::<Vec<_>>(), times);
    assert!(frames.iter().all(|frame| frame.pose.is_some() && frame.exchanged.is_empty()));
    assert_eq!(filtered([]), []);
    let absent = filtered([(0.0, None), (0.1, None)]);
    assert!(absent.iter().all(|frame| frame.pose.is_none() && frame.filled.is_empty()));
}
