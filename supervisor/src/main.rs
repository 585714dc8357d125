//! The program `bodyscript`: executes the command line, and prints why a command failed.

use bodyscript::{Cli, print_error};
use clap::Parser;
use std::process::ExitCode;

/// Exit status if the command could not run; 1 means that some of the videos failed.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(status) => status,
        Err(error) => {
            print_error(&error);
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}
