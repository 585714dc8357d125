//! What a command tells people, on standard output and standard error.
//!
//! Commands print through here and not with the print macros, which panic when nobody reads any
//! more (`bodyscript config show | head -1`) or when the disk behind a redirection is full.

use std::io::{self, ErrorKind, Write};

/// Writes to standard output. That a reader has gone is no fault of the command.
pub(crate) fn out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard error, the last place to complain in.
pub(crate) fn err(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
