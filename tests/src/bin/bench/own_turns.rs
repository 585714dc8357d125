//! Our networks, and multiply-adds in registers, by turns: what this program does in processes of
//! its own, each with an instruction set of its own. The only file that calls the inference engine.

use crate::paths::root;
use anyhow::{Context, Result, bail};
use bodyscript_worker::pose::model::{Model, ModelName};
use bodyscript_worker::simd::{Isa, vectorized};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fs::File;
use std::hint::black_box;
use std::io::{Write, stdin, stdout};
use std::time::{Duration, Instant};

/// Vectors of sums that do not wait for each other: enough to hide what one multiply-add takes, few
/// enough for the registers of every instruction set.
const SUMS: usize = 10;
/// Rounds of multiply-adds in a turn; some hundredths of a second.
const STEPS: u32 = 1_000_000;

/// What is done for a line; gives its cost.
type Work = Box<dyn Fn(&str) -> Result<Value>>;

/// Answers each line of the input with a cost, until it ends.
pub(crate) fn take(work: &str) -> Result<()> {
    let run: Work = match work {
        "peak" => Box::new(|_| Ok(peak())),
        "pose_detection" => network(ModelName::Detector, 224)?,
        "pose_landmark_full" => network(ModelName::Landmarks, 256)?,
        _ => bail!("{work} is no work for turns"),
    };
    tell(&json!({"isa": Isa::chosen().name()}))?;
    for line in stdin().lines() {
        tell(&run(&line?)?)?;
    }
    Ok(())
}

fn tell(value: &Value) -> Result<()> {
    writeln!(stdout(), "{value}")?;
    Ok(stdout().flush()?)
}

/// The cheapest of as many inferences as the line says.
fn network(name: ModelName, side: usize) -> Result<Work> {
    let path = root().join("models").join(name.file_name());
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let model = Model::load(name, file)?;
    let mut random = fastrand::Rng::with_seed(1);
    let planes: Vec<f32> = (0..3 * side * side).map(|_| random.f32()).collect();
    Ok(Box::new(move |times| {
        let times: usize = times.parse()?;
        let (mut wall, mut cpu) = (Duration::MAX, Duration::MAX);
        for _ in 0..times {
            let (begun, used) = (Instant::now(), thread_time()?);
            black_box(model.run(black_box(&planes))?);
            wall = wall.min(begun.elapsed());
            cpu = cpu.min(thread_time()? - used);
        }
        Ok(json!({"frames": 1, "wall_s": wall.as_secs_f64(), "cpu_s": cpu.as_secs_f64()}))
    }))
}

/// As many multiply-adds as one core can do; `frames` are thousand millions of operations, a
/// multiply-add counting as two.
fn peak() -> Value {
    let (factor, more) = black_box((0.999_999_f32, 0.000_001_f32));
    let (begun, used) = (Instant::now(), thread_time().unwrap_or_default());
    let (lanes, sum) = match Isa::chosen() {
        Isa::Avx512 => (16, vectorized(|| sums::<16>(|sum| sum.mul_add(factor, more)))),
        Isa::Avx2 => (8, vectorized(|| sums::<8>(|sum| sum.mul_add(factor, more)))),
        // Without an instruction for both at once `mul_add` is a function of the C library.
        Isa::Portable => (4, sums::<4>(|sum| sum * factor + more)),
    };
    black_box(sum);
    let (wall, cpu) = (begun.elapsed(), thread_time().unwrap_or_default() - used);
    let operations = f64::from(STEPS) * (2 * SUMS * lanes) as f64;
    json!({"frames": operations / 1e9, "wall_s": wall.as_secs_f64(), "cpu_s": cpu.as_secs_f64()})
}

#[inline(always)]
fn sums<const LANES: usize>(step: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [[1.0_f32; LANES]; SUMS];
    for _ in 0..STEPS {
        for lanes in &mut sums {
            for sum in lanes {
                *sum = step(*sum);
            }
        }
    }
    sums.iter().flatten().sum()
}

fn thread_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
