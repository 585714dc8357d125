//! Tables in committed documents that a run replaces: what stands between two comments.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// The line after the last of a table.
const END: &str = "<!-- End. -->";

/// The line before the table of this name.
fn begin(name: &str) -> String {
    format!("<!-- Replaced by `make bench`: {name}. -->")
}

/// Replaces the table of this name in the document.
pub(crate) fn write(document: &Path, name: &str, table: &str) -> Result<()> {
    let at = || document.display().to_string();
    let text = fs::read_to_string(document).with_context(at)?;
    let text = replaced(&text, name, table);
    let text = text.with_context(|| format!("{} has no place for `{name}`", at()))?;
    fs::write(document, text).with_context(at)
}

fn replaced(document: &str, name: &str, table: &str) -> Option<String> {
    let begin = begin(name);
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{begin}\n\n{table}\n{END}{after}"))
}

/// A table with a column for each heading, of which the first may be empty.
pub(crate) fn markdown(headings: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | ").trim_start());
    let mut text = line(headings);
    text += &format!("|{}\n", "---|".repeat(headings.len()));
    for row in rows {
        text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_of_the_name_is_replaced() {
        let document = format!(
            "a\n{}\n\n| old |\n\n{END}\nb\n{}\n\n| other |\n\n{END}\n",
            begin("modes"),
            begin("models")
        );
        let text = replaced(&document, "modes", "| new |\n").expect("a place");
        assert_eq!(text, document.replace("| old |", "| new |"));
        assert_eq!(replaced(&document, "filters", "| new |\n"), None);
    }

    #[test]
    fn a_table_has_a_line_for_its_headings_and_for_each_row() {
        let rows = [vec!["a".to_owned(), "1".to_owned()]];
        assert_eq!(markdown(&["", "x"], &rows), "| | x |\n|---|---|\n| a | 1 |\n");
    }
}
