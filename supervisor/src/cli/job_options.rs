//! The options of a job as flags, from the table of options.

use bodyscript_protocol::options::{OPTIONS, OptionRow, Options};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

/// Options for all videos of one command.
#[derive(Debug, Default)]
pub(crate) struct JobOptions(pub(crate) Options);

impl Args for JobOptions {
    fn augment_args(command: Command) -> Command {
        command.args(OPTIONS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(row: &'static OptionRow) -> Arg {
    let parse = move |text: &str| {
        let is_valid = (row.set)(&mut Options::default(), text);
        if is_valid { Ok(text.to_owned()) } else { Err(format!("expected {}", row.values)) }
    };
    let default = (row.get)(&Options::default()).map(|value| value.to_string());
    let flag = Arg::new(row.name)
        .long(row.name.replace('_', "-"))
        .value_name(row.value_name)
        .help(row.help)
        .long_help(row.full_help())
        .help_heading("Processing")
        .value_parser(parse);
    let flag = match default {
        Some(default) => flag.default_value(default),
        None => flag,
    };
    match row.excludes {
        Some(other) => flag.conflicts_with(other),
        None => flag,
    }
}

impl FromArgMatches for JobOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut options = Self::default();
        options.update_from_arg_matches(matches)?;
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for row in &OPTIONS {
            // Two rows may set one field: the default of one must not undo the other.
            let is_given = matches.value_source(row.name) == Some(ValueSource::CommandLine);
            if let Some(text) = matches.get_one::<String>(row.name).filter(|_| is_given) {
                (row.set)(&mut self.0, text);
            }
        }
        self.0.check().map_err(|refused| {
            let flag = refused.option().replace('_', "-");
            Error::raw(ErrorKind::ValueValidation, format!("expected --{flag} to be {refused}\n"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::options::{Mode, Sampling};

    fn parse(flags: &[&str]) -> Result<Options, Error> {
        let command = JobOptions::augment_args(Command::new("run").no_binary_name(true));
        let matches = command.try_get_matches_from(flags)?;
        JobOptions::from_arg_matches(&matches).map(|options| options.0)
    }

    #[test]
    fn flags_set_options_and_defaults_set_none() {
        assert_eq!(parse(&[]).expect("all defaults"), Options::default());
        let options =
            parse(&["--fps", "12.5", "--mode", "static", "--max-people=3"]).expect("valid");
        assert_eq!(options.sampling.fps(), Some(12.5));
        assert_eq!((options.mode, options.people_max), (Mode::Static, 3));
        let options = parse(&["--interval", "2"]).expect("valid");
        assert_eq!(options.sampling, Sampling::every(2).expect("an interval"));
    }

    #[test]
    fn refused_values_and_combinations_are_named() {
        let message = |flags: &[&str]| parse(flags).expect_err("refused").to_string();
        let wrong = message(&["--mode", "warp"]);
        assert!(wrong.contains("--mode") && wrong.contains("one of track, ultra_fast"), "{wrong}");
        let both = message(&["--fps", "2", "--interval", "2"]);
        assert!(both.contains("--fps") && both.contains("--interval"), "{both}");
        let empty = message(&["--start", "5", "--end", "4.5"]);
        assert!(
            empty.contains("--end to be a number of seconds above `start`, which is 5"),
            "{empty}"
        );
        let filters = message(&["--filter", "offline", "--smoothing", "off"]);
        assert!(filters.contains("--filter") && filters.contains("--smoothing"), "{filters}");
        for (flag, value) in [("--interval", "0"), ("--max-people", "6"), ("--formats", "mp3")] {
            assert!(message(&[flag, value]).contains("expected"), "{flag}");
        }
    }
}
