//! What a run writes: docs/performance.md and figures.json. Pure.

use crate::baseline::Verdict;
use crate::figures::{Figures, Metric, Row, Summary};
use crate::goals::{GOALS, Goal};
use crate::machine::Machine;
use crate::selection::Group;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Everything there is to say of a run.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) figures: &'a Figures,
    pub(crate) machine: &'a Machine,
    pub(crate) groups: &'a [Group],
    pub(crate) rounds: usize,
    /// What could not be measured, and what it was measured on.
    pub(crate) notes: &'a [String],
    pub(crate) verdict: &'a Verdict,
}

impl Report<'_> {
    /// The document.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# Performance\n\n<!-- Written by `make bench`. -->\n\n");
        text += &goals(&GOALS, self.figures);
        text += &self.circumstances();
        text += &ratios(self.figures);
        for group in self.groups {
            text += &table(*group, self.figures);
        }
        text
    }

    fn circumstances(&self) -> String {
        let Machine { name, kernel, commit, date, versions, .. } = self.machine;
        let mut text = format!("\n{HOW_TO_READ}\n\n| | |\n|---|---|\n");
        for (what, value) in
            [("machine", name), ("kernel", kernel), ("commit", commit), ("date", date)]
        {
            let _ = writeln!(text, "| {what} | {value} |");
        }
        let _ = writeln!(text, "| rounds | {} |", self.rounds);
        for (what, version) in versions {
            let _ = writeln!(text, "| {what} | {version} |");
        }
        for (heading, lines) in [
            ("Fallen against the baseline", &self.verdict.falls[..]),
            ("To be known", &[self.notes, &self.verdict.notes].concat()),
        ] {
            if !lines.is_empty() {
                let _ = writeln!(text, "\n{heading}:\n\n- {}", lines.join("\n- "));
            }
        }
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let row = |row: &Row| {
            let series = row.series.iter().filter_map(|(metric, values)| {
                let Summary { min, median, max } = Summary::of(values)?;
                let value = json!({"min": min, "median": median, "max": max, "n": values.len()});
                Some((metric.name.to_owned(), value))
            });
            let series: Map<String, Value> = series.collect();
            json!({"group": row.group.name(), "case": row.case, "who": row.who, "figures": series})
        };
        let ratios = self.figures.ratios().map(|(name, ratio)| {
            let value = json!({
                "best": ratio.best, "min": ratio.min, "median": ratio.median, "max": ratio.max,
            });
            (name.to_owned(), value)
        });
        let goals = GOALS.iter().map(|goal| {
            let standing = goal.standing(self.figures);
            json!({
                "what": standing.what, "goal": standing.goal, "measured": standing.measured,
                "verdict": standing.verdict,
            })
        });
        let notes = [self.notes, &self.verdict.notes].concat();
        json!({
            "machine": self.machine.json(),
            "rounds": self.rounds,
            "goals": goals.collect::<Vec<_>>(),
            "ratios": ratios.collect::<Map<_, _>>(),
            "rows": self.figures.rows.iter().map(row).collect::<Vec<_>>(),
            "falls": self.verdict.falls,
            "notes": notes,
        })
    }
}

fn goals(goals: &[Goal], figures: &Figures) -> String {
    let mut text = String::from("| what | before | goal | measured | |\n|---|---|---|---|---|\n");
    for goal in goals {
        let it = goal.standing(figures);
        let (goal, measured, verdict) = (it.goal, it.measured, it.verdict);
        let _ = writeln!(text, "| {} | {} | {goal} | {measured} | {verdict} |", it.what, it.before);
    }
    text
}

fn ratios(figures: &Figures) -> String {
    let mut text = String::from(
        "\n## Beside peers\n\nHow many times as good: 2 is half the time, or twice the work.\n\n\
         | | best / best | least round | middle round | largest round |\n|---|---|---|---|---|\n",
    );
    for (name, ratio) in figures.ratios() {
        let [best, min, median, max] = [ratio.best, ratio.min, ratio.median, ratio.max];
        let _ = writeln!(text, "| {name} | {best:.2} | {min:.2} | {median:.2} | {max:.2} |");
    }
    text
}

/// The rows of one group: a column for each metric that occurs, the middle of the rounds before the
/// least and the largest.
fn table(group: Group, figures: &Figures) -> String {
    let rows: Vec<&Row> = figures.rows.iter().filter(|row| row.group == group).collect();
    let mut metrics: Vec<Metric> = Vec::new();
    for (metric, _) in rows.iter().flat_map(|row| &row.series) {
        if !metrics.contains(metric) {
            metrics.push(*metric);
        }
    }
    let mut text = format!("\n## {}\n\n{}\n\n| | |", title(group), about(group));
    metrics.iter().for_each(|metric| {
        let _ = write!(text, " {} |", metric.name);
    });
    let _ = writeln!(text, "\n|---|---|{}", "---|".repeat(metrics.len()));
    for row in rows {
        let _ = write!(text, "| {} | {} |", row.case, row.who);
        for metric in &metrics {
            let values = row.series.iter().find(|(known, _)| known == metric);
            let summary = values.and_then(|(_, values)| Summary::of(values));
            let _ = write!(text, " {} |", summary.map(cell).unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn cell(Summary { min, median, max }: Summary) -> String {
    let digits = if median.abs() < 10.0 { 2 } else { 1 };
    if min == max {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
}

const HOW_TO_READ: &str = "\
`make bench` measures this in half an hour or so, and writes this file and
`target/bench/figures.json`. `BENCH=inference,jobs,modes,accuracy,costs,memory,codecs,start,service,cluster` chooses groups
(the document is then `target/bench/performance.md`), `BENCH_ROUNDS` the rounds.

Ours and the peers, pinned by `tests/bench/requirements.txt`, take turns, in reverse order every
other round, so that other load meets all alike. It only ever makes figures worse: goals that name a
peer, and the baseline, go by the best of each side. Times of ours alone go by the middle round,
memory by the largest. `before` is commit ee59867 on two cores with AVX-512 and much other load.

Ratios to peers are compared with `tests/bench/baseline.json`: one that has fallen by more than its
tolerance is named, and the run fails. `make bench-accept` makes the last run the baseline.";

const fn title(group: Group) -> &'static str {
    match group {
        Group::Inference => "The networks alone",
        Group::Jobs => "Whole jobs",
        Group::Modes => "Modes that try several pictures",
        Group::Accuracy => "What modes, models and filters buy",
        Group::Costs => "What a follower and a clean copy cost",
        Group::Memory => "Memory",
        Group::Codecs => "Memory by codec",
        Group::Start => "A job of one frame",
        Group::Service => "The service",
        Group::Cluster => "Hosts that share a journal",
    }
}

const fn about(group: Group) -> &'static str {
    match group {
        Group::Inference => {
            "One inference on one thread, the cheapest of 20 in each round. `BodyScript` uses the best \
             instruction set there is, the others are forced by `BODYSCRIPT_SIMD`. TFLite runs the files that \
             ours were converted from: its landmark network has the segmentation mask besides and may use half \
             precision. The peak is that of the best instruction set, multiply-adds in registers; a multiply-add \
             counts as two."
        }
        Group::Jobs => {
            "`bodyscript run` from its start to its end, with all its processes, against loops in Python that \
             only decode and find poses (`MediaPipe loop`), or draw them and write an MP4; Python's start and \
             imports are not counted. Complexity 1, both confidences 0.2, tracking. Codecs are compared on a \
             rendered figure."
        }
        Group::Modes => {
            "The same enhancements, order, constants and early exits in OpenCV and MediaPipe \
             (`tests/bench/strategies.py`). Neither side writes pictures; ours writes its CSV."
        }
        Group::Accuracy => {
            "Rendered figures whose joints are known. The cost of a frame is that of a job less that of a job of one frame. \
             The same figures are in docs/modes.md and docs/accuracy.md."
        }
        Group::Costs => {
            "Jobs over HTTP by new workers, by turns: with a client that reads `/api/poses/{id}` to its end and without, \
             and with the format `clean` besides the default ones. The time of processors is that of the service \
             and its workers, the time of the first pose from the beginning of the upload on."
        }
        Group::Codecs => {
            "The peak of a worker with all default artefacts, on a rendered figure; programs, libraries and \
             models are in the page cache. The same figures are in docs/memory.md."
        }
        Group::Memory => {
            "The page cache is emptied before each start of the service, whose trial worker then reads what \
             every worker maps; a worker that reads every file anew has that counted too, though the kernel \
             takes it back when the cap is near. The tree is the supervisor with its worker, of shared pages \
             its share, looked at while a job runs. A worker that needed a second attempt is shown by that. \
             Python counts its libraries."
        }
        Group::Start => {
            "320x240. `bodyscript run` and Python from the start of the program to its end, over HTTP from the \
             start of the job to its end."
        }
        Group::Service => {
            "Times from the request to the answer, or from the kernel's kill on. `make test` asserts none of \
             them."
        }
        Group::Cluster => {
            "PostgreSQL 15 on the same machine, with fsync. Ours: a start and an end of a job, two functions in two \
             transactions with a whole document each, which keeps the job; pgmq: a message of the same size is \
             read and deleted. p50 and p95: between the two changes in the database, for jobs that wait for nothing else."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{CPU_MS_A_FRAME, FRAMES_PER_S, Pair, Place};
    use crate::names::{LOOP, OURS_CSV, PERSON};

    fn figures() -> Figures {
        let mut figures = Figures::default();
        let group = Group::Jobs;
        let place = |who| Place { group, case: PERSON, who };
        for (ours, theirs) in [(8.0, 20.0), (10.0, 22.0)] {
            figures.add(place(OURS_CSV), &[(CPU_MS_A_FRAME, ours), (FRAMES_PER_S, 100.0)]);
            figures.add(place(LOOP), &[(CPU_MS_A_FRAME, theirs)]);
        }
        let metric = CPU_MS_A_FRAME;
        figures.compare(Pair { group, case: PERSON, ours: OURS_CSV, theirs: LOOP, metric });
        figures
    }

    #[test]
    fn tables_have_a_row_for_each_contender_and_a_column_for_each_metric() {
        let text = table(Group::Jobs, &figures());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(
            rows,
            [
                "| | | cpu ms a frame | frames/s |",
                "|---|---|---|---|",
                "| 720p H.264 | BodyScript, csv | 9.00 (8.00 to 10.00) | 100.0 |",
                "| 720p H.264 | MediaPipe loop | 21.0 (20.0 to 22.0) |  |",
            ]
        );
        assert!(!table(Group::Start, &figures()).contains("BodyScript, csv"));
    }

    #[test]
    fn the_document_starts_with_the_goals_and_lists_regressions() {
        let verdict = Verdict { falls: vec!["a: fell".into()], notes: vec!["b: new".into()] };
        let machine = Machine { name: "2 x Test".into(), ..Machine::default() };
        let report = Report {
            figures: &figures(),
            machine: &machine,
            groups: &[Group::Jobs],
            rounds: 2,
            notes: &["c: no peer".to_owned()],
            verdict: &verdict,
        };
        let text = report.markdown();
        let first = text.lines().find(|line| line.starts_with("| what")).expect("goals");
        assert_eq!(first, "| what | before | goal | measured | |");
        let met = "csv only / MediaPipe loop | ";
        let row = text.lines().find(|line| line.contains(met)).expect("a goal");
        assert!(row.ends_with("| ≥ 2.1 | 2.50 | met |"), "{row}");
        assert!(text.contains("| rounds | 2 |") && text.contains("| machine | 2 x Test |"));
        let ratio = "| jobs: 720p H.264, cpu ms a frame, BodyScript, csv / MediaPipe loop | 2.50 | 2.20 | 2.35 | 2.50 |";
        assert!(text.lines().any(|line| line == ratio), "{text}");
        assert!(text.contains("Fallen against the baseline:\n\n- a: fell\n"), "{text}");
        assert!(text.contains("To be known:\n\n- c: no peer\n- b: new\n"), "{text}");
        assert!(text.contains("## Whole jobs") && !text.contains("## Memory"));
    }

    #[test]
    fn the_machine_readable_document_has_the_same_figures() {
        let machine = Machine { name: "2 x Test".into(), ..Machine::default() };
        let figures = figures();
        let report = Report {
            figures: &figures,
            machine: &machine,
            groups: &[Group::Jobs],
            rounds: 2,
            notes: &[],
            verdict: &Verdict::default(),
        };
        let json = report.json();
        let row = &json["rows"][1];
        assert_eq!((&row["case"], &row["who"]), (&json!(PERSON), &json!(LOOP)));
        let expected = json!({"min": 20.0, "median": 21.0, "max": 22.0, "n": 2});
        assert_eq!(row["figures"]["cpu ms a frame"], expected);
        let name = "jobs: 720p H.264, cpu ms a frame, BodyScript, csv / MediaPipe loop";
        assert_eq!(json["ratios"][name]["best"], 2.5);
        assert_eq!(json["machine"]["name"], "2 x Test");
    }
}
