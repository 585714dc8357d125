//! The committed ratios to peers, and which of them has fallen. Ratios and not times: machines
//! differ, and a peer beside us meets the same one.

use crate::figures::Figures;
use crate::selection::Group;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

/// What is committed.
#[derive(Debug)]
pub(crate) struct Baseline {
    /// How much less than before is no fall, as a share.
    tolerance: f64,
    /// Where it was measured.
    machine: String,
    /// Each ratio by its name.
    ratios: Vec<(String, f64)>,
}

/// How a run stands to it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// What makes the run fail, one sentence each.
    pub(crate) falls: Vec<String>,
    /// What is to be known besides.
    pub(crate) notes: Vec<String>,
}

impl Baseline {
    /// From the text of the file.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("the baseline is no JSON")?;
        let tolerance = value["tolerance"].as_f64().context("the baseline has no `tolerance`")?;
        let machine = value["machine"].as_str().unwrap_or_default().to_owned();
        let ratios = value["ratios"].as_object().context("the baseline has no `ratios`")?;
        let number = |(name, ratio): (&String, &Value)| {
            let ratio = ratio.as_f64().with_context(|| format!("`{name}` is no number"))?;
            Ok((name.clone(), ratio))
        };
        let ratios = ratios.iter().map(number).collect::<Result<_>>()?;
        Ok(Self { tolerance, machine, ratios })
    }

    /// Compares what was measured of these groups.
    pub(crate) fn judge(&self, figures: &Figures, groups: &[Group], machine: &str) -> Verdict {
        let mut verdict = Verdict::default();
        if self.machine != machine {
            let other = &self.machine;
            verdict.notes.push(format!("the baseline was measured on another machine: {other}"));
        }
        let is_due = |name: &str| {
            let mut groups = groups.iter();
            groups.any(|group| name.split(':').next() == Some(group.name()))
        };
        for (name, before) in self.ratios.iter().filter(|(name, _)| is_due(name)) {
            let now = figures.ratios().find(|(known, _)| known == name);
            let least = before * (1.0 - self.tolerance);
            match now {
                None => verdict.falls.push(format!("{name}: not measured; it was {before:.2}")),
                Some((_, now)) if now.best < least => verdict.falls.push(format!(
                    "{name}: {:.2} times as good, {before:.2} before, at least {least:.2} allowed",
                    now.best
                )),
                Some(_) => {}
            }
        }
        for (name, ratio) in figures.ratios() {
            if self.ratios.iter().all(|(known, _)| known != name) {
                verdict.notes.push(format!("{name}: {:.2}, not in the baseline", ratio.best));
            }
        }
        verdict
    }
}

/// Makes the ratios of the last run, with the present tolerance, the baseline. Those of groups that
/// it did not measure stay.
pub(crate) fn accept(figures: &Path, baseline: &Path) -> Result<usize> {
    let read = |path: &Path| -> Result<Value> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("{}: run `make bench` first", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    };
    let accepted = merged(&read(baseline)?, &read(figures)?)?;
    let count = accepted["ratios"].as_object().map_or(0, Map::len);
    std::fs::write(baseline, format!("{accepted:#}\n"))?;
    Ok(count)
}

fn merged(baseline: &Value, figures: &Value) -> Result<Value> {
    let new = figures["ratios"].as_object().context("the figures have no `ratios`")?;
    let mut ratios = baseline["ratios"].as_object().cloned().unwrap_or_default();
    let group = |name: &str| name.split(':').next().map(str::to_owned);
    ratios.retain(|name, _| new.keys().all(|other| group(other) != group(name)));
    for (name, ratio) in new {
        let best = ratio["best"].as_f64().with_context(|| format!("`{name}` has no best"))?;
        ratios.insert(name.clone(), json!((best * 100.0).round() / 100.0));
    }
    Ok(json!({
        "machine": figures["machine"]["name"],
        "tolerance": baseline["tolerance"],
        "ratios": ratios,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{CPU_MS, Pair, Place};

    fn figures(ours: f64) -> Figures {
        let mut figures = Figures::default();
        let group = Group::Jobs;
        for (who, value) in [("ours", ours), ("theirs", 10.0)] {
            figures.add(Place { group, case: "720p", who }, &[(CPU_MS, value)]);
        }
        let pair = Pair { group, case: "720p", ours: "ours", theirs: "theirs", metric: CPU_MS };
        figures.compare(pair);
        figures
    }

    const NAME: &str = "jobs: 720p, cpu ms, ours / theirs";

    fn baseline(ratios: &Value) -> Baseline {
        let text = json!({"tolerance": 0.1, "machine": "here", "ratios": ratios}).to_string();
        Baseline::parse(&text).expect("well formed")
    }

    #[test]
    fn a_ratio_that_falls_by_more_than_the_tolerance_is_named() {
        let baseline = baseline(&json!({NAME: 2.0}));
        let judged = |ours| baseline.judge(&figures(ours), &[Group::Jobs], "here");
        // Twice as good before: 1.8 is allowed, and no less.
        assert_eq!(judged(5.0), Verdict::default());
        assert_eq!(judged(10.0 / 1.81), Verdict::default());
        let fallen = judged(10.0 / 1.79);
        let sentence = "1.79 times as good, 2.00 before, at least 1.80 allowed";
        assert_eq!(fallen.falls, [format!("{NAME}: {sentence}")]);
    }

    #[test]
    fn a_missing_ratio_fails_and_a_new_one_is_reported() {
        let gone = "start: one frame, wall ms, ours / theirs";
        let baseline = baseline(&json!({gone: 1.5}));
        let jobs = baseline.judge(&figures(5.0), &[Group::Jobs], "there");
        assert!(jobs.falls.is_empty());
        assert_eq!(
            jobs.notes,
            [
                "the baseline was measured on another machine: here".to_owned(),
                format!("{NAME}: 2.00, not in the baseline")
            ]
        );
        let all = baseline.judge(&figures(5.0), &Group::ALL, "here");
        assert_eq!(all.falls, [format!("{gone}: not measured; it was 1.50")]);
    }

    #[test]
    fn accepting_a_run_replaces_its_groups_and_keeps_the_others() {
        let before = json!({"tolerance": 0.2, "ratios": {"jobs: old": 1.0, "start: kept": 3.0}});
        let run = json!({
            "machine": {"name": "here"},
            "ratios": {"jobs: new": {"best": 2.346}},
        });
        let expected = json!({
            "machine": "here",
            "tolerance": 0.2,
            "ratios": {"jobs: new": 2.35, "start: kept": 3.0},
        });
        assert_eq!(merged(&before, &run).expect("well formed"), expected);
    }

    #[test]
    fn a_baseline_that_cannot_be_read_is_refused() {
        for text in ["", "{}", r#"{"tolerance": 0.1}"#, r#"{"tolerance":0.1,"ratios":{"a":"b"}}"#] {
            assert!(Baseline::parse(text).is_err(), "{text}");
        }
    }
}
