//! The arguments of `bodyscript run` besides the configuration.

use crate::cli::batch::arguments::{ExistingArgs, FormatArgs};
use crate::cli::job_options::JobOptions;
use clap::{Args, value_parser};
use std::path::{Component, Path, PathBuf};

/// What to process, and how.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Videos, folders of videos, patterns ('day1/*.mp4'), or - for standard input
    #[arg(required = true, value_name = "VIDEO", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) videos: Vec<PathBuf>,
    /// Output folder; each video gets a subfolder
    #[arg(short, long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Name of the results of the video from standard input
    #[arg(long, value_name = "NAME", default_value = "stdin", value_parser = file_name)]
    pub(crate) stdin_name: PathBuf,
    /// Number of videos processed at once, like --workers
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u32).range(1..=256))]
    pub(crate) jobs: Option<u32>,
    #[command(flatten)]
    pub(crate) existing: ExistingArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) options: JobOptions,
}

fn file_name(text: &str) -> Result<PathBuf, &'static str> {
    let mut parts = Path::new(text).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) if name == text && !text.starts_with('.') => {
            Ok(name.into())
        }
        _ => Err("expected a name without folders that does not begin with a dot"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_for_standard_input_cannot_leave_the_output_folder() {
        assert_eq!(file_name("walk.1").as_deref(), Ok(Path::new("walk.1")));
        for wrong in ["", ".", "..", "a/b", "/a", "a/", ".bodyscript-x"] {
            assert!(file_name(wrong).is_err(), "{wrong}");
        }
    }
}
