//! The arguments of `bodyscript upload`.

use crate::cli::batch::arguments::{ExistingArgs, FormatArgs};
use crate::cli::job_options::JobOptions;
use clap::Args;
use std::path::PathBuf;

/// What to upload, and where to.
#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// Address of the service, such as http://127.0.0.1:8000
    #[arg(value_name = "URL", value_hint = clap::ValueHint::Url)]
    pub(crate) url: String,
    /// Videos, folders of videos, or patterns ('day1/*.mp4')
    #[arg(required = true, value_name = "VIDEO", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) videos: Vec<PathBuf>,
    /// Wait until the videos are processed
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// Wait, and save the results here; each video gets a subfolder
    #[arg(short, long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) existing: ExistingArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) options: JobOptions,
}
