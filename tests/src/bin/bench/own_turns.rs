//! The networks, and multiply-adds in registers, by turns, in a process for each instruction set. The only file
//! that calls the inference engine.

use crate::paths::root;
use anyhow::{Context, Result, bail};
use bodyscript_protocol::options::LandmarkModel;
use bodyscript_worker::inference::{Model, ModelName};
use bodyscript_worker::simd::Isa;
use bodyscript_worker::simd::peak::multiply_adds;
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fs::File;
use std::hint::black_box;
use std::io::{Write, stdin, stdout};
use std::time::{Duration, Instant};

/// Rounds of multiply-adds in a turn: some hundredths of a second.
const STEPS: u32 = 10_000_000;

/// The work for one line of the input; gives its cost.
type Work = Box<dyn Fn(&str) -> Result<Value>>;

/// Prints the cost of the work for each line of the input.
pub(crate) fn take(work: &str) -> Result<()> {
    let run: Work = match work {
        "peak" => Box::new(|_| peak()),
        "pose_detection" => network(ModelName::Detector, 224)?,
        "pose_landmark_full" => network(ModelName::Landmarks(LandmarkModel::Full), 256)?,
        _ => bail!("{work} is not the name of any work"),
    };
    print_object(&json!({"isa": Isa::chosen().name()}))?;
    for line in stdin().lines() {
        print_object(&run(&line?)?)?;
    }
    Ok(())
}

fn print_object(value: &Value) -> Result<()> {
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
            model.run(black_box(&planes), |outputs| black_box(outputs.value(0, 0, 0, 0)));
            wall = wall.min(begun.elapsed());
            cpu = cpu.min(thread_time()? - used);
        }
        Ok(json!({"frames": 1, "wall_s": wall.as_secs_f64(), "cpu_s": cpu.as_secs_f64()}))
    }))
}

/// As many multiply-adds as one core can do; `frames` are thousand millions of operations.
fn peak() -> Result<Value> {
    let (begun, used) = (Instant::now(), thread_time()?);
    let (operations, sum) = multiply_adds(Isa::chosen(), STEPS, black_box(0.999));
    black_box(sum);
    let (wall, cpu) = (begun.elapsed(), thread_time()? - used);
    Ok(json!({
        "frames": operations / 1e9, "wall_s": wall.as_secs_f64(), "cpu_s": cpu.as_secs_f64(),
    }))
}

fn thread_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
