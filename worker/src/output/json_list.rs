//! A list in a JSON document that is written entry by entry, each on a line of its own.

use serde::Serialize;
use std::io::{self, Write};

/// The list so far.
#[derive(Debug, Default)]
pub(super) struct JsonList {
    has_entries: bool,
}

impl JsonList {
    /// Writes the next entry after what separates it from the one before.
    pub(super) fn push<T: Serialize>(
        &mut self,
        file: &mut impl Write,
        entry: &T,
    ) -> io::Result<()> {
        let has_entries = std::mem::replace(&mut self.has_entries, true);
        file.write_all(if has_entries { b",\n" } else { b"\n" })?;
        serde_json::to_writer(file, entry).map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_separated_and_the_first_follows_nothing() {
        let (mut list, mut file) = (JsonList::default(), Vec::new());
        for entry in [[1, 2], [3, 4]] {
            list.push(&mut file, &entry).expect("room");
        }
        assert_eq!(file, b"\n[1,2],\n[3,4]");
    }
}
