//! Results that exist before a run: which videos are skipped, and what the run may not begin with. Nothing is ever mixed:
//! a folder of results is written once, as a whole.

use crate::cli::batch::arguments::Existing;
use crate::cli::batch::error::{BatchError, shown};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::formats::Formats;
use std::fs;
use std::io;
use std::path::Path;

/// Folders that a refusal lists.
const LISTED_MAX: usize = 5;

/// What is in the place of the results of a video.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing, or an empty folder.
    Free,
    /// Results, among them all that are asked for, or not.
    Results { is_complete: bool },
    /// Something that this program did not write: a file, or a folder with this in it.
    Occupied(String),
}

/// Looks at the place of results, and at the folders between it and the output folder.
pub(crate) fn state(output: &Path, place: &Path, formats: Formats) -> io::Result<State> {
    for folder in place.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        if let Some(reason) = obstacle(&output.join(folder))? {
            return Ok(State::Occupied(reason));
        }
    }
    let target = output.join(place);
    let Some(names) = names(&target)? else {
        return Ok(State::Occupied(format!("{} is no folder", shown(&target))));
    };
    if names.is_empty() {
        // A folder of results cannot be renamed to a link, whatever it leads to.
        let reason = format!("{} is a link", shown(&target));
        return Ok(if target.is_symlink() { State::Occupied(reason) } else { State::Free });
    }
    if let Some(other) = names.iter().find(|name| Artefact::from_file_name(name).is_none()) {
        let other = shown(Path::new(other));
        return Ok(State::Occupied(format!("{} has {other}, which is no result", shown(&target))));
    }
    let is_there = |artefact: Artefact| names.iter().any(|name| name == artefact.file_name());
    Ok(State::Results { is_complete: formats.iter().all(is_there) })
}

/// Why there can be no results below this folder.
fn obstacle(folder: &Path) -> io::Result<Option<String>> {
    let Some(names) = names(folder)? else {
        return Ok(Some(format!("{} is no folder", shown(folder))));
    };
    let is_result = names.iter().any(|name| Artefact::from_file_name(name).is_some());
    Ok(is_result.then(|| format!("{} has results of another video", shown(folder))))
}

/// The names in a folder, none if it does not exist; `None` if it is something else.
fn names(folder: &Path) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Vec::new())),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error),
    };
    let name =
        |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect::<io::Result<_>>().map(Some)
}

/// Whether each video is to be processed; an error if the run may not begin.
pub(crate) fn to_process(
    output: &Path,
    places: &[impl AsRef<Path>],
    formats: Formats,
    policy: Existing,
) -> Result<Vec<bool>, BatchError> {
    let (mut existing, mut occupied) = (Vec::new(), Vec::new());
    let mut decide = |place: &Path| -> Result<bool, BatchError> {
        let target = output.join(place);
        let state = state(output, place, formats).map_err(BatchError::output("read", &target))?;
        match (state, policy) {
            (State::Free, _) | (State::Results { .. }, Existing::Replace) => return Ok(true),
            (State::Results { is_complete: true }, Existing::Skip) => return Ok(false),
            (State::Results { is_complete: false }, Existing::Skip) => {
                existing.push(format!("{} has other results than these", shown(&target)));
            }
            (State::Results { .. }, Existing::Refuse) => {
                existing.push(format!("{} has results already", shown(&target)));
            }
            (State::Occupied(reason), _) => occupied.push(reason),
        }
        Ok(false)
    };
    let chosen = places.iter().map(|place| decide(place.as_ref())).collect::<Result<_, _>>()?;
    match (existing.is_empty(), occupied.is_empty()) {
        (true, true) => Ok(chosen),
        (_, false) => Err(BatchError::Occupied(list(&occupied))),
        (false, true) => Err(BatchError::Existing(list(&existing))),
    }
}

fn list(reasons: &[String]) -> String {
    let mut lines: Vec<_> = reasons.iter().take(LISTED_MAX).cloned().collect();
    if reasons.len() > LISTED_MAX {
        lines.push(format!("and {} more", reasons.len() - LISTED_MAX));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, files) in [
            ("empty", &[][..]),
            ("table", &["pose_data.csv"]),
            ("photos", &["pose_data.csv", "beach.jpg"]),
        ] {
            fs::create_dir(folder.path().join(name)).expect("made");
            for file in files {
                fs::write(folder.path().join(name).join(file), "").expect("written");
            }
        }
        fs::write(folder.path().join("file"), "").expect("written");
        folder
    }

    #[test]
    fn only_a_folder_of_results_alone_counts_as_results() {
        let output = output();
        std::os::unix::fs::symlink("empty", output.path().join("link")).expect("a link");
        let csv: Formats = "csv".parse().expect("known");
        let state = |place| state(output.path(), Path::new(place), csv).expect("readable");
        assert_eq!(state("absent"), State::Free);
        assert_eq!(state("absent/deep"), State::Free);
        assert_eq!(state("empty"), State::Free);
        assert_eq!(state("table"), State::Results { is_complete: true });
        for (place, word) in [
            ("photos", "beach.jpg"),
            ("file", "no folder"),
            ("link", "a link"),
            ("file/deep", "no folder"),
            ("table/deep", "another video"),
        ] {
            let State::Occupied(reason) = state(place) else { panic!("{place} is free") };
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn the_policy_decides_about_results_and_about_nothing_else() {
        let output = output();
        let (csv, both): (Formats, Formats) =
            ("csv".parse().expect("known"), "csv,json".parse().expect("known"));
        let decide = |place, formats, policy| to_process(output.path(), &[place], formats, policy);
        for policy in [Existing::Refuse, Existing::Skip, Existing::Replace] {
            assert_eq!(decide("empty", csv, policy).expect("free"), [true]);
            assert!(matches!(decide("photos", csv, policy), Err(BatchError::Occupied(_))));
        }
        assert_eq!(decide("table", csv, Existing::Skip).expect("skipped"), [false]);
        assert_eq!(decide("table", both, Existing::Replace).expect("replaced"), [true]);
        for (formats, policy) in [(csv, Existing::Refuse), (both, Existing::Skip)] {
            assert!(matches!(decide("table", formats, policy), Err(BatchError::Existing(_))));
        }
    }
}
