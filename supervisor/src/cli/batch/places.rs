//! Where the results of each video go, below the output folder: `<stem>` for a file that is named, `<path>/<stem>` for
//! one in a folder that is named. Videos whose results would collide get longer names.

use crate::cli::batch::videos::{Origin, Video};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How much of a video's path its results are named after; the next one is tried if two collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// As short as it gets.
    Stem,
    /// With the folders that tell the videos apart.
    Folders,
    /// With the ending of the file's name too.
    Ending,
}

impl Naming {
    const fn longer(self) -> Self {
        match self {
            Self::Stem => Self::Folders,
            Self::Folders | Self::Ending => Self::Ending,
        }
    }
}

/// The folder of each video's results, none of which contains another; the first that two videos share, if even the
/// longest names collide.
pub(crate) fn assign(videos: &[Video]) -> Result<Vec<PathBuf>, PathBuf> {
    let common = common_folder(videos);
    let mut namings = vec![Naming::Stem; videos.len()];
    loop {
        let places: Vec<_> = videos
            .iter()
            .zip(&namings)
            .map(|(video, naming)| place(video, *naming, &common))
            .collect();
        let colliding = colliding(&places);
        let Some(first) = colliding.first() else { return Ok(places) };
        if colliding.iter().all(|at| namings[*at] == Naming::Ending) {
            return Err(places[*first].clone());
        }
        for at in colliding {
            namings[at] = namings[at].longer();
        }
    }
}

fn place(video: &Video, naming: Naming, common: &Path) -> PathBuf {
    let path = match naming {
        Naming::Stem => &video.below,
        Naming::Folders | Naming::Ending => {
            video.absolute.strip_prefix(common).unwrap_or(&video.below)
        }
    };
    match (video.origin, naming) {
        (Origin::File, Naming::Stem | Naming::Folders) => path.with_extension(""),
        (Origin::StandardInput, _) | (_, Naming::Ending) => path.to_owned(),
    }
}

/// The innermost folder in which all videos are.
fn common_folder(videos: &[Video]) -> PathBuf {
    let folder_of = |video: &Video| video.absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let mut folders = videos.iter().map(folder_of);
    let first = folders.next().unwrap_or_default();
    folders.fold(first, |common, folder| {
        let parts = common.components().zip(folder.components());
        parts.take_while(|(one, other)| one == other).map(|(part, _)| part).collect()
    })
}

/// Those that are equal to another, or in which another is.
fn colliding(places: &[PathBuf]) -> Vec<usize> {
    let mut by_place: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        by_place.entry(place).or_default().push(at);
    }
    let mut found: Vec<usize> =
        by_place.values().filter(|shared| shared.len() > 1).flatten().copied().collect();
    for place in by_place.keys() {
        let outer = place.ancestors().skip(1).filter_map(|folder| by_place.get(folder));
        found.extend(outer.flatten());
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(absolute: &str, below: &str) -> Video {
        Video {
            path: absolute.into(),
            absolute: absolute.into(),
            below: below.into(),
            bytes: 0,
            origin: Origin::File,
        }
    }

    fn named(absolute: &str) -> Video {
        let name = Path::new(absolute).file_name().expect("a name");
        video(absolute, &name.to_string_lossy())
    }

    fn places(videos: &[Video]) -> Vec<String> {
        let places = assign(videos).expect("no collision is left");
        places.iter().map(|place| place.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_that_is_named_has_its_stem_and_one_in_a_folder_its_path() {
        assert_eq!(places(&[named("/v/walk.1.mp4"), named("/w/run.mov")]), ["walk.1", "run"]);
        assert_eq!(places(&[video("/v/day1/walk.mp4", "day1/walk.mp4")]), ["day1/walk"]);
    }

    #[test]
    fn equal_names_get_the_folders_that_differ_or_their_endings() {
        let days = [named("/v/day1/walk.mp4"), named("/v/day2/walk.mp4"), named("/v/day1/run.mp4")];
        assert_eq!(places(&days), ["day1/walk", "day2/walk", "run"]);
        assert_eq!(places(&[named("/v/walk.mp4"), named("/v/walk.mov")]), ["walk.mp4", "walk.mov"]);
    }

    #[test]
    fn no_results_are_within_those_of_another_video() {
        let nested = [video("/v/walk.mp4", "walk.mp4"), video("/v/walk/a.mp4", "walk/a.mp4")];
        assert_eq!(places(&nested), ["walk.mp4", "walk/a"]);
    }

    #[test]
    fn standard_input_keeps_its_name_and_can_collide_with_a_file_without_an_ending() {
        let stdin = |name: &str| Video {
            origin: Origin::StandardInput,
            ..video(&format!("/v/{name}"), name)
        };
        assert_eq!(places(&[stdin("a.b"), named("/v/walk.mp4")]), ["a.b", "walk"]);
        assert_eq!(places(&[stdin("walk"), named("/v/walk.mp4")]), ["walk", "walk.mp4"]);
        assert_eq!(assign(&[stdin("walk"), named("/v/walk")]), Err("walk".into()));
    }
}
