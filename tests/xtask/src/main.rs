//! Build tasks that use code of the workspace: `xtask manual DIR` writes the manual pages and shell
//! completions that the package installs, from the command line as it is declared.

use anyhow::{Context, Result, bail, ensure};
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
    for page in std::fs::read_dir(folder)? {
        name_exit_statuses(&page?.path())?;
    }
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "bodyscript", folder)
            .with_context(|| format!("completions for {shell}"))?;
    }
    Ok(())
}

/// What follows the options in the help of a command are its exit statuses, for which manual pages have a section.
fn name_exit_statuses(page: &Path) -> Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {page:?}"))?;
    let named = text.replace(".SH EXTRA\nExit status:\n", ".SH \"EXIT STATUS\"\n.nf\n");
    ensure!(!named.contains("Exit status:"), "{page:?} has its exit statuses in another place");
    let named = named.replace("\n.SH VERSION", "\n.fi\n.SH VERSION");
    std::fs::write(page, named).with_context(|| format!("cannot write {page:?}"))
}
