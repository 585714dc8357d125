//! `bodyscript ctl`: orders to a running service, over its control socket.

use crate::cli::output;
use crate::config::{Config, ConfigError, RawConfig};
use crate::ops::commands::OperatorCommand;
use crate::ops::control_socket::{Answer, SOCKET};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use thiserror::Error;

/// How long an answer may take: a cancelled worker is waited for, and a slow disk.
const PATIENCE: Duration = Duration::from_secs(120);

const MIB: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct CtlCommand {
    /// Configuration file [default: /etc/bodyscript/bodyscript.toml if it exists]
    #[arg(long, env = "BODYSCRIPT_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// State folder of the service, which contains its control socket
    #[arg(long, env = "BODYSCRIPT_STATE_DIR", value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
    /// Print the response as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: OrderCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum OrderCommand {
    /// Show the state of the service and its jobs
    Status,
    /// Stop like SIGTERM: accept no more jobs, finish the running ones, exit
    Drain,
    /// Restart all workers; their jobs run again, without counting as failed attempts
    RestartWorkers,
    /// Reload the configuration, like SIGHUP
    Reload,
    /// Write the state of the service to its log, like SIGUSR2
    Report,
    /// Cancel a job
    Cancel {
        /// Job id
        #[arg(value_name = "ID")]
        job: String,
    },
    /// Retry a failed job, even if its video is blocked
    Retry {
        /// Job id
        #[arg(value_name = "ID")]
        job: String,
    },
}

impl From<OrderCommand> for OperatorCommand {
    fn from(command: OrderCommand) -> Self {
        match command {
            OrderCommand::Status => Self::Status,
            OrderCommand::Drain => Self::Drain,
            OrderCommand::RestartWorkers => Self::RestartWorkers,
            OrderCommand::Reload => Self::Reload,
            OrderCommand::Report => Self::Report,
            OrderCommand::Cancel { job } => Self::Cancel { job },
            OrderCommand::Retry { job } => Self::Retry { job },
        }
    }
}

/// Why an order was not carried out.
#[derive(Debug, Error)]
pub enum CtlError {
    /// Where the state folder is cannot be told.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody is at the socket.
    #[error(
        "cannot connect to {}: {source}; set the folder with --state-dir, and run as root or as \
         the user of the service", path.display()
    )]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The conversation broke.
    #[error("the service did not respond: {0}")]
    Exchange(#[source] io::Error),
    /// The answer cannot be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// The service refused.
    #[error("{0}")]
    Refused(String),
}

/// Gives the order and prints the answer.
pub(crate) fn ctl(args: CtlCommand) -> Result<ExitCode, CtlError> {
    let keys = RawConfig { state_dir: args.state_dir, ..RawConfig::default() };
    let path = Config::state_dir_of(&keys, args.config.as_deref())?.join(SOCKET);
    let command = OperatorCommand::from(args.command);
    let answer = match converse(&path, &command)? {
        Answer::Ok(value) => value,
        Answer::Error(error) => return Err(CtlError::Refused(error)),
    };
    let text = if args.json { format!("{answer}\n") } else { told(&command, &answer) };
    output::out(&text).map_err(CtlError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn converse(path: &PathBuf, command: &OperatorCommand) -> Result<Answer, CtlError> {
    let connect = |source| CtlError::Connect { path: path.clone(), source };
    let mut stream = UnixStream::connect(path).map_err(connect)?;
    let mut ask = || {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    };
    ask().map_err(CtlError::Exchange)
}

/// The answer, for people.
fn told(command: &OperatorCommand, answer: &Value) -> String {
    let list = |key: &str| {
        let names = answer[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    match command {
        OperatorCommand::Status => status(answer),
        OperatorCommand::Report => "State written to the log.\n".into(),
        OperatorCommand::Drain => format!(
            "The service is stopping; running jobs have {} s to finish.\n",
            answer["drain_s_max"]
        ),
        OperatorCommand::RestartWorkers => {
            format!("{} workers restarted.\n", answer["workers"])
        }
        OperatorCommand::Reload => {
            let mut text = format!("Applied: {}.\n", or_nothing(list("applied")));
            if !list("at_next_start").is_empty() {
                text += &format!("Requires a restart: {}.\n", list("at_next_start"));
            }
            text
        }
        OperatorCommand::Cancel { .. } | OperatorCommand::Retry { .. } => {
            format!("{}: {}\n", text(&answer["status"]), text(&answer["message"]))
        }
    }
}

fn status(answer: &Value) -> String {
    let health = &answer["health"];
    let mib = |key: &str| health[key].as_u64().unwrap_or(0) / MIB;
    let mut lines = vec![match health["reason"].as_str() {
        None => "Accepting uploads.".to_owned(),
        Some(reason) => format!("Not accepting uploads: {reason}."),
    }];
    let operators = answer["operator_listen"].as_str().unwrap_or("no address");
    lines.push(format!(
        "Listening on {}; operator listener on {operators}.",
        text(&answer["listen"])
    ));
    if let Some(reason) = answer["reload_refused"].as_str() {
        lines.push(format!("The last reload failed: {reason}"));
    }
    let jobs = &health["jobs"];
    lines.push(format!(
        "{} running, {} queued, {} completed, {} failed, {} cancelled; {}/{} MiB reserved",
        jobs["processing"],
        jobs["pending"],
        jobs["completed"],
        jobs["failed"],
        jobs["cancelled"],
        mib("reserved_bytes"),
        mib("budget_bytes"),
    ));
    lines.extend(health["standby"].as_array().into_iter().flatten().map(|worker| {
        let state = if worker["is_ready"] == true { "ready" } else { "starting" };
        format!("standby: {state}{}", process(worker))
    }));
    let unfinished =
        ["processing", "pending"].into_iter().filter_map(|kind| answer[kind].as_array());
    lines.extend(unfinished.flatten().map(|job| {
        let worker = process(&job["worker"]);
        format!("{}  {}{worker}", text(&job["job_id"]), text(&job["message"]))
    }));
    lines.join("\n") + "\n"
}

fn process(worker: &Value) -> String {
    worker["pid"].as_i64().map_or(String::new(), |pid| {
        format!(" (worker {pid}, {} MiB)", worker["rss_bytes"].as_u64().unwrap_or(0) / MIB)
    })
}

fn or_nothing(list: String) -> String {
    if list.is_empty() { "nothing changed".into() } else { list }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
