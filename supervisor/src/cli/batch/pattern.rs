//! Patterns of file names, for shells without them and for arguments in quotes: `*`, `?`, `[a-z]` and `[!a]` within a
//! name, `**` for any number of folders. As in a shell, only a dot matches the dot of a hidden name.

use globset::{GlobBuilder, GlobMatcher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// A pattern: the folder before its first special character, and the names after it.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) folder: PathBuf,
    names: GlobMatcher,
    /// Folders below the first are not searched any deeper than this.
    depth_max: usize,
    finds_hidden: bool,
}

impl Pattern {
    /// The pattern in a path, if there is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let is_special =
            |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        let parts: Vec<_> = path.components().collect();
        let first = parts.iter().position(is_special)?;
        let (folder, names) = parts.split_at(first);
        let is_deep = names.iter().any(|part| part.as_os_str() == "**");
        let text = names.iter().collect::<PathBuf>();
        let glob = GlobBuilder::new(text.to_str()?).literal_separator(true).build().ok()?;
        Some(Self {
            folder: folder.iter().collect(),
            names: glob.compile_matcher(),
            depth_max: if is_deep { usize::MAX } else { names.len() },
            finds_hidden: names.iter().any(|part| part.as_os_str().as_bytes().starts_with(b".")),
        })
    }

    /// What it matches, in the order of the names. A folder that cannot be listed matches nothing, and links to folders are
    /// not followed, so that no cycle is followed for ever.
    pub(crate) fn matches(&self) -> Vec<PathBuf> {
        let is_current = self.folder.as_os_str().is_empty();
        let searched = if is_current { Path::new(".") } else { &self.folder };
        let is_found =
            |entry: &DirEntry| entry.depth() == 0 || self.finds_hidden || !is_hidden(entry.path());
        let search = WalkDir::new(searched).min_depth(1).max_depth(self.depth_max);
        let entries = search.sort_by_file_name().into_iter().filter_entry(is_found).flatten();
        let below =
            entries.filter_map(|entry| Some(entry.path().strip_prefix(searched).ok()?.to_owned()));
        below.filter(|name| self.names.is_match(name)).map(|name| self.folder.join(name)).collect()
    }
}

pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_pattern_is_split_at_its_first_special_name() {
        let pattern = Pattern::of(Path::new("/videos/day?/*.mp4")).expect("a pattern");
        assert_eq!(pattern.folder, Path::new("/videos"));
        assert!(
            pattern.names.is_match("day1/walk.mp4") && !pattern.names.is_match("day10/walk.mp4")
        );
        for plain in ["/videos/walk.mp4", "/videos/walk[1.mp4"] {
            assert!(Pattern::of(Path::new(plain)).is_none(), "{plain}");
        }
    }

    #[test]
    fn folders_are_searched_to_the_depth_of_the_pattern() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        for name in ["a/b", ".hidden"] {
            fs::create_dir_all(root.join(name)).expect("made");
        }
        for name in ["one.mp4", "a/two.mp4", "a/b/three.mp4", ".hidden/four.mp4", "a/five.txt"] {
            fs::write(root.join(name), "").expect("written");
        }
        let found = |pattern: &str| {
            let found = Pattern::of(&root.join(pattern)).expect("a pattern").matches();
            let below = |path: &PathBuf| path.strip_prefix(root).expect("below").to_owned();
            found.iter().map(below).collect::<Vec<_>>()
        };
        assert_eq!(found("*.mp4"), [Path::new("one.mp4")]);
        assert_eq!(found("*/*.mp4"), [Path::new("a/two.mp4")]);
        let all = ["a/b/three.mp4", "a/two.mp4", "one.mp4"].map(PathBuf::from);
        assert_eq!(found("**/*.mp4"), all);
        std::os::unix::fs::symlink(root, root.join("a/again")).expect("a link");
        assert_eq!(found("**/*.mp4"), all, "a cycle ends");
        assert_eq!(found(".h*/*.mp4"), [Path::new(".hidden/four.mp4")]);
    }
}
