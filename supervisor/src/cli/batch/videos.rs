//! Finds the videos that the arguments of `bodyscript run` name: files, what is in folders, what patterns match, and
//! standard input.

use crate::cli::batch::pattern::{Pattern, is_hidden};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The argument that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Endings of the names that are taken for videos in a folder. A file that is named is a video whatever its name.
const EXTENSIONS: [&str; 34] = [
    "mp4", "m4v", "mov", "qt", "3gp", "3g2", "mj2", "mkv", "webm", "avi", "wmv", "asf", "ts",
    "mts", "m2ts", "m2t", "mpg", "mpeg", "vob", "flv", "f4v", "ogv", "ogg", "mxf", "dv", "y4m",
    "gif", "apng", "h264", "264", "h265", "265", "hevc", "avc",
];

/// A video, and what its results are named after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Video {
    /// As it was named.
    pub(crate) path: PathBuf,
    /// The same file without links; for standard input, one that is named like its results.
    pub(crate) absolute: PathBuf,
    /// Its path below the folder or pattern that was searched; only a name if it was named itself.
    pub(crate) below: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    File,
    StandardInput,
}

/// A name that gives no video.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) path: PathBuf,
    pub(crate) reason: io::Error,
}

/// What the arguments name, each file once.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) videos: Vec<Video>,
    pub(crate) unusable: Vec<Unusable>,
    seen: HashSet<PathBuf>,
}

/// Finds the videos. What is in the output folder are results, and no videos to process.
pub(crate) fn find(arguments: &[PathBuf], output: &Path, stdin_name: &Path) -> Found {
    let mut found = Found::default();
    let output = fs::canonicalize(output).ok();
    for path in arguments {
        let pattern = Pattern::of(path).filter(|_| !path.exists());
        if path.as_os_str() == STANDARD_INPUT {
            found.add_standard_input(stdin_name);
        } else if let Some(pattern) = pattern {
            let mut matches = pattern.matches();
            if let Some(output) =
                output.as_deref().filter(|output| is_below(output, &pattern.folder))
            {
                matches.retain(|path| {
                    !fs::canonicalize(path).is_ok_and(|path| path.starts_with(output))
                });
            }
            if matches.is_empty() {
                found.refuse(path, io::Error::other("no file matches this pattern"));
            }
            for path in matches {
                found.add(&path, &pattern.folder, output.as_deref());
            }
        } else if arguments.len() > 1 && output.is_some() && fs::canonicalize(path).ok() == output {
            // A pattern of the shell matches the output folder too: it is left out.
        } else {
            // A folder has its videos below itself; a file is below the folder that it is in.
            let is_folder = path.is_dir();
            let base = if is_folder { Some(path.as_path()) } else { path.parent() };
            found.add(path, base.unwrap_or(Path::new("")), output.as_deref());
        }
    }
    found
}

/// Whether the output folder is within this folder, and not the folder itself.
fn is_below(output: &Path, folder: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::canonicalize(folder).is_ok_and(|folder| output != folder && output.starts_with(folder))
}

/// Whether files in a folder with this name are taken for videos.
fn has_video_extension(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}

/// What is in a folder, in the order of the names.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let path = |entry: io::Result<fs::DirEntry>| Ok(entry?.path());
    let mut entries: Vec<_> = fs::read_dir(folder)?.map(path).collect::<io::Result<_>>()?;
    entries.sort();
    Ok(entries)
}

impl Found {
    fn refuse(&mut self, path: &Path, reason: io::Error) {
        self.unusable.push(Unusable { path: path.to_owned(), reason });
    }

    /// Takes out standard input, for a command that cannot use it.
    pub(crate) fn refuse_standard_input(&mut self, reason: &'static str) {
        let before = self.videos.len();
        self.videos.retain(|video| video.origin == Origin::File);
        if self.videos.len() < before {
            self.refuse(Path::new(STANDARD_INPUT), io::Error::other(reason));
        }
    }

    fn add_standard_input(&mut self, name: &Path) {
        let absolute = fs::canonicalize(".").unwrap_or_default().join(name);
        if self.seen.insert(STANDARD_INPUT.into()) {
            self.videos.push(Video {
                path: STANDARD_INPUT.into(),
                absolute,
                below: name.to_owned(),
                bytes: 0,
                origin: Origin::StandardInput,
            });
        }
    }

    /// Adds a file, or the videos in a folder.
    fn add(&mut self, path: &Path, base: &Path, output: Option<&Path>) {
        if !path.is_dir() {
            return self.add_file(path, base);
        }
        let before = (self.videos.len(), self.unusable.len());
        self.add_folder(path, base, output);
        if before == (self.videos.len(), self.unusable.len()) {
            let reason = "this folder has no file with a known ending of videos, such as .mp4";
            self.refuse(path, io::Error::other(reason));
        }
    }

    fn add_folder(&mut self, folder: &Path, base: &Path, output: Option<&Path>) {
        if output.is_some() && fs::canonicalize(folder).ok().as_deref() == output {
            return;
        }
        let entries = match entries(folder) {
            Ok(entries) => entries,
            Err(reason) => return self.refuse(folder, reason),
        };
        for path in entries.iter().filter(|path| !is_hidden(path)) {
            // A link to a folder could lead back to this one.
            if path.is_dir() && !path.is_symlink() {
                self.add_folder(path, base, output);
            } else if path.is_file() && has_video_extension(path) {
                self.add_file(path, base);
            }
        }
    }

    fn add_file(&mut self, path: &Path, base: &Path) {
        match open(path) {
            Ok((absolute, bytes)) => {
                if self.seen.insert(absolute.clone()) {
                    let below = path.strip_prefix(base).unwrap_or(path).to_owned();
                    let path = path.to_owned();
                    self.videos.push(Video { path, absolute, below, bytes, origin: Origin::File });
                }
            }
            Err(reason) => self.refuse(path, reason),
        }
    }
}

/// The path without links and the size of a file that can be read.
fn open(path: &Path) -> io::Result<(PathBuf, u64)> {
    // First, because opening a pipe would block; then open, because a file may exist but be unreadable.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)?;
    Ok((fs::canonicalize(path)?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(found: &Found) -> Vec<&Path> {
        found.videos.iter().map(|video| video.below.as_path()).collect()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["day1", "out/walk", ".trash"] {
            fs::create_dir_all(folder.path().join(name)).expect("made");
        }
        let videos =
            ["run.MOV", "day1/walk.mp4", "out/walk/output.mp4", ".trash/old.mp4", "notes.txt"];
        for name in videos {
            fs::write(folder.path().join(name), name).expect("written");
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("day1/again"))
            .expect("a link");
        folder
    }

    #[test]
    fn a_folder_gives_its_videos_but_no_results_and_hidden_files() {
        let folder = folder();
        let find =
            |arguments: &[PathBuf]| find(arguments, &folder.path().join("out"), Path::new("stdin"));
        let found = find(&[folder.path().into()]);
        assert_eq!(below(&found), [Path::new("day1/walk.mp4"), Path::new("run.MOV")]);
        assert!(found.unusable.is_empty());
        let trash = find(&[folder.path().join(".trash"), folder.path().join("out")]);
        assert_eq!(below(&trash), [Path::new("old.mp4")]);
        assert!(trash.unusable.is_empty());
        let deep = find(&[folder.path().join("**/*.mp4")]);
        assert_eq!(below(&deep), [Path::new("day1/walk.mp4")]);
        let results = find(&[folder.path().join("out/*/*.mp4")]);
        assert_eq!(below(&results), [Path::new("walk/output.mp4")]);
        let empty = find(&[folder.path().join("out")]);
        assert!(empty.unusable[0].reason.to_string().contains("no file"));
    }

    #[test]
    fn a_file_that_is_named_twice_is_one_video_and_a_missing_one_is_told() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        let arguments =
            ["notes.txt", "missing.mp4", "day1/*.mp4", "day1/walk.mp4", "day1/again/run.MOV"]
                .map(path);
        let found = find(&arguments, &path("out"), Path::new("stdin"));
        assert_eq!(below(&found), ["notes.txt", "walk.mp4", "run.MOV"].map(Path::new));
        assert_eq!(found.videos[0].bytes, "notes.txt".len() as u64);
        assert_eq!(found.unusable.len(), 1);
        assert_eq!(found.unusable[0].path, path("missing.mp4"));
    }
}
