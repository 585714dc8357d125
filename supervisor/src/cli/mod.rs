//! The command line: its commands and options, and their dispatch.
//!
//! Called by `main`, which prints the error and sets the exit status.

pub(crate) mod batch;
pub(crate) mod ctl;
pub(crate) mod doctor;
pub(crate) mod finding;
pub(crate) mod job_options;
pub(crate) mod journal_finding;
pub(crate) mod output;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod upload;

use crate::cli::run::arguments::RunArgs;
use crate::cli::upload::arguments::UploadArgs;
use crate::config::{Config, ConfigError, RawConfig};
use crate::ops::job_log::JobLog;
use crate::ops::listeners::{ListenError, Listeners};
use crate::ops::signals::Signals;
use crate::ops::systemd::{self, SocketError};
use crate::ops::{descriptors, telemetry};
use crate::service::{self, ServiceError};
use clap::{Arg, Args, Parser, Subcommand};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use thiserror::Error;

pub(crate) use ctl::CtlError;
pub(crate) use doctor::DoctorError;
pub(crate) use run::RunError;
pub(crate) use upload::UploadError;

/// The exit statuses, which scripts may rely on.
const EXIT_STATUS: &str = "\
Exit status:
  0  success
  1  a video failed or was cancelled (run, upload), or a requirement is not met (doctor)
  2  the command could not run";

const RUN_EXIT_STATUS: &str = "\
Exit status:
  0  every video succeeded, or was skipped
  1  a video failed, was cancelled or cannot be read
  2  nothing could be processed: arguments, configuration or existing results";

const UPLOAD_EXIT_STATUS: &str = "\
Exit status:
  0  every video was uploaded, and processed if that is waited for
  1  a video cannot be read, was refused, failed or was cancelled
  2  nothing could be uploaded: arguments or existing results

Unfinished uploads are continued by the same command, even after a restart of this host.";

/// Turns videos into human pose data, one sandboxed process per video
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true, after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the HTTP service
    #[command(mut_args(shown_in_short_help))]
    Serve(ConfigArgs),
    /// Process local videos and exit
    Run(RunCommand),
    /// Send videos to a service, and fetch the results
    #[command(after_help = UPLOAD_EXIT_STATUS)]
    Upload(UploadArgs),
    /// Check this host: memory limits, sandbox layers, required files
    Doctor(DoctorCommand),
    /// Check or print the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Control a running service on this host
    Ctl(ctl::CtlCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file [default: /etc/bodyscript/bodyscript.toml if it exists]
    #[arg(long, env = "BODYSCRIPT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    keys: RawConfig,
}

#[derive(Debug, Args)]
#[command(after_help = RUN_EXIT_STATUS)]
struct RunCommand {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Args)]
struct DoctorCommand {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the configuration and report errors
    Check(ConfigArgs),
    /// Print all keys with their effective values, and where each comes from
    Show(ConfigArgs),
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The addresses to listen on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The sockets of the service manager.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The runtime or its signal handlers.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
    /// The service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// `run`.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `upload`.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// `doctor`.
    #[error(transparent)]
    Doctor(#[from] DoctorError),
    /// `ctl`.
    #[error(transparent)]
    Ctl(#[from] CtlError),
}

impl Cli {
    /// Executes the command.
    ///
    /// # Errors
    /// If the command could not run; a failed video is an exit status, not an error.
    pub fn execute(self) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Serve(settings) => serve(settings),
            Command::Ctl(command) => Ok(ctl::ctl(command)?),
            Command::Run(RunCommand { run, mut settings }) => {
                settings.keys.set_workers(run.jobs);
                let config = settings.load_for_run()?;
                telemetry::init(&config.log, config.log_format, None);
                Ok(runtime()?.block_on(run::run(config, run))?)
            }
            Command::Upload(args) => Ok(runtime()?.block_on(upload::upload(args))?),
            Command::Doctor(command) => {
                let config = command.settings.load_with_log("warn")?;
                telemetry::init(&config.log, config.log_format, None);
                Ok(runtime()?.block_on(doctor::doctor(&config, command.json))?)
            }
            Command::Config(ConfigCommand::Check(settings)) => {
                let config = settings.load()?;
                service::open_secrets(&config, config.operator_listen)?;
                output::out("Configuration is valid.\n").map_err(CliError::Output)?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Config(ConfigCommand::Show(settings)) => {
                let shown = Config::show(&settings.keys, settings.config.as_deref())?;
                output::out(&shown).map_err(CliError::Output)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Prints why a command failed.
pub fn print_error(error: &CliError) {
    output::err(&format!("bodyscript: {error}"));
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.keys, self.config.as_deref())
    }

    /// Reloads the same sources; `current` is the configuration in effect.
    fn reload(&self, current: &Config) -> Result<Config, ConfigError> {
        Config::reload(&self.keys, self.config.as_deref(), current)
    }

    /// Without the limits of the service on the length of videos, unless they are given as flags or
    /// variables: local videos are processed as long as there is progress.
    fn load_for_run(&self) -> Result<Config, ConfigError> {
        // What a worker says about a video is in its result, as a sentence.
        let mut config = self.load_with_log("warn,worker=off")?;
        if !self.keys.is_given("duration_s_max") {
            config.media.duration_ms_max = u32::MAX;
        }
        let endless = Duration::from_secs(u32::MAX.into());
        if !self.keys.is_given("worker_wall_s_max") {
            config.deadlines.wall = endless;
        }
        if !self.keys.is_given("worker_cpu_s_max") {
            config.deadlines.cpu = endless;
        }
        Ok(config)
    }

    /// As [`ConfigArgs::load`], with a different default log filter.
    fn load_with_log(&self, default: &str) -> Result<Config, ConfigError> {
        let mut keys = self.keys.clone();
        keys.set_default("log", default);
        Config::load(&keys, self.config.as_deref())
    }
}

/// The settings of the service that its short help shows; the long help shows all.
fn shown_in_short_help(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "listen" | "operator_listen" | "state_dir" | "workers" => arg.hide_short_help(false),
        _ => arg,
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Runtime::new().map_err(CliError::Runtime)
}

fn serve(settings: ConfigArgs) -> Result<ExitCode, CliError> {
    let config = settings.load()?;
    let job_log = JobLog::default();
    telemetry::init(&config.log, config.log_format, Some(job_log.clone()));
    descriptors::raise_limit(config.http.connections_max, config.workers + config.standby);
    let inherited = systemd::inherited_listeners()?;
    runtime()?.block_on(async {
        let signals = Signals::install().map_err(CliError::Runtime)?;
        let source = reload::source(settings, &config);
        let listeners = Listeners::open(&config, inherited).await?;
        service::run(listeners, config, source, signals, job_log).await?;
        Ok(ExitCode::SUCCESS)
    })
}
