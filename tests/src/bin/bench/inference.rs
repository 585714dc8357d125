//! One inference of each network, in our engine by instruction set and in others, compared with the peak of
//! the core.

use crate::figures::{CPU_MS, GFLOP_PER_S, PEAK_SHARE, Place, Summary, WALL_MS};
use crate::names::{DETECTOR, LANDMARK, ONNXRUNTIME, OURS, REGISTERS, TFLITE};
use crate::peers::Peer;
use crate::rounds::{Bench, Contender};
use crate::selection::Group;
use anyhow::Result;
use bodyscript_worker::simd::Isa;

const GROUP: Group = Group::Inference;
/// More turns than for others, because an inference is short.
const TURNS: usize = 4;
/// Inferences in a turn, of which the cheapest counts.
const INFERENCES: &str = "20";

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    peak(bench)?;
    for (case, name) in [(LANDMARK, "pose_landmark_full"), (DETECTOR, "pose_detection")] {
        let multiplications = network(bench, case, name)?;
        let Some(multiplications) = multiplications else { continue };
        share(bench, case, multiplications);
    }
    Ok(())
}

/// The available instruction sets, the best first.
fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().rev().filter(|isa| isa.is_available())
}

fn who(isa: Isa) -> String {
    if isas().next() == Some(isa) { OURS.to_owned() } else { format!("{OURS}, {}", isa.name()) }
}

fn peak(bench: &mut Bench) -> Result<()> {
    let mut contenders = Vec::new();
    for isa in isas() {
        let mut own = Peer::own("peak", Some(isa.name()))?;
        contenders.push(Contender::new(isa.name(), move || {
            let cost = own.ask("")?;
            Ok(vec![(GFLOP_PER_S, cost.frames / cost.cpu_s)])
        }));
    }
    bench.alternate((GROUP, REGISTERS), bench.rounds * TURNS, contenders);
    Ok(())
}

/// Measures a network; gives its number of multiplications if a peer reports it.
fn network(bench: &mut Bench, case: &str, name: &str) -> Result<Option<f64>> {
    let mut runners = Vec::new();
    for isa in isas() {
        runners.push((who(isa), Peer::own(name, Some(isa.name()))?));
    }
    let mut multiplications = None;
    for (who, engine) in [(ONNXRUNTIME, "onnxruntime"), (TFLITE, "tflite")] {
        if let Some(peer) = bench.peer(who, Peer::python("networks.py", &[engine, name])) {
            multiplications = multiplications.or(peer.facts["multiplications"].as_f64());
            runners.push((who.to_owned(), peer));
        }
    }
    let mut contenders = Vec::new();
    for (who, mut peer) in runners {
        // Not counted: caches fill, and the processor's clock rises.
        peer.ask(INFERENCES)?;
        contenders.push(Contender::new(&who, move || {
            let cost = peer.ask(INFERENCES)?;
            Ok(vec![(WALL_MS, cost.wall_s * 1e3), (CPU_MS, cost.cpu_s * 1e3)])
        }));
    }
    bench.alternate((GROUP, case), bench.rounds * TURNS, contenders);
    for peer in [ONNXRUNTIME, TFLITE] {
        bench.compare(GROUP, case, [OURS, peer], &[CPU_MS]);
    }
    Ok(multiplications)
}

/// The share of the core's peak that each reached in its best round.
fn share(bench: &mut Bench, case: &str, multiplications: f64) {
    let best = |place, metric| Summary::of(bench.figures.values(place, metric));
    let isa = Isa::chosen().name();
    let peak = best(Place { group: GROUP, case: REGISTERS, who: isa }, GFLOP_PER_S);
    let Some(Summary { max: peak, .. }) = peak else { return };
    let mut contenders: Vec<String> = isas().map(who).collect();
    contenders.extend([ONNXRUNTIME, TFLITE].map(str::to_owned));
    for who in contenders {
        let place = Place { group: GROUP, case, who: &who };
        let Some(Summary { min: ms, .. }) = Summary::of(bench.figures.values(place, CPU_MS)) else {
            continue;
        };
        let reached = 2.0 * multiplications / 1e9 / (ms / 1e3);
        bench.add(place, &[(GFLOP_PER_S, reached), (PEAK_SHARE, 100.0 * reached / peak)]);
    }
}
