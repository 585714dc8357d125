//! What was measured, round by round, and how ours compares with others'. Pure.

use crate::selection::Group;

/// Which way a figure is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Time and memory.
    Less,
    /// Work in a given time.
    More,
}

/// What a number counts; its name has the unit and heads a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metric {
    /// The heading.
    pub(crate) name: &'static str,
    /// Which way it is good.
    pub(crate) better: Better,
}

const fn less(name: &'static str) -> Metric {
    Metric { name, better: Better::Less }
}

const fn more(name: &'static str) -> Metric {
    Metric { name, better: Better::More }
}

pub(crate) const WALL_MS: Metric = less("wall ms");
pub(crate) const CPU_MS: Metric = less("cpu ms");
pub(crate) const GFLOP_PER_S: Metric = more("GFLOP/s");
pub(crate) const PEAK_SHARE: Metric = more("% of the core's peak");
pub(crate) const FRAMES_PER_S: Metric = more("frames/s");
pub(crate) const CPU_MS_A_FRAME: Metric = less("cpu ms a frame");
pub(crate) const WALL_S: Metric = less("wall s");
pub(crate) const PEAK_MIB: Metric = less("peak MiB");
pub(crate) const JOBS_PER_S: Metric = more("jobs/s");
pub(crate) const CLAIMS_PER_S: Metric = more("claims/s");
pub(crate) const MB_PER_S: Metric = more("MB/s");
pub(crate) const FOUND_PERCENT: Metric = more("% of frames with the person");
pub(crate) const ERROR_PERCENT: Metric = less("error, % of the diagonal");
pub(crate) const JITTER_PERCENT: Metric = less("jitter, % of the diagonal");
pub(crate) const P50_MS: Metric = less("p50 ms");
pub(crate) const P95_MS: Metric = less("p95 ms");
pub(crate) const P99_MS: Metric = less("p99 ms");

/// Where figures belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// What they are taken with.
    pub(crate) group: Group,
    /// The input or the situation.
    pub(crate) case: &'a str,
    /// Who did it.
    pub(crate) who: &'a str,
}

/// All figures of one place: a row of the document.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) group: Group,
    pub(crate) case: String,
    pub(crate) who: String,
    /// Of each metric the value of each round.
    pub(crate) series: Vec<(Metric, Vec<f64>)>,
}

/// A comparison of ours with a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) group: Group,
    pub(crate) case: &'a str,
    pub(crate) ours: &'a str,
    pub(crate) theirs: &'a str,
    pub(crate) metric: Metric,
}

impl Pair<'_> {
    /// What the baseline and the document call it.
    pub(crate) fn name(&self) -> String {
        let Self { group, case, ours, theirs, metric } = self;
        format!("{}: {case}, {}, {ours} / {theirs}", group.name(), metric.name)
    }
}

/// How many times as good as a peer: 2 means half the time or twice the work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    /// Of the best values. Other load only ever makes values worse, so this is the one that counts.
    pub(crate) best: f64,
    /// The round in which it was least.
    pub(crate) min: f64,
    /// The middle of all rounds.
    pub(crate) median: f64,
    /// The round in which it was largest.
    pub(crate) max: f64,
}

impl Ratio {
    /// From values taken by turns; none where a side has none, or one that is not positive.
    pub(crate) fn of(ours: &[f64], theirs: &[f64], better: Better) -> Option<Self> {
        let times = |ours: f64, theirs: f64| match better {
            Better::Less => theirs / ours,
            Better::More => ours / theirs,
        };
        if ours.iter().chain(theirs).any(|value| !value.is_finite() || *value <= 0.0) {
            return None;
        }
        let rounds: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| times(*a, *b)).collect();
        let Summary { min, median, max } = Summary::of(&rounds)?;
        let best = times(best(ours, better)?, best(theirs, better)?);
        Some(Self { best, min, median, max })
    }
}

fn best(values: &[f64], better: Better) -> Option<f64> {
    let Summary { min, max, .. } = Summary::of(values)?;
    Some(if better == Better::Less { min } else { max })
}

/// The values of several rounds in short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let lower = sorted[(sorted.len() - 1) / 2];
        Some(Self { min, median: (lower + sorted[half]) / 2.0, max })
    }
}

/// The value that so many of a hundred do not exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Everything measured in a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// In the order in which they came.
    pub(crate) rows: Vec<Row>,
    ratios: Vec<(String, Option<Ratio>)>,
}

impl Figures {
    /// Takes the values of one round.
    pub(crate) fn add(&mut self, place: Place<'_>, values: &[(Metric, f64)]) {
        let Place { group, case, who } = place;
        let at = self.position(place).unwrap_or_else(|| {
            let (case, who) = (case.to_owned(), who.to_owned());
            self.rows.push(Row { group, case, who, series: Vec::new() });
            self.rows.len() - 1
        });
        let series = &mut self.rows[at].series;
        for (metric, value) in values {
            match series.iter_mut().find(|(known, _)| known == metric) {
                Some((_, values)) => values.push(*value),
                None => series.push((*metric, vec![*value])),
            }
        }
    }

    /// The value of each round; empty if there is none.
    pub(crate) fn values(&self, place: Place<'_>, metric: Metric) -> &[f64] {
        let series = self.position(place).map(|at| &self.rows[at].series);
        let found = series.and_then(|series| series.iter().find(|(known, _)| *known == metric));
        found.map_or(&[], |(_, values)| values)
    }

    /// Compares two rows whose values came by turns.
    pub(crate) fn compare(&mut self, pair: Pair<'_>) {
        let Pair { group, case, ours, theirs, metric } = pair;
        let values = |who| self.values(Place { group, case, who }, metric);
        let ratio = Ratio::of(values(ours), values(theirs), metric.better);
        self.ratios.push((pair.name(), ratio));
    }

    /// The comparisons that both sides have values for.
    pub(crate) fn ratios(&self) -> impl Iterator<Item = (&str, Ratio)> {
        self.ratios.iter().filter_map(|(name, ratio)| Some((name.as_str(), (*ratio)?)))
    }

    /// One of them.
    pub(crate) fn ratio(&self, pair: Pair<'_>) -> Option<Ratio> {
        let wanted = pair.name();
        self.ratios().find(|(name, _)| *name == wanted).map(|(_, ratio)| ratio)
    }

    fn position(&self, Place { group, case, who }: Place<'_>) -> Option<usize> {
        self.rows.iter().position(|row| row.group == group && row.case == case && row.who == who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_means_better_in_either_direction() {
        let faster = Ratio::of(&[4.0, 5.0, 10.0], &[8.0, 20.0, 10.0], Better::Less);
        assert_eq!(faster, Some(Ratio { best: 2.0, min: 1.0, median: 2.0, max: 4.0 }));
        let slower = Ratio::of(&[30.0, 20.0], &[60.0, 50.0], Better::More);
        assert_eq!(slower, Some(Ratio { best: 0.5, min: 0.4, median: 0.45, max: 0.5 }));
        assert_eq!(Ratio::of(&[], &[1.0], Better::Less), None);
        assert_eq!(Ratio::of(&[0.0], &[1.0], Better::Less), None);
    }

    #[test]
    fn values_are_summarised_and_ranked() {
        let of = |values: &[f64]| Summary::of(values);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(Summary { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(of(&[4.0, 1.0]), Some(Summary { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(of(&[]), None);
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&[7.0], 99), Some(7.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn rows_collect_rounds_and_compare_with_each_other() {
        let mut figures = Figures::default();
        let place = |who| Place { group: Group::Jobs, case: "720p", who };
        for (ours, theirs) in [(5.0, 10.0), (6.0, 9.0)] {
            figures.add(place("ours"), &[(CPU_MS, ours), (WALL_MS, 1.0)]);
            figures.add(place("theirs"), &[(CPU_MS, theirs)]);
        }
        assert_eq!(figures.values(place("ours"), CPU_MS), [5.0, 6.0]);
        assert_eq!(figures.values(place("ours"), WALL_MS), [1.0, 1.0]);
        assert!(figures.values(place("nobody"), CPU_MS).is_empty());
        let pair = |theirs| Pair {
            group: Group::Jobs,
            case: "720p",
            ours: "ours",
            theirs,
            metric: CPU_MS,
        };
        figures.compare(pair("theirs"));
        figures.compare(pair("nobody"));
        assert_eq!(figures.ratio(pair("theirs")).map(|ratio| ratio.best), Some(1.8));
        let names: Vec<&str> = figures.ratios().map(|(name, _)| name).collect();
        assert_eq!(names, ["jobs: 720p, cpu ms, ours / theirs"]);
    }
}
