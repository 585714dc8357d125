//! Lines that reach whoever runs the tests: the harness swallows what print macros write in a
//! test that passes.

use std::fs::OpenOptions;
use std::io::Write;

/// Variable that names a file where what was skipped is written down, for `make test` to count.
const LIST: &str = "SKIPPED_CHECKS";

/// Says one line.
pub fn print_line(line: &str) {
    // Past the harness. Nobody may be reading, which is no fault of a test.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Says what is not tested here, by its name in `tests/skips.txt`, and why.
///
/// # Panics
/// It cannot be written down: a skip that nobody counts would pass for a test.
pub fn skipped(name: &str, why: &str) {
    print_line(&format!("SKIPPED {name}: {why}"));
    if let Some(list) = std::env::var_os(LIST) {
        let line = format!("{name}: {why}\n");
        let file = OpenOptions::new().append(true).create(true).open(list);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("what was skipped is written down");
    }
}
