//! Measures the service and its peers by turns on this machine, writes docs/performance.md, tables of docs/memory.md,
//! docs/modes.md and docs/accuracy.md, and target/bench/figures.json, and fails if a ratio to a peer has fallen against the
//! committed ones. Built and run by `make bench`.

mod accuracy;
mod accuracy_tables;
mod baseline;
mod clips;
mod cluster;
mod codec_memory;
mod costs;
mod crowds;
mod document;
mod ends;
mod figures;
mod goals;
mod inference;
mod jobs;
mod machine;
mod marked_tables;
mod memory;
mod names;
mod own_turns;
mod paths;
mod peers;
mod requests;
mod rounds;
mod selection;
mod service;
mod start;

use anyhow::{Context, Result, bail};
use baseline::{Baseline, Verdict};
use bodyscript_worker::simd::Isa;
use document::Report;
use figures::Figures;
use machine::Machine;
use paths::{bench_folder, root};
use rounds::Bench;
use selection::Group;
use std::path::PathBuf;
use std::process::ExitCode;

const ROUNDS: usize = 5;

fn main() -> Result<ExitCode> {
    std::fs::create_dir_all(bench_folder())?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure(),
        ["turns", work] => own_turns::take(work).map(|()| ExitCode::SUCCESS),
        ["accept"] => {
            let count = baseline::accept(&figures_file(), &baseline_file())?;
            println!("{count} ratios are the baseline now");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("usage: bench [accept]; BENCH and BENCH_ROUNDS choose what is measured"),
    }
}

fn figures_file() -> PathBuf {
    bench_folder().join("figures.json")
}

fn baseline_file() -> PathBuf {
    root().join("tests/bench/baseline.json")
}

fn measure() -> Result<ExitCode> {
    let groups = selection::parse(&std::env::var("BENCH").unwrap_or_default())?;
    let rounds = match std::env::var("BENCH_ROUNDS") {
        Ok(text) if !text.is_empty() => text.parse().ok().filter(|rounds| *rounds > 0),
        _ => Some(ROUNDS),
    };
    let rounds = rounds.context("BENCH_ROUNDS is a number of rounds, at least 1")?;
    let text = std::fs::read_to_string(baseline_file()).context("tests/bench/baseline.json")?;
    let committed = Baseline::parse(&text)?;
    let mut machine = Machine::this(Isa::chosen().name())?;

    let mut bench = Bench { rounds, ..Bench::default() };
    let mut failed = Vec::new();
    for group in &groups {
        if let Err(error) = take(*group, &mut bench) {
            failed.push(format!("{}: not measured to the end: {error:#}", group.name()));
        }
    }
    machine.versions = std::mem::take(&mut bench.versions);
    let mut verdict = committed.judge(&bench.figures, &groups, &machine.name);
    verdict.falls.extend(failed);
    write(&bench, &machine, &groups, &verdict)?;
    verdict.falls.iter().for_each(|fall| eprintln!("FALLEN {fall}"));
    Ok(if verdict.falls.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn take(group: Group, bench: &mut Bench) -> Result<()> {
    match group {
        Group::Inference => inference::measure(bench),
        Group::Jobs => jobs::measure(bench),
        Group::Modes => jobs::measure_modes(bench),
        Group::Accuracy => accuracy::measure(bench),
        Group::Costs => costs::measure(bench),
        Group::Memory => memory::measure(bench),
        Group::Codecs => codec_memory::measure(bench),
        Group::Start => start::measure(bench),
        Group::Service => service::measure(bench),
        Group::Cluster => cluster::measure(bench),
    }
}

/// The document is the committed one only of a run that has measured everything.
fn write(bench: &Bench, machine: &Machine, groups: &[Group], verdict: &Verdict) -> Result<()> {
    let Bench { figures, rounds, notes, .. } = bench;
    let report = Report { figures, machine, groups, rounds: *rounds, notes, verdict };
    let is_whole = Group::ALL.iter().all(|group| groups.contains(group));
    let document = match is_whole {
        true => root().join("docs/performance.md"),
        false => bench_folder().join("performance.md"),
    };
    let text = report.markdown();
    std::fs::write(&document, &text).with_context(|| document.display().to_string())?;
    std::fs::write(figures_file(), format!("{:#}\n", report.json()))?;
    write_tables(figures, groups)?;
    println!("{text}");
    Ok(())
}

/// The tables in other documents, each of which is of one group.
fn write_tables(figures: &Figures, groups: &[Group]) -> Result<()> {
    let write = |document: &str, name: &str, table: fn(&Figures) -> String| {
        marked_tables::write(&root().join(document), name, &table(figures))
    };
    if groups.contains(&Group::Codecs) {
        write("docs/memory.md", "codecs", codec_memory::table)?;
    }
    if groups.contains(&Group::Accuracy) {
        write("docs/modes.md", "modes", accuracy_tables::modes)?;
        write("docs/accuracy.md", "models", accuracy_tables::models)?;
        write("docs/accuracy.md", "filters", accuracy_tables::filters)?;
    }
    Ok(())
}
