//! The files that a worker writes: how large they are while it runs, and whether they are what it said
//! once it has exited.
//!
//! Held by `drive` from the moment the job is sent.

use crate::runner::attempt::Assignment;
use crate::runner::attempt::exit_report::{
    Cause, ExitEvidence, ExitReason, ExitReport, FinalMessage,
};
use crate::runner::validation::{Expected, ValidationError, validate};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::recording_bytes_max;
use bodyscript_protocol::message::{JobParameters, Start};
use std::fs::File;
use tokio::task::spawn_blocking;

/// The artefacts of one job.
#[derive(Debug)]
pub(crate) struct Results {
    job: String,
    parameters: JobParameters,
    artefacts: Vec<(Artefact, File)>,
    recording: Option<File>,
    /// The limit on all of them together.
    bytes_max: u64,
}

impl Results {
    /// The message that describes the job, the files that go with it, and what is kept of them.
    pub(super) fn of(assignment: Assignment) -> (Start, File, Self) {
        let Assignment { job, video, artefacts, recording, parameters, .. } = assignment;
        let bytes_max = assignment.results_bytes_max;
        let names = artefacts.iter().map(|(artefact, _)| *artefact).collect();
        let start = Start { job: job.clone(), parameters, artefacts: names };
        (start, video, Self { job, parameters, artefacts, recording, bytes_max })
    }

    /// The files to be written to, in the order of the message.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.artefacts.iter().map(|(_, file)| file).chain(&self.recording)
    }

    /// The size of all files, in bytes, with what else the job has on the disk, or why the worker may not go on.
    pub(super) fn measure(&self, others_bytes: u64) -> Result<u64, Cause> {
        let JobParameters { options, limits, .. } = self.parameters;
        let (frames, people) = (limits.frames_max(), options.people_max);
        let recorded = recording_bytes_max(frames, options.followed_max());
        let artefacts = self.artefacts.iter();
        let bounded =
            artefacts.map(|(of, file)| (of.file_name(), file, of.bytes_max(frames, people)));
        let recording = self.recording.iter();
        let recording = recording.map(|file| ("recording", file, recorded));
        let mut total = others_bytes;
        for (name, file, bytes_max) in bounded.chain(recording) {
            // A disk that does not answer now is found when the results are read.
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            if bytes > bytes_max {
                return Err(Cause::Violation(format!("{name}: too large, with {bytes} bytes")));
            }
            total = total.saturating_add(bytes);
        }
        match total {
            total if total > self.bytes_max => {
                Err(Cause::ResultsTooLarge { limit_bytes: self.bytes_max })
            }
            total => Ok(total),
        }
    }

    /// The exit report, corrected if the worker ended well but did not write what it said.
    pub(super) async fn verify(self, exit_report: ExitReport) -> ExitReport {
        let ExitReport { end: ExitReason::Done, evidence, .. } = &exit_report else {
            return exit_report;
        };
        let (Some(facts), Some(FinalMessage::Done(summary))) =
            (evidence.facts.clone(), evidence.final_message.clone())
        else {
            return exit_report;
        };
        let measured = self.measure(0);
        let Self { job, parameters, artefacts, .. } = self;
        let expected = Expected { job, parameters, facts, summary };
        let check = move || validate(&artefacts, &expected);
        let checked = match measured {
            // An error of the task means that the runtime shuts down: the attempt is not recorded.
            Ok(_) => match spawn_blocking(check).await {
                Ok(checked) => checked.map_err(cause_of),
                Err(error) => Err(Cause::ResultsUnreadable(error.to_string())),
            },
            Err(cause) => Err(cause),
        };
        match checked {
            Ok(()) => exit_report,
            Err(cause) => ExitReport::from_evidence(ExitEvidence {
                cause: Some(cause),
                ..exit_report.evidence
            }),
        }
    }
}

fn cause_of(error: ValidationError) -> Cause {
    match error {
        ValidationError::Invalid { .. } => Cause::Violation(error.to_string()),
        ValidationError::Unreadable { .. } => Cause::ResultsUnreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::attempt::origin::Origin;
    use bodyscript_protocol::message::MediaLimits;
    use bodyscript_protocol::options::Options;
    use bodyscript_sample_results::LIMITS;
    use std::num::NonZeroU32;

    fn results(artefacts: &[Artefact], results_bytes_max: u64) -> Results {
        let file = || tempfile::tempfile().expect("a file");
        let limits = MediaLimits { duration_ms_max: 1_000, frame_rate_max: 10, ..LIMITS };
        let options = Options::default();
        let (_, _, results) = Results::of(Assignment {
            job: "job".into(),
            number: 1,
            origin: Origin::NONE,
            video: file(),
            artefacts: artefacts.iter().map(|artefact| (*artefact, file())).collect(),
            recording: Some(file()),
            parameters: JobParameters { options, limits, threads: NonZeroU32::MIN },
            results_bytes_max,
            poses: None,
        });
        results
    }

    #[test]
    fn each_artefact_has_a_limit_that_follows_from_the_frames_and_people_of_the_job() {
        let results = results(&[Artefact::Video, Artefact::Csv], u64::MAX);
        let csv = results.files().nth(1).expect("a file");
        // Ten frames, and what rounding may add.
        let bytes_max = Artefact::Csv.bytes_max(21, 1);
        csv.set_len(bytes_max).expect("a sparse file");
        assert_eq!(results.measure(0), Ok(bytes_max));
        csv.set_len(bytes_max + 1).expect("a sparse file");
        let refused = results.measure(0).expect_err("too large");
        assert!(matches!(refused, Cause::Violation(what) if what.starts_with("pose_data.csv: ")));
    }

    #[test]
    fn the_recording_has_a_limit_and_counts() {
        let results = results(&[Artefact::Csv], u64::MAX);
        let recording = results.files().nth(1).expect("a file");
        let bytes_max = recording_bytes_max(21, 1);
        recording.set_len(bytes_max).expect("a sparse file");
        assert_eq!(results.measure(0), Ok(bytes_max));
        recording.set_len(bytes_max + 1).expect("a sparse file");
        let refused = results.measure(0).expect_err("too large");
        assert!(matches!(refused, Cause::Violation(what) if what.starts_with("recording: ")));
    }

    #[test]
    fn all_artefacts_together_have_a_limit() {
        let results = results(&[Artefact::Video, Artefact::Preview], 5_000);
        let sizes = |video, preview| {
            for (file, bytes) in results.files().zip([video, preview]) {
                file.set_len(bytes).expect("a sparse file");
            }
            results.measure(0)
        };
        assert_eq!(sizes(2_000, 3_000), Ok(5_000));
        assert_eq!(sizes(2_001, 3_000), Err(Cause::ResultsTooLarge { limit_bytes: 5_000 }));
        assert_eq!(sizes(2_000, 2_000), Ok(4_000));
        assert_eq!(results.measure(1_000), Ok(5_000));
        let with_poses = results.measure(1_001);
        assert_eq!(with_poses, Err(Cause::ResultsTooLarge { limit_bytes: 5_000 }));
    }
}
