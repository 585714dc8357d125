//! Chooses what a command processes: reports names that are no videos, gives each video a place for its results, and leaves
//! out those that have them.

use crate::cli::batch::arguments::{Existing, Format};
use crate::cli::batch::error::{BatchError, shown};
use crate::cli::batch::progress::{self, Progress};
use crate::cli::batch::report::{Outcome, Report, Subject};
use crate::cli::batch::videos::{Found, Unusable, Video};
use crate::cli::batch::{existing, places};
use bodyscript_protocol::formats::Formats;
use std::path::{Path, PathBuf};

/// A video to process.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) video: Video,
    /// The place of its results below the output folder, if they are saved.
    pub(crate) place: PathBuf,
    pub(crate) subject: Subject,
}

/// What to process, and a report that has the rest already.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) chosen: Vec<Chosen>,
    pub(crate) report: Report,
    pub(crate) progress: Progress,
}

/// Chooses among the videos found; an error if the command may not begin.
pub(crate) fn select(
    found: Found,
    output: Option<&Path>,
    formats: Formats,
    policy: Existing,
    format: Format,
) -> Result<Selection, BatchError> {
    let total = found.videos.len() + found.unusable.len();
    let placed = match output {
        Some(output) => place(found.videos, output, formats, policy)?,
        None => found.videos.into_iter().map(|video| (unplaced(video), true)).collect(),
    };
    let shows_progress = format != Format::Quiet && progress::can_be_shown();
    let progress = if shows_progress { Progress::on(total) } else { Progress::off() };
    let mut report = Report::new(format, progress.clone(), total);
    for Unusable { path, reason } in &found.unusable {
        let error = format!("cannot be read: {reason}");
        let subject = Subject { video: shown(path), results: None };
        report.add(&subject.ended(Outcome::Unreadable { error }));
    }
    let (chosen, skipped): (Vec<_>, Vec<_>) =
        placed.into_iter().partition(|(_, is_processed)| *is_processed);
    for (skipped, _) in skipped {
        report.add(&skipped.subject.ended(Outcome::Skipped));
    }
    let chosen = chosen.into_iter().map(|(chosen, _)| chosen).collect();
    Ok(Selection { chosen, report, progress })
}

fn unplaced(video: Video) -> Chosen {
    let subject = Subject { video: shown(&video.path), results: None };
    Chosen { video, place: PathBuf::new(), subject }
}

/// The videos with their places, and whether each is to be processed.
fn place(
    videos: Vec<Video>,
    output: &Path,
    formats: Formats,
    policy: Existing,
) -> Result<Vec<(Chosen, bool)>, BatchError> {
    let places = places::assign(&videos).map_err(BatchError::SamePlace)?;
    let is_processed = existing::to_process(output, &places, formats, policy)?;
    let chosen = |(video, place): (Video, PathBuf)| {
        let results = Some(shown(&output.join(&place)));
        let subject = Subject { video: shown(&video.path), results };
        Chosen { video, place, subject }
    };
    Ok(videos.into_iter().zip(places).map(chosen).zip(is_processed).collect())
}
