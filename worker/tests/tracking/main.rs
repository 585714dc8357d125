//! Compares every step of tracking with MediaPipe's, one frame at a time: given MediaPipe's region,
//! the smoothed landmarks and the next region must be equal to its own.
//!
//! Two trackers that run freely cannot be compared this strictly: results of the models for an unclear
//! person depend on a hundredth of a pixel, and a track accumulates it (see docs/accuracy.md).
//! `regions.csv` is written by `tests/mediapipe/regions.py`.

use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::options::{LandmarkModel, Smoothing};
use bodyscript_protocol::pose::LANDMARKS;
use bodyscript_worker::picture::Picture;
use bodyscript_worker::pose::{Estimator, Roi, Smoother};
use bodyscript_worker::video::{self, Decoder, FrameTime};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

#[path = "../../../tests/src/report.rs"]
#[allow(unreachable_pub, reason = "a module of the tests' library")]
mod report;

const REGIONS: &str = include_str!("regions.csv");
const LIMITS: MediaLimits = MediaLimits {
    duration_ms_max: 10_000,
    on_long: OnLong::Trim,
    side_px_max: 1280,
    area_px_max: 1280 * 720,
    frame_rate_max: 30,
};
const SIZE: [f32; 2] = [1280.0, 720.0];
/// Mean distance of the landmarks, as a fraction of the diagonal.
const DIFFERENCE_MAX: f64 = 0.00005;
/// Mean distance of the landmarks in metres.
const WORLD_M_MAX: f64 = 0.0005;
const VISIBILITY_MAX: f64 = 0.0002;
/// Largest distance of a region's corner from MediaPipe's, in pixels. After a new
/// detection, one candidate at the threshold moves it by a pixel.
const REGION_PX_MAX: f32 = 2.0;
const REGION_PX_MEAN_MAX: f64 = 0.02;

/// x, y, visibility, and the position in metres.
type Row = [f64; 6];
type Table = BTreeMap<u32, [Row; LANDMARKS]>;

/// A file of the recorded footage, which is not part of the source tree.
fn footage(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BODYSCRIPT_TEST_FOOTAGE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        report::skipped("footage", &format!("{} is not there", path.display()));
    }
    path.exists().then_some(path)
}

fn golden(path: &Path) -> Table {
    let mut reader = csv::Reader::from_path(path).expect("the golden table");
    let header = reader.headers().expect("a header").clone();
    let column = |name| header.iter().position(|column| column == name).expect("the column");
    let columns = ["x", "y", "visibility", "world_x", "world_y", "world_z"].map(column);
    let (frame, landmark) = (column("frame_id"), column("landmark_id"));
    let mut table = Table::new();
    for row in reader.records() {
        let row = row.expect("a row");
        let at: usize = row[landmark].parse().expect("a number");
        let pose =
            table.entry(row[frame].parse().expect("a number")).or_insert([[0.0; 6]; LANDMARKS]);
        pose[at] = columns.map(|column| row[column].parse().expect("a number"));
    }
    table
}

fn regions() -> BTreeMap<u32, Roi> {
    let numbers = |line: &str| -> Vec<f32> {
        line.split(',').map(|cell| cell.parse().expect("a number")).collect()
    };
    let roi = |line: &str| match numbers(line)[..] {
        [frame, center_x, center_y, side, rotation] => {
            (frame as u32, Roi { center_x, center_y, side, rotation })
        }
        _ => panic!("{line}"),
    };
    REGIONS.lines().skip(1).map(roi).collect()
}

#[derive(Default)]
struct Mean(f64, u32);

impl Mean {
    fn add(&mut self, value: f64) {
        self.0 += value;
        self.1 += 1;
    }

    fn value(&self) -> f64 {
        self.0 / f64::from(self.1)
    }
}

#[derive(Default)]
struct Apart {
    picture: Mean,
    visibility: Mean,
    world_m: Mean,
    region_px: Mean,
    region_px_max: f32,
}

impl Apart {
    fn add(&mut self, ours: &Row, theirs: &Row) {
        let [width, height] = SIZE.map(f64::from);
        let [x, y, visibility, world_x, world_y, world_z] =
            std::array::from_fn(|i| ours[i] - theirs[i]);
        self.picture.add((x * width).hypot(y * height) / width.hypot(height));
        self.visibility.add(visibility.abs());
        self.world_m.add(world_x.hypot(world_y).hypot(world_z));
    }

    fn add_region(&mut self, ours: &Roi, theirs: &Roi) {
        for (x, y) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)] {
            let (a, b) = (ours.project(x, y), theirs.project(x, y));
            let px = (a[0] - b[0]).hypot(a[1] - b[1]);
            self.region_px.add(px.into());
            self.region_px_max = self.region_px_max.max(px);
        }
    }
}

fn step_by_step(smoothing: Smoothing, golden_name: &str) {
    let (Some(footage), Some(golden_path)) =
        (footage("media/person_720p.mp4"), footage(golden_name))
    else {
        return;
    };
    let (golden, regions) = (golden(&golden_path), regions());
    video::init().expect("GStreamer initialises");
    let model = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name);
        File::open(path).expect("the model")
    };
    let full = LandmarkModel::Full;
    let estimator = Estimator::load(model("pose_detection.onnx"), (full, model(full.file_name())))
        .expect("the models load");
    let video = File::open(footage).expect("the footage").into();
    let (mut decoder, _) = Decoder::open(video, &LIMITS).expect("the footage decodes");
    let mut smoother = Smoother::new(smoothing);
    let (mut picture, mut apart, mut seen) = (Picture::default(), Apart::default(), Vec::new());
    let mut predicted: Option<Roi> = None;
    for frame in 0.. {
        let Some(FrameTime { pts }) = decoder.next(&mut picture).expect("a frame") else { break };
        let Some(roi) = regions.get(&frame) else { continue };
        match predicted.take() {
            Some(predicted) => apart.add_region(&predicted, roi),
            // MediaPipe detects where it has no region: the detection must be equal.
            None => {
                let detected = estimator.detect(&picture);
                apart.add_region(detected.first().expect("a person"), roi);
            }
        }
        let Some(found) = estimator.landmarks(&picture, roi) else {
            smoother.lose_track();
            continue;
        };
        let found = smoother.apply(found, pts, SIZE);
        predicted = Some(Roi::from_alignment(found.alignment[0], found.alignment[1]));
        seen.push(frame);
        for (landmark, theirs) in found.pose.iter().zip(&golden[&frame]) {
            let [x, y, z] = landmark.world;
            let ours = [landmark.x, landmark.y, landmark.visibility, x, y, z].map(f64::from);
            apart.add(&ours, theirs);
        }
    }
    println!(
        "{} frames: landmarks {:.6} of the diagonal, visibility {:.6}, world {:.6} m, next region \
         {:.4} px, at most {:.3}",
        seen.len(),
        apart.picture.value(),
        apart.visibility.value(),
        apart.world_m.value(),
        apart.region_px.value(),
        apart.region_px_max
    );
    assert!(seen.iter().eq(golden.keys()), "a person in the frames MediaPipe sees one in");
    assert!(apart.picture.value() <= DIFFERENCE_MAX);
    assert!(apart.visibility.value() <= VISIBILITY_MAX);
    assert!(apart.world_m.value() <= WORLD_M_MAX);
    assert!(apart.region_px.value() <= REGION_PX_MEAN_MAX);
    assert!(apart.region_px_max <= REGION_PX_MAX);
}

#[test]
fn each_step_of_a_smoothed_track_equals_mediapipes() {
    step_by_step(Smoothing::On, "golden/person_720p.video.csv");
}

#[test]
fn each_step_of_an_unsmoothed_track_equals_mediapipes() {
    step_by_step(Smoothing::Off, "golden/person_720p.video_raw.csv");
}
