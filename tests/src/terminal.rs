//! A terminal of a given width for a program, and what is left on its screen. The terminal is that of `script` (util-linux).

use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a program with a terminal of so many columns as its standard output and error.
pub fn run_in_terminal(
    columns: usize,
    folder: &Path,
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
) -> Result<Output> {
    let words = std::iter::once(program.as_os_str()).chain(arguments.iter().map(AsRef::as_ref));
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let line = format!("stty rows 24 cols {columns}; exec {}", words.join(" "));
    Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .current_dir(folder)
        .output()
        .context("script cannot be run")
}

/// The lines on a screen after some output, each character in a column of its own.
#[derive(Debug, Default)]
pub struct Screen {
    columns: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// The number of lines that were ever written to: a line that is too long for the screen takes several.
    pub height: usize,
    /// Whether lines were erased, as a display of progress does.
    pub has_erased: bool,
}

impl Screen {
    /// What a terminal of so many columns shows after this output.
    pub fn after(output: &[u8], columns: usize) -> Self {
        let text = String::from_utf8_lossy(output);
        let mut screen = Self { columns, ..Self::default() };
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => screen.column = 0,
                '\n' => screen.row += 1,
                '\u{1b}' => {
                    let mut sequence = String::new();
                    for character in characters.by_ref().skip(1) {
                        sequence.push(character);
                        if character.is_alphabetic() {
                            break;
                        }
                    }
                    screen.obey(&sequence);
                }
                printed => screen.put(printed),
            }
        }
        screen
    }

    /// The lines with something on them.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.iter().map(|line| line.iter().collect::<String>());
        lines.map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, printed: char) {
        // The cursor stays at the end of a full line until another character comes.
        if self.column == self.columns {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let column = self.column;
        let line = self.line();
        line.resize(line.len().max(column + 1), ' ');
        line[column] = printed;
        self.column += 1;
        self.height = self.height.max(self.row + 1);
    }

    /// A control sequence, without its introducer.
    fn obey(&mut self, sequence: &str) {
        let number = || sequence.trim_end_matches(char::is_alphabetic).parse().unwrap_or(1);
        match sequence.chars().last() {
            Some('A') => self.row = self.row.saturating_sub(number()),
            Some('B') => self.row += number(),
            Some('C') => self.column += number(),
            Some('D') => self.column = self.column.saturating_sub(number()),
            Some('K') => {
                // 2 erases the whole line, none what is right of the cursor.
                let from = if sequence == "2K" { 0 } else { self.column };
                self.line().truncate(from);
                self.has_erased = true;
            }
            // Colours, and whether the cursor is seen.
            _ => {}
        }
    }
}
