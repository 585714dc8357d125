//! Writes the manual pages and shell completions that the package installs, from the command line
//! as it is declared: `manual DIR`.

use anyhow::{Context, Result};
use bodyscript::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: manual DIR")?;
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
    clap_mangen::generate_to(Cli::command(), &folder).context("manual pages")?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "bodyscript", &folder)
            .with_context(|| format!("completions for {shell}"))?;
    }
    Ok(())
}
