//! `bodyscript ctl`: sends commands to a running service over its control socket.

use crate::cli::output;
use crate::config::{Config, ConfigError, RawConfig};
use crate::ops::commands::OperatorCommand;
use crate::ops::control_socket::{Response, SOCKET};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use thiserror::Error;

/// Maximum time for a response: a command may wait for a worker to exit or for a slow disk.
const RESPONSE_MAX: Duration = Duration::from_secs(120);

const MIB: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct CtlCommand {
    /// Configuration file [default: /etc/bodyscript/bodyscript.toml if it exists]
    #[arg(long, env = "BODYSCRIPT_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// State folder of the service, which contains its control socket
    #[arg(
        long,
        env = "BODYSCRIPT_STATE_DIR",
        value_name = "DIR",
        value_hint = clap::ValueHint::AnyPath,
        global = true
    )]
    state_dir: Option<String>,
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
    /// List the hosts that share the journal
    Hosts,
    /// Accept and start no more jobs on this host, and finish the running ones, until `resume` or a restart
    Pause,
    /// Accept and start jobs again after `pause`
    Resume,
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
    /// Show the latest log lines of a job on this host
    Log {
        /// Job id
        #[arg(value_name = "ID")]
        job: String,
    },
}

impl From<OrderCommand> for OperatorCommand {
    fn from(command: OrderCommand) -> Self {
        match command {
            OrderCommand::Status => Self::Status,
            OrderCommand::Hosts => Self::Hosts,
            OrderCommand::Pause => Self::Pause,
            OrderCommand::Resume => Self::Resume,
            OrderCommand::Drain => Self::Drain,
            OrderCommand::RestartWorkers => Self::RestartWorkers,
            OrderCommand::Reload => Self::Reload,
            OrderCommand::Report => Self::Report,
            OrderCommand::Cancel { job } => Self::Cancel { job },
            OrderCommand::Retry { job } => Self::Retry { job },
            OrderCommand::Log { job } => Self::Log { job },
        }
    }
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CtlError {
    /// The configuration that names the state folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing accepts connections on the socket.
    #[error(
        "cannot connect to {}: {source}; set the folder with --state-dir, and run as root or as \
         the user of the service", path.display()
    )]
    Connect {
        /// Path of the socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The exchange failed.
    #[error("the service did not respond: {0}")]
    Exchange(#[source] io::Error),
    /// The response could not be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// The service refused the command.
    #[error("{0}")]
    Refused(String),
}

/// Sends the command and prints the response.
pub(crate) fn ctl(args: CtlCommand) -> Result<ExitCode, CtlError> {
    let mut keys = RawConfig::default();
    if let Some(folder) = args.state_dir {
        keys.set_default("state_dir", folder);
    }
    let path = Config::state_dir_of(&keys, args.config.as_deref())?.join(SOCKET);
    let command = OperatorCommand::from(args.command);
    let response = match exchange(&path, &command)? {
        Response::Ok(value) => value,
        Response::Error(error) => return Err(CtlError::Refused(error)),
    };
    let text = if args.json { format!("{response}\n") } else { response_text(&command, &response) };
    output::out(&text).map_err(CtlError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn exchange(path: &PathBuf, command: &OperatorCommand) -> Result<Response, CtlError> {
    let connect = |source| CtlError::Connect { path: path.clone(), source };
    let mut stream = UnixStream::connect(path).map_err(connect)?;
    let mut send = || {
        stream.set_read_timeout(Some(RESPONSE_MAX))?;
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut response = String::new();
        BufReader::new(&stream).read_line(&mut response)?;
        Ok(serde_json::from_str(&response)?)
    };
    send().map_err(CtlError::Exchange)
}

/// The response as text.
fn response_text(command: &OperatorCommand, response: &Value) -> String {
    let list = |key: &str| {
        let names = response[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    match command {
        OperatorCommand::Status => status(response),
        OperatorCommand::Report => "State written to the log.\n".into(),
        OperatorCommand::Hosts => hosts(&response["shared_journal"]),
        OperatorCommand::Pause => paused(response),
        OperatorCommand::Resume => match response["reason"].as_str() {
            None => "Accepting uploads.\n".into(),
            Some(reason) => format!("No longer paused, but not accepting uploads: {reason}.\n"),
        },
        OperatorCommand::Drain => format!(
            "The service is stopping; running jobs have {} s to finish.\n",
            response["drain_s_max"]
        ),
        OperatorCommand::RestartWorkers => {
            format!("{} workers restarted.\n", response["workers"])
        }
        OperatorCommand::Reload => {
            let mut text = format!("Applied: {}.\n", or_placeholder(list("applied")));
            if !list("at_next_start").is_empty() {
                text += &format!("Requires a restart: {}.\n", list("at_next_start"));
            }
            text
        }
        OperatorCommand::Cancel { .. } | OperatorCommand::Retry { .. } => {
            format!("{}: {}\n", text(&response["status"]), text(&response["message"]))
        }
        OperatorCommand::Log { .. } => {
            let lines = response["lines"].as_array().into_iter().flatten();
            lines.map(|line| format!("{}\n", text(line))).collect()
        }
    }
}

fn status(response: &Value) -> String {
    let health = &response["health"];
    let mib = |key: &str| health[key].as_u64().unwrap_or(0) / MIB;
    let mut lines = vec![match health["reason"].as_str() {
        None => "Accepting uploads.".to_owned(),
        Some(reason) => format!("Not accepting uploads: {reason}."),
    }];
    let operators = response["operator_listen"].as_str().unwrap_or("no address");
    lines.push(format!(
        "Listening on {}; operator listener on {operators}.",
        text(&response["listen"])
    ));
    if let Some(reason) = response["reload_refused"].as_str() {
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
        ["processing", "pending"].into_iter().filter_map(|kind| response[kind].as_array());
    lines.extend(unfinished.flatten().map(|job| {
        let worker = process(&job["worker"]);
        format!("{}  {}{worker}", text(&job["job_id"]), text(&job["message"]))
    }));
    lines.join("\n") + "\n"
}

fn paused(response: &Value) -> String {
    let others = if response["is_shared"] == true {
        "Other hosts run the jobs that wait."
    } else {
        "Jobs that wait are run once it resumes."
    };
    format!(
        "This host accepts and starts no more jobs; {} running finish. {others} `bodyscript ctl resume` takes it back.\n",
        response["running"]
    )
}

/// The hosts, one a line, in columns.
fn hosts(shared: &Value) -> String {
    let Some(hosts) = shared["hosts"].as_array() else {
        return "The journal is not shared (`journal_url`): this is the only host.\n".into();
    };
    let row = |host: &Value| {
        [
            text(&host["name"]).to_owned(),
            text(&host["id"]).to_owned(),
            text(&host["version"]).to_owned(),
            format!("{} MiB", host["memory_budget_bytes"].as_u64().unwrap_or(0) / MIB),
            format!("{} running", host["processing"]),
            format!("seen {:.1} s ago", host["beat_age_s"].as_f64().unwrap_or(0.0)),
            if host["is_this"] == true { "this host".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<_> = hosts.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let line = |row: &[String; 7]| {
        let padded =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:w$}", w = width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut lines: String = rows.iter().map(line).collect();
    if shared["is_reachable"] == false {
        lines += "The database of the journal does not answer: this is what was last seen.\n";
    }
    lines
}

fn process(worker: &Value) -> String {
    worker["pid"].as_i64().map_or(String::new(), |pid| {
        format!(" (worker {pid}, {} MiB)", worker["rss_bytes"].as_u64().unwrap_or(0) / MIB)
    })
}

fn or_placeholder(list: String) -> String {
    if list.is_empty() { "nothing changed".into() } else { list }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hosts_are_listed_in_columns_and_this_one_is_marked() {
        let host = |name: &str, is_this| {
            json!({
                "name": name, "id": "00ff", "version": "0.1.0", "memory_budget_bytes": 3 * MIB, "processing": 2,
                "beat_age_s": 0.26, "is_this": is_this,
            })
        };
        let shared =
            json!({"is_reachable": true, "hosts": [host("a", true), host("longer", false)]});
        let lines = "a       00ff  0.1.0  3 MiB  2 running  seen 0.3 s ago  this host\n\
                     longer  00ff  0.1.0  3 MiB  2 running  seen 0.3 s ago\n";
        assert_eq!(hosts(&shared), lines);
        let lost = json!({"is_reachable": false, "hosts": shared["hosts"]});
        assert!(hosts(&lost).ends_with("this is what was last seen.\n"));
        assert!(hosts(&Value::Null).contains("not shared"));
    }
}
