//! Build tasks that use code of the workspace: `xtask manual DIR` writes the manual pages and shell
//! completions that the package installs, from the command line as it is declared.

use anyhow::{Context, Result, bail};
use bodyscript::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::Path;

fn main() -> Result<()> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [task, folder] if task == "manual" => write_manual(Path::new(folder)),
        _ => bail!("usage: xtask manual DIR"),
    }
}

fn write_manual(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder:?}"))?;
    clap_mangen::generate_to(Cli::command(), folder).context("manual pages")?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "bodyscript", folder)
            .with_context(|| format!("completions for {shell}"))?;
    }
    Ok(())
}
