//! Walks of known joints, with and without noise, for tests of what works on movements.

use bodyscript_mannequin::{Pose as Posture, Skeleton};
use bodyscript_protocol::pose::{LANDMARKS, Landmark, Pose};

/// Heights of the picture in a metre of the person.
const PICTURE_SCALE: f64 = 0.4;
/// Width of the picture, in heights.
pub(crate) const ASPECT: f64 = 16.0 / 9.0;

/// A person who walks on the spot, seen from some side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// Frames per second.
    pub(crate) rate_hz: f64,
    /// How fast the walk is, as a multiple of the ordinary one.
    pub(crate) pace: f64,
    /// Turn of the person: 0 faces the camera, a quarter is seen in profile.
    pub(crate) turn: f64,
    /// By how much it grows in a second.
    pub(crate) turn_per_s: f64,
    /// Standard deviation of the noise in each direction, in metres.
    pub(crate) noise_m: [f64; 3],
}

/// Seen from the front at 30 frames per second, without noise.
pub(crate) const FRONT: Walk =
    Walk { rate_hz: 30.0, pace: 1.0, turn: 0.0, turn_per_s: 0.0, noise_m: [0.0; 3] };

impl Walk {
    /// The times and poses of a walk of some frames; the noise follows from the seed.
    pub(crate) fn frames(&self, count: usize, seed: u64) -> (Vec<f64>, Vec<Pose>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let times: Vec<f64> = (0..count).map(|i| i as f64 / self.rate_hz).collect();
        let poses = times.iter().map(|time| self.pose(*time, &mut random)).collect();
        (times, poses)
    }

    fn pose(&self, time: f64, random: &mut fastrand::Rng) -> Pose {
        let posture = Posture::walking(time * self.pace);
        let joints = Skeleton::new(&posture).landmarks();
        let hips = (joints[23] + joints[24]) / 2.0;
        let (sin, cos) = (self.turn + self.turn_per_s * time).sin_cos();
        let mut pose = [Landmark::default(); LANDMARKS];
        for (landmark, joint) in pose.iter_mut().zip(joints) {
            let [left, up, forwards] = (joint - hips).to_array().map(f64::from);
            let exact = [left * cos + forwards * sin, -up, left * sin - forwards * cos];
            let world: [f64; 3] =
                std::array::from_fn(|k| exact[k] + self.noise_m[k] * normal(random));
            let [x, y, z] = world.map(|metres| metres * PICTURE_SCALE);
            *landmark = Landmark {
                x: (0.5 + x / ASPECT) as f32,
                y: (0.5 + y) as f32,
                z: (z / ASPECT) as f32,
                visibility: 0.9,
                presence: 0.9,
                world: world.map(|value| value as f32),
            };
        }
        pose
    }
}

/// A value of the standard normal distribution, nearly.
fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}
