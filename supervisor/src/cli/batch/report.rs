//! What is printed about each video as it ends, and about all of them at the end: as sentences, or as one
//! line of JSON for each video.

use crate::cli::batch::arguments::Format;
use crate::cli::batch::progress::Progress;
use crate::cli::output;
use bodyscript_protocol::warning::WarningRow;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Exit status if none of the names is a video.
const NO_VIDEO: u8 = 2;

/// Videos that a warning of the summary names.
const NAMED_MAX: usize = 5;

/// What the results of a video leave out or assume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Warning {
    /// The stable code.
    code: String,
    /// One sentence for users.
    sentence: String,
}

impl From<&WarningRow> for Warning {
    fn from(row: &WarningRow) -> Self {
        Self { code: row.code.into(), sentence: row.sentence.into() }
    }
}

/// How a video ended.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Not waited for.
    Uploaded,
    Completed {
        frames: u32,
        frames_detected: u32,
        warnings: Vec<Warning>,
    },
    /// Its results existed.
    Skipped,
    Failed {
        error: String,
        error_code: Option<Cow<'static, str>>,
    },
    /// There is no such video, or it cannot be read.
    Unreadable {
        error: String,
    },
    Cancelled,
}

/// A video, as it is called in what is printed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    /// As it was named.
    pub(crate) video: String,
    /// The folder that its results have or get, if they are saved.
    pub(crate) results: Option<String>,
}

/// The job of a video at a service.
#[derive(Debug, Serialize)]
pub(crate) struct JobLink {
    pub(crate) job_id: String,
    /// The page that shows it.
    pub(crate) page: String,
}

/// How one video ended.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    #[serde(flatten)]
    pub(crate) subject: Subject,
    #[serde(flatten)]
    pub(crate) job: Option<JobLink>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

impl Subject {
    /// The video has ended.
    pub(crate) fn ended(mut self, outcome: Outcome) -> Ended {
        if !matches!(outcome, Outcome::Completed { .. } | Outcome::Skipped) {
            self.results = None;
        }
        Ended { subject: self, job: None, outcome }
    }
}

/// Prints, and counts for the exit status.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    progress: Progress,
    videos: usize,
    completed: usize,
    skipped: usize,
    cancelled: usize,
    failed: usize,
    unreadable: usize,
    /// By sentence, the videos.
    warnings: BTreeMap<String, Vec<String>>,
    is_output_broken: bool,
}

impl Report {
    /// About so many videos.
    pub(crate) fn new(format: Format, progress: Progress, videos: usize) -> Self {
        Self {
            format,
            progress,
            videos,
            completed: 0,
            skipped: 0,
            cancelled: 0,
            failed: 0,
            unreadable: 0,
            warnings: BTreeMap::new(),
            is_output_broken: false,
        }
    }

    /// A video has ended.
    pub(crate) fn add(&mut self, ended: &Ended) {
        match &ended.outcome {
            Outcome::Uploaded => self.completed += 1,
            Outcome::Completed { warnings, .. } => {
                self.completed += 1;
                for warning in warnings {
                    self.warnings
                        .entry(warning.sentence.clone())
                        .or_default()
                        .push(ended.subject.video.clone());
                }
            }
            Outcome::Skipped => self.skipped += 1,
            Outcome::Cancelled => self.cancelled += 1,
            Outcome::Failed { error, .. } | Outcome::Unreadable { error } => {
                self.failed += 1;
                self.unreadable += usize::from(matches!(ended.outcome, Outcome::Unreadable { .. }));
                self.progress.print(|| output::err(&format!("{}: {error}", ended.subject.video)));
            }
        }
        match self.format {
            Format::Quiet => {}
            Format::Json => self.print(&serde_json::to_string(ended).expect("strings and numbers")),
            Format::Text => self.print_sentence(ended),
        }
        self.progress.count();
    }

    fn print_sentence(&mut self, ended: &Ended) {
        let Ended { subject: Subject { video, results }, job, outcome } = ended;
        let place = match (results, job) {
            (Some(folder), _) => format!("results in {folder}"),
            (None, Some(job)) => format!("see {}", job.page),
            (None, None) => return,
        };
        match outcome {
            Outcome::Uploaded => self.print(&format!("{video}: uploaded; {place}")),
            Outcome::Completed { frames, frames_detected, .. } => self.print(&format!(
                "{video}: {frames} frames, a person in {frames_detected}; {place}"
            )),
            Outcome::Skipped => self.print(&format!("{video}: skipped; {place}")),
            Outcome::Failed { .. } | Outcome::Unreadable { .. } | Outcome::Cancelled => {}
        }
    }

    /// Prints a line; that it cannot be printed is told once.
    fn print(&mut self, line: &str) {
        let printed = self.progress.print(|| output::out(&format!("{line}\n")));
        match printed {
            Err(error) if !self.is_output_broken => {
                self.is_output_broken = true;
                let line = format!("cannot write to standard output: {error}");
                self.progress.print(|| output::err(&line));
            }
            _ => {}
        }
    }

    /// Says that a stop was requested.
    pub(crate) fn print_cancelled(&self) {
        self.progress.clear();
        output::err("Cancelled.");
    }

    /// Prints the summary, and gives the exit status.
    pub(crate) fn finish(mut self) -> ExitCode {
        self.progress.clear();
        if self.format == Format::Text {
            if self.videos > 1 {
                self.print(&self.counts());
            }
            for line in self.warning_lines() {
                self.print(&line);
            }
        }
        if self.unreadable == self.videos {
            return ExitCode::from(NO_VIDEO);
        }
        let is_success = self.failed + self.cancelled == 0 && !self.is_output_broken;
        if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub(crate) fn counts(&self) -> String {
        let mut counts = format!("{} of {} videos processed", self.completed, self.videos);
        for (count, what) in
            [(self.skipped, "skipped"), (self.failed, "failed"), (self.cancelled, "cancelled")]
        {
            if count > 0 {
                counts += &format!(", {count} {what}");
            }
        }
        counts + "."
    }

    fn warning_lines(&self) -> Vec<String> {
        let line = |(sentence, videos): (&String, &Vec<String>)| {
            let mut line = format!("Warning: {sentence}");
            if self.videos > 1 {
                let named = videos.iter().take(NAMED_MAX).map(String::as_str);
                line += &format!(" ({}", named.collect::<Vec<_>>().join(", "));
                if videos.len() > NAMED_MAX {
                    line += &format!(" and {} more", videos.len() - NAMED_MAX);
                }
                line += ")";
            }
            line
        };
        self.warnings.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::warning::WARNINGS;
    use serde_json::json;

    fn ended(video: &str, outcome: Outcome) -> Ended {
        Subject { video: video.into(), results: Some(format!("out/{video}")) }.ended(outcome)
    }

    fn completed() -> Outcome {
        let warnings = vec![Warning::from(&WARNINGS[0])];
        Outcome::Completed { frames: 3, frames_detected: 2, warnings }
    }

    #[test]
    fn the_summary_counts_what_happened_and_names_the_videos_of_each_warning() {
        let mut report = Report::new(Format::Quiet, Progress::off(), 9);
        for at in 0..7 {
            report.add(&ended(&format!("{at}.mp4"), completed()));
        }
        report.add(&ended("old.mp4", Outcome::Skipped));
        report.add(&ended("last.mp4", Outcome::Cancelled));
        assert_eq!(report.counts(), "7 of 9 videos processed, 1 skipped, 1 cancelled.");
        let lines = report.warning_lines();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains(WARNINGS[0].sentence), "{lines:?}");
        assert!(lines[0].ends_with("(0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 and 2 more)"), "{lines:?}");
    }

    #[test]
    fn a_line_of_json_has_the_outcome_beside_the_names() {
        let line = serde_json::to_value(ended("a", completed())).expect("JSON");
        assert_eq!(line["status"], "completed");
        assert_eq!(line["results"], "out/a");
        assert_eq!((&line["frames"], &line["frames_detected"]), (&json!(3), &json!(2)));
        assert_eq!(line["warnings"][0]["code"], WARNINGS[0].code);
        assert!(line.get("job_id").is_none(), "{line}");
        let failed = Outcome::Failed { error: "No.".into(), error_code: Some("crash".into()) };
        let line = serde_json::to_value(ended("a", failed)).expect("JSON");
        assert_eq!((&line["status"], &line["error_code"]), (&json!("failed"), &json!("crash")));
        assert!(line["results"].is_null(), "it has none: {line}");
    }
}
