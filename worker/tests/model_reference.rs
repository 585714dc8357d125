//! Compares the converted models with TFLite's results for the same picture.
//!
//! The expected figures and the picture's parts are in `models/reference.json`, written by
//! `models/reference.py`; the rules for painting are those of `models/picture.py`.

use std::path::{Path, PathBuf};

use bodyscript_protocol::options::LandmarkModel;
use bodyscript_worker::inference::{Model as Executor, ModelName};
use bodyscript_worker::simd::Isa;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tract_onnx::prelude::*;

#[path = "../../tests/src/report.rs"]
#[allow(unreachable_pub, reason = "a module of the tests' library")]
mod report;

/// Largest difference from tract, as a share of an output's range, by the order of sums.
const AGREEMENT: f32 = 1e-4;

#[derive(Deserialize)]
struct Reference {
    tolerance: f32,
    /// End points, radius and colour: x, y, x, y, radius, r, g, b.
    capsules: Vec<[i64; 8]>,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    file: String,
    input: Input,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Input {
    size: usize,
    rgb_sha256: String,
    divisor: f32,
    offset: f32,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    shape: Vec<usize>,
    range: f32,
    max: f32,
    mean: f32,
    indices: Vec<usize>,
    values: Vec<f32>,
}

#[test]
fn tract_agrees_with_tflite() {
    let reference: Reference = serde_json::from_slice(&read("reference.json")).unwrap();
    assert_eq!(reference.models.len(), ModelName::ALL.len());
    for model in reference.models.iter().filter(|model| is_installed(&model.file)) {
        let input = tensor(&model.input, &reference.capsules);
        let outputs = plain(&model.file).run(tvec!(input.into())).unwrap();
        assert_eq!(outputs.len(), model.outputs.len(), "{}", model.file);
        for (output, expected) in outputs.iter().zip(&model.outputs) {
            assert_eq!(output.shape(), expected.shape, "{}", expected.name);
            let view = output.to_plain_array_view::<f32>().unwrap();
            let found: Vec<f32> = view.iter().copied().collect();
            compare(&found, expected, reference.tolerance);
        }
    }
}

/// The file as tract runs it.
fn plain(file: &str) -> std::sync::Arc<TypedRunnableModel> {
    tract_onnx::onnx()
        .model_for_read(&mut read(file).as_slice())
        .and_then(|graph| graph.into_optimized())
        .and_then(|graph| graph.into_runnable())
        .unwrap()
}

#[test]
fn the_kernels_agree_with_tflite_and_tract_with_every_instruction_set() {
    let reference: Reference = serde_json::from_slice(&read("reference.json")).unwrap();
    for (model, name) in reference.models.iter().zip(ModelName::ALL) {
        assert_eq!(model.file, name.file_name());
        if !is_installed(&model.file) {
            continue;
        }
        let input = tensor(&model.input, &reference.capsules);
        let planes =
            input.to_plain_array_view::<f32>().unwrap().iter().copied().collect::<Vec<_>>();
        let plain = plain(&model.file).run(tvec!(input.into())).unwrap();
        for isa in Isa::ALL {
            if !isa.is_available() {
                report::skipped(
                    "instruction-sets",
                    &format!("this processor lacks {}", isa.name()),
                );
                continue;
            }
            let file = std::fs::File::open(folder().join(&model.file)).unwrap();
            let executor = Executor::load(name, file).unwrap().with_isa(isa);
            let outputs = executor.run(&planes, |outputs| {
                (0..outputs.count()).map(|output| outputs.values(output)).collect::<Vec<_>>()
            });
            assert_eq!(outputs.len(), model.outputs.len());
            for ((output, expected), plain) in outputs.iter().zip(&model.outputs).zip(&plain) {
                compare(output, expected, reference.tolerance);
                let plain = plain.to_plain_array_view::<f32>().unwrap();
                assert_eq!(plain.len(), output.len());
                let apart =
                    plain.iter().zip(output).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let share = apart / expected.range;
                println!(
                    "{} of {}, {}: {share:.1e} of range from tract",
                    expected.name,
                    model.file,
                    isa.name()
                );
                assert!(share <= AGREEMENT, "{}: {share}", expected.name);
            }
        }
    }
}

fn compare(found: &[f32], expected: &Output, tolerance: f32) {
    let near = |found: f32, wanted: f32, what: &str| {
        let error = (found - wanted).abs() / expected.range;
        // Written so that a NaN fails.
        assert!(error <= tolerance, "{} {what}: {found}, TFLite {wanted}", expected.name);
    };
    for (&index, &wanted) in expected.indices.iter().zip(&expected.values) {
        near(found[index], wanted, &format!("[{index}]"));
    }
    let sum: f64 = found.iter().map(|&value| f64::from(value)).sum();
    near((sum / found.len() as f64) as f32, expected.mean, "mean");
    near(found.iter().copied().fold(f32::MIN, f32::max), expected.max, "max");
}

fn tensor(input: &Input, capsules: &[[i64; 8]]) -> Tensor {
    let rgb = paint(input.size as i64, capsules);
    let digest: String = Sha256::digest(&rgb).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, input.rgb_sha256, "the picture is not the one TFLite saw");
    let shape = (1, 3, input.size, input.size);
    tract_ndarray::Array4::from_shape_fn(shape, |(_, channel, y, x)| {
        let byte = rgb[(y * input.size + x) * 3 + channel];
        f32::from(byte) / input.divisor + input.offset
    })
    .into()
}

fn paint(size: i64, capsules: &[[i64; 8]]) -> Vec<u8> {
    (0..size)
        .flat_map(|y| (0..size).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let (u, v) = ((2 * x + 1) * 512 / size, (2 * y + 1) * 512 / size);
            let grain = (7 * x + 13 * y) % 5 - v / 32;
            let background = [200 + grain, 206 + grain, 212 + grain];
            capsules.iter().fold(background, |under, capsule| cover(u, v, capsule, under))
        })
        .map(|channel| channel as u8)
        .collect()
}

/// The colour at `(u, v)` after `capsule` is painted over `under`.
fn cover(u: i64, v: i64, capsule: &[i64; 8], under: [i64; 3]) -> [i64; 3] {
    let [x0, y0, x1, y1, radius, colour @ ..] = *capsule;
    let (dx, dy) = (x1 - x0, y1 - y0);
    let scale = (dx * dx + dy * dy).max(1);
    let along = ((u - x0) * dx + (v - y0) * dy).clamp(0, scale);
    let (ex, ey) = ((u - x0) * scale - dx * along, (v - y0) * scale - dy * along);
    let (distance, limit) = (ex * ex + ey * ey, (radius * scale).pow(2));
    if distance > limit {
        return under;
    }
    colour.map(|channel| channel * (256 - 96 * distance / limit) / 256)
}

/// Whether the file is there; only the heavy model is not part of the source tree.
fn is_installed(file: &str) -> bool {
    let is_there = folder().join(file).exists() || file != LandmarkModel::Heavy.file_name();
    if !is_there {
        report::skipped("heavy-model", "`make models` has not installed it");
    }
    is_there
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
