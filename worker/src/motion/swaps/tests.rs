//! Exchanges on synthetic walks: injected ones are undone, and none is made where there was none.

use super::super::synthetic_walk::{FRONT, Walk};
use super::*;
use std::f64::consts::FRAC_PI_2;

const NOISE: [f64; 3] = [0.01, 0.01, 0.03];
const PROFILE: Walk = Walk { turn: FRAC_PI_2, noise_m: NOISE, ..FRONT };
/// Seen from several sides, at several rates and paces, with different noise.
const WALKS: [Walk; 9] = [
    Walk { noise_m: NOISE, ..FRONT },
    Walk { turn: 2.0 * FRAC_PI_2, noise_m: NOISE, ..FRONT },
    PROFILE,
    Walk { noise_m: [0.015, 0.015, 0.04], ..PROFILE },
    Walk { rate_hz: 15.0, ..PROFILE },
    Walk { rate_hz: 60.0, ..PROFILE },
    Walk { pace: 1.8, ..PROFILE },
    Walk { turn: 0.8, ..PROFILE },
    Walk { turn_per_s: 4.0, ..PROFILE },
];
const SECONDS: f64 = 5.0;

fn with_mirrors(left: &[usize]) -> LandmarkSet {
    left.iter().flat_map(|left| [*left, mirror_of(*left)]).collect()
}

/// The parts that are exchanged: the body, and each limb with and without its root.
fn parts() -> Vec<LandmarkSet> {
    let mut parts = vec![with_mirrors(&BODY)];
    for Limb { pairs, root, .. } in LIMBS {
        parts.extend([with_mirrors(pairs), with_mirrors(&[pairs, root].concat())]);
    }
    parts
}

fn found(times: &[f64], poses: &[Pose]) -> Vec<LandmarkSet> {
    find(Poses { times, poses }, 0)
}

fn seeded(walk: &Walk, seed: u64) -> (Vec<f64>, Vec<Pose>) {
    walk.frames((walk.rate_hz * SECONDS) as usize, seed)
}

#[test]
fn no_exchange_is_found_on_a_walk_from_any_side() {
    for walk in WALKS {
        for seed in 0..8 {
            let (times, poses) = seeded(&walk, seed);
            let exchanged = found(&times, &poses);
            let frames = exchanged.iter().filter(|set| !set.is_empty()).count();
            assert_eq!(frames, 0, "{walk:?}, seed {seed}");
        }
    }
}

#[test]
fn injected_exchanges_are_undone() {
    for walk in WALKS {
        let (mut injected, mut undone, mut wrong) = (0, 0, 0);
        for seed in 0..8 {
            let (times, poses) = seeded(&walk, seed);
            let mut random = fastrand::Rng::with_seed(1000 + seed);
            for part in parts() {
                let length = random.usize(1..(1.5 * walk.rate_hz) as usize);
                let first = random.usize(2..times.len() - length - 2);
                let mut poses = poses.clone();
                poses[first..first + length].iter_mut().for_each(|it| *it = exchange(it, part));
                for (i, set) in found(&times, &poses).into_iter().enumerate() {
                    let truth = match (first..first + length).contains(&i) {
                        true => part,
                        false => LandmarkSet::default(),
                    };
                    injected += usize::from(!truth.is_empty());
                    undone += usize::from(!truth.is_empty() && set == truth);
                    wrong += usize::from(truth.is_empty() && !set.is_empty());
                }
            }
        }
        println!("{walk:?}: {undone} of {injected} undone, {wrong} made");
        assert!(undone as f64 >= 0.95 * injected as f64, "{undone} of {injected}: {walk:?}");
        assert!(wrong as f64 <= 0.001 * injected as f64, "{wrong} of {injected}: {walk:?}");
    }
}

#[test]
fn settled_frames_keep_their_sides() {
    let (times, mut poses) = seeded(&PROFILE, 1);
    poses[..30].iter_mut().for_each(|pose| *pose = exchange(pose, with_mirrors(&BODY)));
    let first_half = with_mirrors(&BODY);
    let sides = found(&times, &poses);
    assert!(sides[..30].iter().all(|set| *set == first_half), "nothing is settled");
    let sides = find(Poses { times: &times, poses: &poses }, 10);
    assert!(sides[..10].iter().all(|set| set.is_empty()), "{sides:?}");
}

#[test]
fn frames_far_apart_and_few_of_them_say_nothing() {
    let slow = Walk { rate_hz: 5.0, ..PROFILE };
    let (times, mut poses) = slow.frames(40, 3);
    poses[10..14].iter_mut().for_each(|pose| *pose = exchange(pose, with_mirrors(&BODY)));
    assert!(found(&times, &poses).iter().all(|set| set.is_empty()));
    for count in 0..4 {
        let (times, poses) = PROFILE.frames(count, 4);
        assert_eq!(found(&times, &poses), vec![LandmarkSet::default(); count]);
    }
    let (times, poses) = (times[..20].to_vec(), vec![Pose::from([Default::default(); 33]); 20]);
    assert!(found(&times, &poses).iter().all(|set| set.is_empty()), "without extent");
}
