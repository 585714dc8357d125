//! Lines that are shown even if a test passes, when the test harness captures the output of print macros.

use std::fs::OpenOptions;
use std::io::Write;

/// Variable that names a file to which skips are appended, for `make test` to count.
const LIST: &str = "SKIPPED_CHECKS";

/// Prints one line.
pub fn print_line(line: &str) {
    // Not captured by the harness. If the reader has gone, the test does not fail.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Reports a skip by its name in `tests/skips.txt`, with the reason.
///
/// # Panics
/// If it cannot be appended to the list: an uncounted skip would look like a passed test.
pub fn skipped(name: &str, why: &str) {
    print_line(&format!("SKIPPED {name}: {why}"));
    if let Some(list) = std::env::var_os(LIST) {
        let line = format!("{name}: {why}\n");
        let file = OpenOptions::new().append(true).create(true).open(list);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("the list of skips is writable");
    }
}
