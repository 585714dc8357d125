//! The arguments that the commands on several videos share.

use clap::Args;

/// What to do about results that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Skip,
    Replace,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Quiet,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExistingArgs {
    /// Replace results that exist, each folder as a whole
    #[arg(short, long, conflicts_with = "skip_existing", requires = "output")]
    force: bool,
    /// Skip videos that have their results already
    #[arg(long, requires = "output")]
    skip_existing: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// Print errors only
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Print one line of JSON for each video
    #[arg(long)]
    json: bool,
}

impl ExistingArgs {
    pub(crate) const fn policy(&self) -> Existing {
        match self {
            Self { force: true, .. } => Existing::Replace,
            Self { skip_existing: true, .. } => Existing::Skip,
            Self { .. } => Existing::Refuse,
        }
    }
}

impl FormatArgs {
    pub(crate) const fn format(&self) -> Format {
        match self {
            Self { json: true, .. } => Format::Json,
            Self { quiet: true, .. } => Format::Quiet,
            Self { .. } => Format::Text,
        }
    }
}
