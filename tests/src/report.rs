//! Lines that reach whoever runs the tests: the harness swallows what print macros write in a
//! test that passes.

use std::io::Write;

/// Says one line.
pub fn say(line: &str) {
    // Past the harness. Nobody may be reading, which is no fault of a test.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Says what is not tested here, and why.
pub fn skipped(what_and_why: &str) {
    say(&format!("SKIPPED: {what_and_why}"));
}
