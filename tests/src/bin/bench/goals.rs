//! The goals: what is asked of the figures, and whether they meet it. Pure.

use crate::figures::{
    CLAIMS_PER_S, CPU_MS, CPU_MS_A_FRAME, FRAMES_PER_S, Figures, Metric, P95_MS, P99_MS, PEAK_MIB,
    Pair, Place, Summary, WALL_MS,
};
use crate::names::{
    BESIDE_BODIES, BESIDE_HEADERS, BESIDE_IDLE, BESIDE_STREAMS, BESIDE_UNREAD, CANCEL, CANCEL_DEAF,
    CLAIM_ELSEWHERE, CLAIM_HERE, CLAIMS_1, CLAIMS_8, CLAIMS_24, DETECTOR, DRAWN, FIRST_POSE,
    KILL_TO_CHANGE, KILL_TO_NEXT, LANDMARK, LOOP, NEW, ONE_FRAME, ONNXRUNTIME, OURS, OURS_ALL,
    OURS_CSV, PERSON, PGMQ, READY, RUN, STANDBY, STRATEGY, WORKER,
};
use crate::selection::Group;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    /// What is measured.
    what: &'static str,
    /// What commit ee59867 reached, on two cores with AVX-512 and much other load.
    before: &'static str,
    bound: Bound,
    measure: Measure,
    unit: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Clone, Copy)]
enum Measure {
    /// How many times as good as a peer.
    Times(Pair<'static>),
    /// Our share of what a peer takes.
    Share(Pair<'static>),
    /// The middle of the rounds.
    Median(Place<'static>, Metric),
    /// The worst of the rounds, of what is good when it is less.
    Most(Place<'static>, Metric),
}

/// A goal with its figure.
#[derive(Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) what: &'static str,
    pub(crate) before: &'static str,
    pub(crate) goal: String,
    pub(crate) measured: String,
    pub(crate) verdict: &'static str,
}

impl Goal {
    /// How the figures stand to it.
    pub(crate) fn standing(&self, figures: &Figures) -> Standing {
        let Self { what, before, bound, measure, unit } = *self;
        let with_unit = |value: f64| {
            let digits = if unit.is_empty() || value < 1.0 { 2 } else { 1 };
            format!("{value:.digits$}{unit}")
        };
        let value = measure.value(figures);
        let (sign, limit) = match bound {
            Bound::AtLeast(limit) => ("≥", limit),
            Bound::AtMost(limit) => ("≤", limit),
        };
        let verdict = match value {
            None => "not measured",
            Some(value) if bound.holds(value) => "met",
            Some(_) => "not met",
        };
        let measured = value.map_or_else(|| "-".to_owned(), with_unit);
        Standing { what, before, goal: format!("{sign} {limit}{unit}"), measured, verdict }
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

impl Measure {
    fn value(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Times(pair) => Some(figures.ratio(pair)?.best),
            Self::Share(pair) => Some(1.0 / figures.ratio(pair)?.best),
            Self::Median(place, metric) => Some(Summary::of(figures.values(place, metric))?.median),
            Self::Most(place, metric) => Some(Summary::of(figures.values(place, metric))?.max),
        }
    }
}

const fn network(what: &'static str, before: &'static str, case: &'static str) -> Goal {
    let (group, ours, theirs, metric) = (Group::Inference, OURS, ONNXRUNTIME, CPU_MS);
    let measure = Measure::Share(Pair { group, case, ours, theirs, metric });
    Goal { what, before, bound: Bound::AtMost(0.82), measure, unit: "" }
}

const fn job(
    (what, before, least): (&'static str, &'static str, f64),
    (ours, theirs): (&'static str, &'static str),
    metric: Metric,
) -> Goal {
    let pair = Pair { group: Group::Jobs, case: PERSON, ours, theirs, metric };
    Goal { what, before, bound: Bound::AtLeast(least), measure: Measure::Times(pair), unit: "" }
}

const fn start(what: &'static str, before: &'static str, most: f64, who: &'static str) -> Goal {
    let place = Place { group: Group::Start, case: ONE_FRAME, who };
    let measure = Measure::Median(place, WALL_MS);
    Goal { what, before, bound: Bound::AtMost(most), measure, unit: " ms" }
}

const fn memory(what: &'static str, before: &'static str, most: f64, case: &'static str) -> Goal {
    let measure = Measure::Most(Place { group: Group::Memory, case, who: WORKER }, PEAK_MIB);
    Goal { what, before, bound: Bound::AtMost(most), measure, unit: " MiB" }
}

const fn mode(
    (what, before, least): (&'static str, &'static str, f64),
    case: &'static str,
    metric: Metric,
) -> Goal {
    let pair = Pair { group: Group::Modes, case, ours: OURS, theirs: STRATEGY, metric };
    Goal { what, before, bound: Bound::AtLeast(least), measure: Measure::Times(pair), unit: "" }
}

/// What the service takes at most, of a hundred times 99.
const fn service(case: &'static str, before: &'static str, most: f64, metric: Metric) -> Goal {
    let measure = Measure::Most(Place { group: Group::Service, case, who: OURS }, metric);
    Goal { what: case, before, bound: Bound::AtMost(most), measure, unit: " ms" }
}

const fn first_pose(what: &'static str, most: f64) -> Goal {
    let measure = Measure::Most(Place { group: Group::Costs, case: FIRST_POSE, who: NEW }, WALL_MS);
    Goal { what, before: "-", bound: Bound::AtMost(most), measure, unit: " ms" }
}

const fn claims(what: &'static str, case: &'static str) -> Goal {
    let pair = Pair { group: Group::Cluster, case, ours: OURS, theirs: PGMQ, metric: CLAIMS_PER_S };
    let (bound, measure) = (Bound::AtLeast(0.75), Measure::Times(pair));
    Goal { what, before: "-", bound, measure, unit: "" }
}

const fn claim(case: &'static str, most: f64) -> Goal {
    let measure = Measure::Most(Place { group: Group::Cluster, case, who: OURS }, P95_MS);
    Goal { what: case, before: "-", bound: Bound::AtMost(most), measure, unit: " ms" }
}

/// All goals.
pub(crate) const GOALS: [Goal; 33] = [
    network("landmark network, time / onnxruntime's, one thread", "2.22", LANDMARK),
    network("detector network, time / onnxruntime's, one thread", "2.11", DETECTOR),
    job(
        ("frames per cpu-second, csv only / MediaPipe loop", "0.82", 2.1),
        (OURS_CSV, LOOP),
        CPU_MS_A_FRAME,
    ),
    job(
        ("frames per cpu-second, all default artefacts / MediaPipe loop", "0.62", 1.3),
        (OURS_ALL, LOOP),
        CPU_MS_A_FRAME,
    ),
    job(
        ("the same / MediaPipe with drawing and MP4", "0.75", 2.0),
        (OURS_ALL, DRAWN),
        CPU_MS_A_FRAME,
    ),
    job(
        ("frames/s of one job, all default artefacts / MediaPipe loop", "0.50", 1.9),
        (OURS_ALL, LOOP),
        FRAMES_PER_S,
    ),
    start("job of one frame, cold, `bodyscript run`", "1519 ms", 150.0, RUN),
    start("job of one frame by a worker that stood by", "205 ms", 40.0, STANDBY),
    first_pose("first pose of a 720p video after the beginning of its upload", 1000.0),
    memory("peak of a worker, 720p", "123 MiB", 100.0, "720p"),
    memory("peak of a worker, 1080p", "179 MiB", 140.0, "1080p"),
    memory("peak of a worker, 4K", "465 MiB", 300.0, "4K"),
    mode(
        ("mode ultra_fast / the same in Python, frames/s", "0.45", 3.0),
        "ultra_fast",
        FRAMES_PER_S,
    ),
    mode(
        ("mode ultra_fast / the same in Python, frames per cpu-second", "0.52", 2.0),
        "ultra_fast",
        CPU_MS_A_FRAME,
    ),
    mode(("mode smart / the same in Python, frames/s", "0.31", 3.0), "smart", FRAMES_PER_S),
    mode(
        ("mode smart / the same in Python, frames per cpu-second", "0.51", 2.0),
        "smart",
        CPU_MS_A_FRAME,
    ),
    mode(("mode fast / the same in Python, frames/s", "0.51", 3.0), "fast", FRAMES_PER_S),
    mode(
        ("mode fast / the same in Python, frames per cpu-second", "0.59", 2.0),
        "fast",
        CPU_MS_A_FRAME,
    ),
    service(READY, "275 ms", 2000.0, WALL_MS),
    service(KILL_TO_CHANGE, "90 ms", 100.0, P99_MS),
    service(KILL_TO_NEXT, "158 ms", 250.0, P99_MS),
    service(CANCEL, "306 ms", 1000.0, P99_MS),
    service(CANCEL_DEAF, "707 ms", 1000.0, P99_MS),
    service(BESIDE_IDLE, "0.2 ms", 100.0, P99_MS),
    service(BESIDE_HEADERS, "0.3 ms", 100.0, P99_MS),
    service(BESIDE_BODIES, "0.4 ms", 100.0, P99_MS),
    service(BESIDE_UNREAD, "2.9 ms", 100.0, P99_MS),
    service(BESIDE_STREAMS, "0.4 ms", 100.0, P99_MS),
    claims("jobs claimed and ended per second, one at a time / pgmq", CLAIMS_1),
    claims("the same, 8 at a time", CLAIMS_8),
    claims("the same, 24 at a time", CLAIMS_24),
    claim(CLAIM_HERE, 50.0),
    claim(CLAIM_ELSEWHERE, 150.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// How a run with one value a side stands to one goal.
    fn standing(goal: &Goal, values: &[(Place<'_>, Metric, f64)]) -> Standing {
        let mut figures = Figures::default();
        for (place, metric, value) in values {
            figures.add(*place, &[(*metric, *value)]);
        }
        if let Measure::Times(pair) | Measure::Share(pair) = goal.measure {
            figures.compare(pair);
        }
        goal.standing(&figures)
    }

    #[test]
    fn a_share_of_a_peers_time_is_met_at_its_bound_and_not_above() {
        let goal = network("landmark", "1.9", LANDMARK);
        let at = |who| Place { group: Group::Inference, case: LANDMARK, who };
        let of =
            |ours| standing(&goal, &[(at(OURS), CPU_MS, ours), (at(ONNXRUNTIME), CPU_MS, 10.0)]);
        let met = of(8.0);
        assert_eq!(
            (met.goal.as_str(), met.measured.as_str(), met.verdict),
            ("≤ 0.82", "0.80", "met")
        );
        assert_eq!(of(8.3).verdict, "not met");
        assert_eq!(standing(&goal, &[]).verdict, "not measured");
        assert_eq!(standing(&goal, &[]).measured, "-");
    }

    #[test]
    fn a_multiple_of_a_peers_work_is_met_from_its_bound_on() {
        let goal = job(("frames", "1", 2.1), (OURS_CSV, LOOP), CPU_MS_A_FRAME);
        let at = |who| Place { group: Group::Jobs, case: PERSON, who };
        let of = |ours| {
            let (ours, theirs) = ((at(OURS_CSV), ours), (at(LOOP), 21.0));
            standing(&goal, &[ours, theirs].map(|(place, value)| (place, CPU_MS_A_FRAME, value)))
        };
        assert_eq!((of(10.0).verdict, of(10.0).measured.as_str()), ("met", "2.10"));
        assert_eq!(of(10.5).verdict, "not met");
    }

    #[test]
    fn absolute_goals_take_the_middle_of_times_and_the_most_of_memory() {
        let place = Place { group: Group::Start, case: ONE_FRAME, who: RUN };
        let times = [100.0, 140.0, 400.0].map(|value| (place, WALL_MS, value));
        let one = standing(&start("cold", "400 ms", 150.0, RUN), &times);
        assert_eq!((one.measured.as_str(), one.verdict), ("140.0 ms", "met"));
        let place = Place { group: Group::Memory, case: "4K", who: WORKER };
        let peaks = [250.0, 301.0].map(|value| (place, PEAK_MIB, value));
        let one = standing(&memory("peak", "?", 300.0, "4K"), &peaks);
        assert_eq!((one.goal.as_str(), one.verdict), ("≤ 300 MiB", "not met"));
    }
}
