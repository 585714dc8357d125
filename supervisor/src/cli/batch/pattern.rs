//! Patterns of file names, for shells without them and for arguments in quotes: `*`, `?`, `[a-z]` and `[!a]` within a
//! name, `**` for any number of folders. As in a shell, only a dot matches the dot of a hidden name.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A pattern: the folder before its first special character, and the names after it.
#[derive(Debug, PartialEq)]
pub(crate) struct Pattern {
    pub(crate) folder: PathBuf,
    names: Vec<String>,
}

impl Pattern {
    /// The pattern in a path, if there is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let is_special =
            |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        let parts: Vec<_> = path.components().collect();
        let first = parts.iter().position(is_special)?;
        let (folder, names) = parts.split_at(first);
        let names = names.iter().map(|part| part.as_os_str().to_string_lossy().into_owned());
        Some(Self { folder: folder.iter().collect(), names: names.collect() })
    }

    /// What it matches, in the order of the names. A folder that cannot be listed matches nothing.
    pub(crate) fn matches(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        descend(&self.folder, &self.names, &mut found);
        found.sort();
        found.dedup();
        found
    }
}

fn descend(folder: &Path, names: &[String], found: &mut Vec<PathBuf>) {
    let Some((name, rest)) = names.split_first() else { return };
    let is_deep = name == "**";
    if is_deep && !rest.is_empty() {
        descend(folder, rest, found);
    }
    for path in entries(folder).unwrap_or_default() {
        let entry = path.file_name().unwrap_or_default().to_string_lossy();
        let is_hidden = entry.starts_with('.') && !name.starts_with('.');
        if is_hidden || !(is_deep || matches(name, &entry)) {
            continue;
        }
        // Links to folders are followed where they are named, so that no cycle is followed for ever.
        if is_deep && path.is_dir() && !path.is_symlink() {
            descend(&path, names, found);
        } else if !is_deep && !rest.is_empty() && path.is_dir() {
            descend(&path, rest, found);
        } else if rest.is_empty() {
            found.push(path);
        }
    }
}

/// What is in a folder, in the order of the names. The folder "" is the current one, which the paths do not name.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let path = |entry: io::Result<fs::DirEntry>| Ok(folder.join(entry?.file_name()));
    let mut entries: Vec<_> = fs::read_dir(listed)?.map(path).collect::<io::Result<_>>()?;
    entries.sort();
    Ok(entries)
}

fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where to go on if the names differ: after the latest `*`, which then stands for one character more.
    let mut star = None;
    while read < name.len() {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, read));
        } else if let Some(length) = one(&pattern[at..], name[read]) {
            at += length;
            read += 1;
        } else if let Some((after, from)) = star {
            (at, read) = (after, from + 1);
            star = Some((after, from + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Characters of the pattern that stand for this one character of a name.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', set @ ..] => {
            let is_negated = matches!(set, ['!' | '^', ..]);
            let set = &set[usize::from(is_negated)..];
            // A bracket that is first is a member of the set; without an end it stands for itself.
            let Some(end) = set.iter().skip(1).position(|c| *c == ']').map(|end| end + 1) else {
                return (c == '[').then_some(1);
            };
            let is_member = contains(&set[..end], c);
            (is_member != is_negated).then_some(end + 2 + usize::from(is_negated))
        }
        [first, ..] => (*first == c).then_some(1),
        [] => None,
    }
}

fn contains(mut set: &[char], c: char) -> bool {
    while let [first, rest @ ..] = set {
        if let ['-', last, after @ ..] = rest {
            if (*first..=*last).contains(&c) {
                return true;
            }
            set = after;
        } else if *first == c {
            return true;
        } else {
            set = rest;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.mp4", "walk.mp4", true),
            ("*.mp4", "walk.mp4.txt", false),
            ("*", "", true),
            ("w*k*.m?4", "walk back.mp4", true),
            ("*a*b", "aab-ab", true),
            ("*a*b", "aabc", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("?", "é", true),
            ("??", "é", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_is_split_at_its_first_special_name() {
        let pattern = Pattern::of(Path::new("/videos/day?/*.mp4")).expect("a pattern");
        assert_eq!(pattern.folder, Path::new("/videos"));
        assert_eq!(pattern.names, ["day?", "*.mp4"]);
        assert_eq!(Pattern::of(Path::new("/videos/walk.mp4")), None);
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
    }
}
