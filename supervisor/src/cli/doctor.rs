//! `bodyscript doctor`: checks what this host provides.

use crate::cli::finding::{Finding, State, finding, table};
use crate::cli::journal_finding::journal;
use crate::cli::output;
use crate::config::{ByteCount, Config};
use crate::http::access::Access;
use crate::runner::factory::WorkerFactory;
use crate::store::{Objects, SetAsideTotals};
use bodyscript_protocol::options::LandmarkModel;
use bodyscript_protocol::sandbox_report::Layer;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use thiserror::Error;

/// Folder of Debian's GStreamer plugins, below `/usr/lib/<multiarch triplet>`.
const PLUGINS: &str = "gstreamer-1.0";

/// Plugin files that decoding and encoding need, with the Debian package of each.
const PLUGIN_FILES: [(&str, &str); 6] = [
    ("libgstcoreelements.so", "libgstreamer1.0-0"),
    ("libgstplayback.so", "gstreamer1.0-plugins-base"),
    ("libgstisomp4.so", "gstreamer1.0-plugins-good"),
    ("libgstvideoparsersbad.so", "gstreamer1.0-plugins-bad"),
    ("libgstx264.so", "gstreamer1.0-plugins-ugly"),
    ("libgstlibav.so", "gstreamer1.0-libav"),
];

/// Why the report failed.
#[derive(Debug, Error)]
pub enum DoctorError {
    /// The report could not be serialised.
    #[error("cannot print the report: {0}")]
    Print(#[from] serde_json::Error),
    /// The report could not be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

/// A line of `bodyscript-worker --sandbox-report`.
#[derive(Debug, Deserialize)]
struct LayerLine {
    layer: String,
    state: String,
    #[serde(default)]
    detail: String,
}

/// Prints the report; the exit status is 0 if the service would work.
pub(crate) async fn doctor(config: &Config, json: bool) -> Result<ExitCode, DoctorError> {
    let mut findings = factory(config);
    findings.extend([memory(config), state_dir(config), operators(config)]);
    findings.extend(artefacts(config).await);
    findings.extend(journal(config).await);
    findings.extend(set_aside(config));
    findings.extend(sandbox(config));
    findings.extend(gstreamer());
    let text =
        if json { serde_json::to_string_pretty(&findings)? + "\n" } else { table(&findings) };
    output::out(&text).map_err(DoctorError::Output)?;
    let is_working = findings.iter().all(|finding| finding.state != State::Bad);
    Ok(if is_working { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opens the worker factory, which checks the worker's program, the models and the cage.
fn factory(config: &Config) -> Vec<Finding> {
    match WorkerFactory::open(&config.factory()) {
        Ok(factory) => {
            let detail = format!(
                "cage {}; worker {}; models {}",
                factory.cage_backend(),
                config.worker_program.display(),
                config.models_dir.display()
            );
            vec![finding("workers", State::Good, detail), models(&factory), share(&factory)]
        }
        Err(error) => vec![finding("workers", State::Bad, error.to_string())],
    }
}

/// Which landmark models jobs can choose.
fn models(factory: &WorkerFactory) -> Finding {
    let installed = factory.installed_models();
    let names = installed.names().join(", ");
    let missing = LandmarkModel::ALL.into_iter().find_map(|model| installed.require(model).err());
    match missing {
        None => finding("models", State::Good, names),
        Some(missing) => finding("models", State::Weak, format!("{names}. {missing}")),
    }
}

/// Whether workers can take processors from the supervisor.
fn share(factory: &WorkerFactory) -> Finding {
    match factory.shared_by_weight()[..] {
        [] => finding("share", State::Weak, "workers have no lower share of processors or disk"),
        ref resources => {
            let detail = format!("workers have a lower share of {}", resources.join(" and "));
            finding("share", State::Good, detail)
        }
    }
}

fn memory(config: &Config) -> Finding {
    let budget = config.memory_budget_bytes;
    let cap = config.worker_memory_bytes_max;
    let retry = config.worker_memory_retry_bytes_max;
    let concurrent = (budget / cap.max(1)).min(config.workers as u64);
    let detail = format!(
        "budget {}; enough for {concurrent} of {} workers at {} each; {} for a retry",
        ByteCount(budget),
        config.workers,
        ByteCount(cap),
        ByteCount(retry)
    );
    let is_ample = concurrent == config.workers as u64 && retry <= budget;
    finding("memory", if is_ample { State::Good } else { State::Weak }, detail)
}

fn state_dir(config: &Config) -> Finding {
    let path = &config.state_dir;
    let nearest = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let detail = path.display().to_string();
    match nix::unistd::access(nearest, nix::unistd::AccessFlags::W_OK) {
        Ok(()) => finding("state_dir", State::Good, detail),
        Err(errno) => {
            let error = io::Error::from(errno);
            finding("state_dir", State::Bad, format!("{detail}: {error}; set another state_dir"))
        }
    }
}

/// Whether the shared store, if there is one, answers.
async fn artefacts(config: &Config) -> Option<Finding> {
    let artefacts = config.artefacts.as_ref()?;
    let answer = match Objects::open(artefacts) {
        Ok(objects) => objects.probe().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Some(match answer {
        Ok(()) => finding("artefacts", State::Good, format!("{} answers", artefacts.url)),
        Err(error) => finding("artefacts", State::Bad, error),
    })
}

/// Files that earlier starts have set aside, if any.
fn set_aside(config: &Config) -> Option<Finding> {
    let SetAsideTotals { starts, bytes } = SetAsideTotals::of(&config.state_dir)?;
    let folder = config.state_dir.join("set-aside");
    let detail = format!(
        "{} of {starts} starts in {}; see the runbook to restore or remove it",
        ByteCount(bytes),
        folder.display()
    );
    Some(finding("set aside", State::Weak, detail))
}

/// How operators can access the service.
fn operators(config: &Config) -> Finding {
    if let Err(error) = Access::open(config, config.operator_listen) {
        return finding("operators", State::Bad, error.to_string());
    }
    let token = match &config.access.token_file {
        Some(path) => format!("with the token in {} on {}", path.display(), config.listen),
        None => format!("not on {}: `token_file` is not set", config.listen),
    };
    match (config.operator_listen, &config.access.token_file) {
        (None, Some(_)) => finding("operators", State::Good, token),
        (None, None) => {
            finding("operators", State::Weak, format!("{token}, and `operator_listen` is off"))
        }
        (Some(address), _) if address.ip().to_canonical().is_loopback() => {
            let detail = format!("from this host on {address} (http://{address}/monitor); {token}");
            finding("operators", State::Good, detail)
        }
        (Some(address), _) => {
            finding("operators", State::Good, format!("{token} and on {address}"))
        }
    }
}

fn sandbox(config: &Config) -> Vec<Finding> {
    let lines = match sandbox_report(&config.worker_program) {
        Ok(lines) => lines,
        Err(error) => return vec![finding("sandbox", State::Bad, error.to_string())],
    };
    let layer_finding = |line: LayerLine| {
        let is_in = |layers: &[Layer]| layers.iter().any(|layer| layer.name() == line.layer);
        let is_required = is_in(&config.sandbox_required);
        let is_expected = is_in(&config.sandbox_layers) || is_in(&Layer::DEFAULT);
        let state = match (line.state.as_str(), is_required) {
            ("active", _) => State::Good,
            (_, true) => State::Bad,
            (_, false) if is_expected => State::Weak,
            // The layers that only the configuration adds.
            (_, false) => State::Good,
        };
        let need = match (is_required, is_expected) {
            (true, _) => "required",
            (false, true) => "not required",
            (false, false) => "not configured",
        };
        let detail = match line.detail.as_str() {
            "" => format!("{} ({need})", line.state),
            detail => format!("{}: {detail} ({need})", line.state),
        };
        finding(format!("sandbox {}", line.layer), state, detail)
    };
    lines.into_iter().map(layer_finding).collect()
}

#[derive(Debug, Error)]
enum SandboxReportError {
    #[error("cannot run {}: {source}", program.display())]
    Run { program: PathBuf, source: io::Error },
    #[error("the worker could not report its sandbox ({status}): {log}")]
    Failed { status: std::process::ExitStatus, log: String },
    #[error("the worker's report is invalid: {0}")]
    Parse(#[from] serde_json::Error),
}

/// Runs a worker that applies its sandbox, reads no video and reports the state of each layer.
fn sandbox_report(program: &Path) -> Result<Vec<LayerLine>, SandboxReportError> {
    let output = Command::new(program)
        .arg("--sandbox-report")
        .env_clear()
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| SandboxReportError::Run { program: program.to_owned(), source })?;
    if !output.status.success() {
        let log: String = String::from_utf8_lossy(&output.stderr)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(400)
            .collect();
        return Err(SandboxReportError::Failed { status: output.status, log });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>()?;
    Ok(lines)
}

fn gstreamer() -> Vec<Finding> {
    let folder =
        Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)).join(PLUGINS);
    PLUGIN_FILES
        .iter()
        .map(|(file, package)| {
            let what =
                format!("gstreamer {}", file.trim_start_matches("libgst").trim_end_matches(".so"));
            let path = folder.join(file);
            if path.exists() {
                finding(what, State::Good, path.display().to_string())
            } else {
                let detail = format!("{} is missing; install {package}", path.display());
                finding(what, State::Bad, detail)
            }
        })
        .collect()
}
