//! Output of the commands, on standard output and standard error.
//!
//! Commands do not use the print macros, which panic when the reader of a pipe has exited
//! (`bodyscript config show | head -1`) or the disk behind a redirection is full.

use std::io::{self, ErrorKind, Write};

/// Writes to standard output. A closed pipe is not an error.
pub(crate) fn out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard error; a failure cannot be reported anywhere.
pub(crate) fn err(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
