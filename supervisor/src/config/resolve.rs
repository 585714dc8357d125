//! The effective configuration, read from the values of its keys: combinations are checked, and defaults that depend
//! on the host or on other keys are filled in.

use crate::config::values::{Result, Values, default_list, refused};
use crate::config::{
    AccessConfig, ByteCount, HttpLimits, RawConfig, WebhookConfig, artefacts, defaults, journal,
    listen,
};
use crate::policy::retention_rules::{ResumableLimits, RetentionPeriods};
use crate::runner::attempt::Deadlines;
use crate::runner::containment::cage::CageRequired;
use crate::runner::worker_users::UserIds;
use crate::store::{ObjectsConfig, SharedJournalConfig};
use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::sandbox_report::Layer;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Table;

/// Memory that a worker needs for a small video; with less, no attempt would succeed.
const WORKER_MEMORY_MIN: u64 = 96 << 20;

/// The default of `stop_delay_s` for hosts that share a journal. The checks of `docs/proxies/haproxy-hosts.cfg` notice a
/// stop in less.
const STOP_DELAY_SHARED_S: u32 = 3;

/// The effective configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Address and port of the public listener.
    pub listen: SocketAddr,
    /// Address and port of the operator listener; `None` if it is off.
    pub operator_listen: Option<SocketAddr>,
    /// Folder for uploads and results.
    pub state_dir: PathBuf,
    /// Maximum number of concurrent attempts.
    pub workers: usize,
    /// Number of standby workers.
    pub standby: usize,
    /// Maximum number of queued jobs.
    pub queue_max: usize,
    /// Maximum size of a video in bytes.
    pub upload_bytes_max: u64,
    /// Limits on properties of a video.
    pub media: MediaLimits,
    /// Memory cap of a first attempt, in bytes.
    pub worker_memory_bytes_max: u64,
    /// Memory cap of a retry after the memory ran out, in bytes.
    pub worker_memory_retry_bytes_max: u64,
    /// Limit on the sum of the caps of all workers, in bytes.
    pub memory_budget_bytes: u64,
    /// Deadlines of an attempt.
    pub deadlines: Deadlines,
    /// Path of the worker program.
    pub worker_program: PathBuf,
    /// Folder of the models.
    pub models_dir: PathBuf,
    /// The weakest cage that is accepted.
    pub cage_required: CageRequired,
    /// Users that workers become if the service runs as root.
    pub worker_user_ids: UserIds,
    /// Sandbox layers that a worker applies.
    pub sandbox_layers: Vec<Layer>,
    /// Sandbox layers without which a worker does not start.
    pub sandbox_required: Vec<Layer>,
    /// Limit on the size of all results of a job together, in bytes.
    pub results_bytes_max: u64,
    /// How long results are kept.
    pub result_ttl: Duration,
    /// How long results are kept while memory or disk space is low.
    pub pressure_ttl: Duration,
    /// Free disk space below which uploads are refused, in bytes.
    pub disk_free_bytes_min: u64,
    /// The journal that hosts share; none if it is in `state_dir`.
    pub journal: Option<SharedJournalConfig>,
    /// The store of uploads and results that hosts share; none if files are in `state_dir` only.
    pub artefacts: Option<ObjectsConfig>,
    /// Limits on connections and requests.
    pub http: HttpLimits,
    /// Limits on resumable uploads.
    pub resumable: ResumableLimits,
    /// Settings of webhooks.
    pub webhook: WebhookConfig,
    /// Folder of the examples in the gallery.
    pub gallery_dir: Option<PathBuf>,
    /// Settings of access control.
    pub access: AccessConfig,
    /// How long running jobs may take to finish when the service stops.
    pub drain_max: Duration,
    /// How long a service that stops goes on accepting requests, until load balancers send none.
    pub stop_delay: Duration,
    /// Log filter, in the syntax of `tracing`.
    pub log: String,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// The value of each key, in the form of the file.
    pub in_effect: Table,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
    /// The systemd journal, with fields.
    Journald,
}

impl Config {
    /// Checks every value and fills in the defaults.
    pub(crate) fn resolve(raw: RawConfig) -> Result<Self> {
        let mut values = Values::new(raw);
        let given = &mut values;
        let memory = Memory::read(given)?;
        let public = listen::public(given)?;
        let pressure_ttl = pressure_ttl(given)?;
        let journal = journal::read(given)?;
        let config = Self {
            listen: public,
            operator_listen: listen::operators(given, public)?,
            state_dir: state_dir(given)?,
            workers: given.count("workers")?,
            standby: given.count("standby")?,
            queue_max: given.count("queue_max")?,
            upload_bytes_max: given.bytes("upload_bytes_max")?,
            media: media(given)?,
            worker_memory_bytes_max: memory.cap,
            worker_memory_retry_bytes_max: memory.retry_cap,
            memory_budget_bytes: memory.budget,
            deadlines: deadlines(given)?,
            worker_program: given.path("worker_program", defaults::worker_program)?,
            models_dir: given.path("models_dir", defaults::models_dir)?,
            cage_required: match given.choice("cage_required")? {
                "v2" => CageRequired::V2,
                "cgroup" => CageRequired::Cgroup,
                _ => CageRequired::Any,
            },
            worker_user_ids: given.text("worker_user_ids", |text| {
                let accepted = "a range of user ids without 0, such as 66000-66999";
                text.parse().map_err(|_| refused("worker_user_ids", text, accepted))
            })?,
            sandbox_layers: sandbox_layers(given)?,
            sandbox_required: sandbox_required(given)?,
            results_bytes_max: given.bytes("results_bytes_max")?,
            result_ttl: given.seconds("result_ttl_s")?,
            pressure_ttl,
            disk_free_bytes_min: given.bytes("disk_free_bytes_min")?,
            stop_delay: stop_delay(given, journal.as_ref())?,
            journal,
            artefacts: artefacts::read(given)?,
            http: HttpLimits::read(given)?,
            resumable: resumable(given, pressure_ttl)?,
            webhook: WebhookConfig::read(given)?,
            gallery_dir: given.file("gallery_dir", || None)?,
            access: AccessConfig::read(given)?,
            drain_max: given.seconds("drain_s_max")?,
            log: given.text("log", log)?,
            log_format: match given.choice("log_format")? {
                "json" => LogFormat::Json,
                "journald" => LogFormat::Journald,
                _ => LogFormat::Text,
            },
            in_effect: Table::new(),
        };
        if config.journal.is_some() && config.artefacts.is_none() {
            let accepted =
                "a store that hosts share, because journal_url names a database that they share";
            return Err(refused("artefacts_url", artefacts::LOCAL, accepted));
        }
        Ok(Self { in_effect: values.in_effect(), ..config })
    }
}

fn media(values: &mut Values) -> Result<MediaLimits> {
    Ok(MediaLimits {
        duration_ms_max: values.number("duration_s_max")? * 1000,
        on_long: match values.choice("on_long")? {
            "reject" => OnLong::Reject,
            _ => OnLong::Trim,
        },
        side_px_max: values.number("side_px_max")?,
        area_px_max: values.number("area_px_max")?,
        frame_rate_max: values.number("frame_rate_max")?,
    })
}

pub(crate) fn state_dir(values: &mut Values) -> Result<PathBuf> {
    values.path("state_dir", defaults::state_dir)
}

/// Three memory limits that must fit together, in bytes.
struct Memory {
    cap: u64,
    retry_cap: u64,
    budget: u64,
}

impl Memory {
    fn read(values: &mut Values) -> Result<Self> {
        let mut origin = "";
        if !values.is_given("memory_budget_bytes") {
            // Read once, because the available memory changes all the time.
            values.set_default_bytes("memory_budget_bytes", |_| defaults::memory_budget_bytes());
            origin = " (from this host)";
        }
        let budget = values.bytes("memory_budget_bytes")?;
        // On a small host one worker may use the whole budget, if that is enough for a small video.
        let whole_budget = |usual: u64| usual.min(budget).max(WORKER_MEMORY_MIN);
        values.set_default_bytes("worker_memory_bytes_max", whole_budget);
        let cap = values.bytes("worker_memory_bytes_max")?;
        let at_least_cap =
            || format!("at least worker_memory_bytes_max, which is {}", ByteCount(cap));
        if budget < cap {
            let budget = format!("{}{origin}", ByteCount(budget));
            return Err(refused("memory_budget_bytes", budget, at_least_cap()));
        }
        let key = "worker_memory_retry_bytes_max";
        values.set_default_bytes(key, |usual| usual.max(cap));
        let retry_cap = values.bytes(key)?;
        if retry_cap < cap {
            return Err(refused(key, ByteCount(retry_cap), at_least_cap()));
        }
        Ok(Self { cap, retry_cap, budget })
    }
}

fn deadlines(values: &mut Values) -> Result<Deadlines> {
    Ok(Deadlines {
        start: values.seconds("worker_start_s_max")?,
        progress: values.seconds("worker_progress_s_max")?,
        wall: values.seconds("worker_wall_s_max")?,
        cpu: values.seconds("worker_cpu_s_max")?,
        grace: Duration::from_millis(values.number("worker_grace_ms_max")?.into()),
    })
}

fn layers(values: &mut Values, key: &'static str, known: &[Layer]) -> Result<Vec<Layer>> {
    let parse = |name: &str| {
        let names = || known.iter().map(|layer| layer.name()).collect::<Vec<_>>().join(", ");
        let accepted = || format!("a list of {}", names());
        let found = known.iter().copied().find(|layer| layer.name() == name);
        found.ok_or_else(|| refused(key, name, accepted()))
    };
    values.list(key, parse, |layer| layer.name().to_owned())
}

/// The listed layers, and core scheduling, which has a key of its own because it costs speed.
fn sandbox_layers(values: &mut Values) -> Result<Vec<Layer>> {
    let mut applied = layers(values, "sandbox_layers", &Layer::DEFAULT)?;
    if values.switch("core_scheduling")? {
        applied.push(Layer::CoreScheduling);
    }
    Ok(applied)
}

fn sandbox_required(values: &mut Values) -> Result<Vec<Layer>> {
    let key = "sandbox_required";
    let applied = sandbox_layers(values)?;
    let is_applied = |name: &&str| applied.iter().any(|layer| layer.name() == *name);
    let default: Vec<_> = default_list(key).filter(is_applied).collect();
    values.set_default(key, default);
    let required = layers(values, key, &Layer::ALL)?;
    match required.iter().find(|layer| !applied.contains(layer)) {
        None => Ok(required),
        Some(layer) => Err(refused(
            key,
            layer.name(),
            match layer {
                Layer::CoreScheduling => "core_scheduling = true with it",
                _ => "only layers that sandbox_layers contains",
            },
        )),
    }
}

/// At most as long as results are kept otherwise.
fn pressure_ttl(values: &mut Values) -> Result<Duration> {
    let key = "pressure_ttl_s";
    let longest = values.number("result_ttl_s")?;
    values.limit_default(key, longest);
    match values.number(key)? {
        s if s <= longest => Ok(Duration::from_secs(s.into())),
        s => Err(refused(key, s, format!("a whole number from 0 to {longest}"))),
    }
}

fn resumable(values: &mut Values, pressure_ttl: Duration) -> Result<ResumableLimits> {
    let normal = values.seconds("resumable_ttl_s")?;
    let retention = RetentionPeriods { normal, under_pressure: pressure_ttl.min(normal) };
    Ok(ResumableLimits { uploads_max: values.count("resumable_uploads_max")?, retention })
}

/// Hosts that share a journal are behind a load balancer, and what they accept others can run.
fn stop_delay(values: &mut Values, journal: Option<&SharedJournalConfig>) -> Result<Duration> {
    if journal.is_some() {
        values.set_default("stop_delay_s", STOP_DELAY_SHARED_S);
    }
    values.seconds("stop_delay_s")
}

fn log(text: &str) -> Result<String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err(refused("log", text, "a filter such as info, debug or bodyscript=debug,hyper=warn"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn with_budget(mib: u64) -> Result<Config> {
        Config::resolve(RawConfig::of(&format!("memory_budget_bytes = \"{mib} MiB\"")))
    }

    #[test]
    fn on_a_small_host_one_worker_gets_the_whole_budget() {
        for (budget, cap) in [(96, 96), (288, 288), (384, 384), (385, 384), (4096, 384)] {
            let config = with_budget(budget).expect("enough for one worker");
            assert_eq!(config.worker_memory_bytes_max, cap * MIB, "of {budget} MiB");
            assert_eq!(config.memory_budget_bytes, budget * MIB);
        }
    }

    #[test]
    fn hosts_that_share_a_journal_answer_until_load_balancers_have_noticed_a_stop() {
        let example = include_str!("../../../docs/proxies/haproxy-hosts.cfg");
        let mut lines =
            example.lines().filter_map(|line| line.trim().strip_prefix("default-server check "));
        let words: Vec<_> = lines.next().expect("checks").split_whitespace().collect();
        let value = |name| {
            let at = words.iter().position(|word| *word == name).expect("it is stated");
            words[at + 1].trim_end_matches('s').parse::<u64>().expect("a number")
        };
        // Each check is answered within the time between two.
        let noticed = Duration::from_secs(value("inter") * (value("fall") + 1));
        let resolve = |text: &str| Config::resolve(RawConfig::of(text)).expect("valid").stop_delay;
        let shared = "artefacts_url = \"file:///a\"\njournal_url = \"postgres://b@c/d\"\n";
        assert!(resolve(shared) > noticed, "{noticed:?}");
        assert_eq!(resolve(&format!("{shared}stop_delay_s = 7")), Duration::from_secs(7));
        assert_eq!(resolve(""), Duration::ZERO);
    }

    #[test]
    fn a_budget_below_the_minimum_cap_is_refused_with_both_numbers() {
        let error = with_budget(95).expect_err("no worker could finish").to_string();
        for part in ["memory_budget_bytes", "95 MiB", "96 MiB", "worker_memory_bytes_max"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
