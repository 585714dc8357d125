//! `bodyscript`: reads the command line, does what it asks, tells how it went.

use bodyscript::{Cli, complain};
use clap::Parser;
use std::process::ExitCode;

/// Exit status when nothing could be done, as opposed to 1: some of the videos failed.
const UNABLE: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(status) => status,
        Err(error) => {
            complain(&error);
            ExitCode::from(UNABLE)
        }
    }
}
