//! The examples in `gallery_dir`: `CATEGORY/EXAMPLE/`, each a folder of results as `bodyscript run` writes them.

use bodyscript_protocol::artefact::Artefact;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum number of folders that are looked at in a folder; the others are ignored.
const FOLDERS_MAX: usize = 200;

/// Maximum size of a metadata.json that is read, in bytes.
const METADATA_BYTES_MAX: u64 = 1 << 20;

/// The files of an example that are served, without which it is none.
pub(super) const FILES: [Artefact; 3] = [Artefact::Thumbnail, Artefact::Preview, Artefact::Video];

/// A folder with the files of an example.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) category: String,
    pub(super) name: String,
    folder: PathBuf,
}

impl Example {
    /// The path of one of its files.
    pub(super) fn path(&self, file: Artefact) -> PathBuf {
        self.folder.join(file.file_name())
    }

    /// What its metadata.json says; none if it has none that can be read.
    pub(super) fn facts(&self) -> Option<Facts> {
        let mut text = Vec::new();
        let file = File::open(self.path(Artefact::Metadata)).ok()?;
        file.take(METADATA_BYTES_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// The part of metadata.json that a gallery shows.
#[derive(Debug, Deserialize)]
pub(super) struct Facts {
    pub(super) video: VideoFacts,
    pub(super) statistics: Totals,
}

#[derive(Debug, Deserialize)]
pub(super) struct VideoFacts {
    pub(super) duration_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Totals {
    pub(super) detection_rate: f64,
}

/// All examples, by category and name.
pub(super) fn read(gallery: &Path) -> io::Result<Vec<Example>> {
    let mut examples = Vec::new();
    for category in folders(gallery)? {
        for name in folders(&gallery.join(&category))? {
            let folder = gallery.join(&category).join(&name);
            if FILES.iter().all(|file| folder.join(file.file_name()).is_file()) {
                examples.push(Example { category: category.clone(), name, folder });
            }
        }
    }
    Ok(examples)
}

/// The names of the folders in a folder, sorted; without hidden ones and those that are not UTF-8.
fn folders(of: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(of)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'));
        if let Some(name) = name.filter(|_| entry.path().is_dir()) {
            names.push(name);
        }
    }
    names.sort();
    names.truncate(FOLDERS_MAX);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_all_files_is_an_example() {
        let gallery = tempfile::tempdir().expect("a temporary folder");
        let create = |folder: &str, files: &[Artefact]| {
            let folder = gallery.path().join(folder);
            fs::create_dir_all(&folder).expect("created");
            for file in files {
                fs::write(folder.join(file.file_name()), "x").expect("written");
            }
        };
        create("yoga/tree", &FILES);
        create("dance/waltz", &FILES);
        create("dance/.hidden", &FILES);
        create("dance/unfinished", &FILES[..2]);
        create("flat", &FILES);
        let examples = read(gallery.path()).expect("read");
        let names = examples.iter().map(|one| (one.category.as_str(), one.name.as_str()));
        assert_eq!(names.collect::<Vec<_>>(), [("dance", "waltz"), ("yoga", "tree")]);

        let waltz = &examples[0];
        assert!(waltz.facts().is_none(), "without metadata.json");
        let text =
            r#"{"video": {"duration_s": 7.5, "width": 1}, "statistics": {"detection_rate": 0.5}}"#;
        fs::write(waltz.path(Artefact::Metadata), text).expect("written");
        let facts = waltz.facts().expect("read");
        assert_eq!((facts.video.duration_s, facts.statistics.detection_rate), (Some(7.5), 0.5));
        assert!(read(&gallery.path().join("nowhere")).is_err());
    }
}
