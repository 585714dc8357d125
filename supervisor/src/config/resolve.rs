//! Resolves the raw configuration: checks ranges, names and combinations, and fills in defaults.

use crate::config::bytes::ByteCount;
use crate::config::values::{DAY_S, Result, bytes, number, refused, seconds};
use crate::config::{
    AccessConfig, ClientLimits, Config, LogFormat, RawConfig, WebhookConfig, connections, defaults,
    listen,
};
use crate::policy::retention_rules::{ResumableLimits, RetentionPeriods};
use crate::runner::attempt::Deadlines;
use crate::runner::containment::cage::CageRequired;
use bodyscript_protocol::limits::FRAMES_MAX;
use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::sandbox_report::Layer;
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

const MIB: u64 = 1 << 20;
/// Default time results are kept.
const RESULT_TTL_S: u32 = 3600;

/// Default memory cap of a worker, if the budget allows it.
const WORKER_MEMORY_DEFAULT: u64 = 384 * MIB;

/// Memory that a worker needs for a small video; with less, no attempt would succeed.
const WORKER_MEMORY_MIN: u64 = 96 * MIB;

/// Layers that every supported host provides. The others are applied where the host allows them.
const REQUIRED_BY_DEFAULT: [Layer; 5] =
    [Layer::Rlimits, Layer::Descriptors, Layer::NoNewPrivs, Layer::Capabilities, Layer::Seccomp];

impl Config {
    /// Checks every value and fills in the defaults.
    pub(crate) fn resolve(raw: &RawConfig) -> Result<Self> {
        let memory = Memory::resolve(raw)?;
        let public = listen::public(raw.listen.as_deref())?;
        let config = Self {
            listen: public,
            operator_listen: listen::operators(raw.operator_listen.as_deref(), public)?,
            state_dir: state_dir(raw)?,
            workers: number("workers", raw.workers, 2, 1..=256)? as usize,
            standby: number("standby", raw.standby, 0, 0..=256)? as usize,
            queue_max: number("queue_max", raw.queue_max, 10, 1..=100_000)? as usize,
            upload_bytes_max: bytes("upload_bytes_max", raw.upload_bytes_max, 30 * MIB, 1)?,
            media: media(raw)?,
            worker_memory_bytes_max: memory.cap,
            worker_memory_retry_bytes_max: memory.retry_cap,
            memory_budget_bytes: memory.budget,
            deadlines: deadlines(raw)?,
            worker_program: path("worker_program", &raw.worker_program, defaults::worker_program)?,
            models_dir: path("models_dir", &raw.models_dir, defaults::models_dir)?,
            cage_required: cage_required(raw.cage_required.as_deref())?,
            sandbox_layers: layers("sandbox_layers", raw.sandbox_layers.as_deref(), &Layer::ALL)?,
            sandbox_required: sandbox_required(raw)?,
            result_ttl: seconds("result_ttl_s", raw.result_ttl_s, RESULT_TTL_S, 1..=365 * DAY_S)?,
            pressure_ttl: pressure_ttl(raw)?,
            disk_free_bytes_min: bytes(
                "disk_free_bytes_min",
                raw.disk_free_bytes_min,
                256 * MIB,
                0,
            )?,
            http: connections::http(raw)?,
            resumable: resumable(raw)?,
            webhook: WebhookConfig {
                secret_file: file("webhook_secret_file", &raw.webhook_secret_file, || {
                    defaults::credential("webhook-secret")
                })?,
                networks: networks("webhook_networks", raw.webhook_networks.as_deref(), &[])?,
            },
            access: access(raw)?,
            drain_max: seconds("drain_s_max", raw.drain_s_max, 60, 0..=DAY_S)?,
            log: log(raw.log.as_deref())?,
            log_format: log_format(raw.log_format.as_deref())?,
        };
        Ok(config)
    }
}

fn path(
    key: &'static str,
    given: &Option<PathBuf>,
    default: impl FnOnce() -> PathBuf,
) -> Result<PathBuf> {
    let value = given.clone().unwrap_or_else(default);
    std::path::absolute(&value)
        .map_err(|error| refused(key, value.display(), format!("a path ({error})")))
}

fn media(raw: &RawConfig) -> Result<MediaLimits> {
    let on_long = match raw.on_long.as_deref() {
        None | Some("trim") => OnLong::Trim,
        Some("reject") => OnLong::Reject,
        Some(other) => return Err(refused("on_long", other, "trim or reject")),
    };
    let duration_s_max = number("duration_s_max", raw.duration_s_max, 10, 1..=3600)?;
    let frame_rate_max = number("frame_rate_max", raw.frame_rate_max, 240, 1..=1000)?;
    if duration_s_max * frame_rate_max > FRAMES_MAX {
        let accepted = format!(
            "at most {} with a frame_rate_max of {frame_rate_max}, because a video may have \
             at most {FRAMES_MAX} frames",
            FRAMES_MAX / frame_rate_max
        );
        return Err(refused("duration_s_max", duration_s_max, accepted));
    }
    Ok(MediaLimits {
        duration_ms_max: duration_s_max * 1000,
        on_long,
        side_px_max: number("side_px_max", raw.side_px_max, 8192, 16..=16_384)?,
        area_px_max: number("area_px_max", raw.area_px_max, 8192 * 4320, 256..=16_384 * 16_384)?,
        frame_rate_max,
    })
}

pub(crate) fn state_dir(raw: &RawConfig) -> Result<PathBuf> {
    path("state_dir", &raw.state_dir, defaults::state_dir)
}

/// Three memory limits that must fit together, in bytes.
struct Memory {
    cap: u64,
    retry_cap: u64,
    budget: u64,
}

impl Memory {
    fn resolve(raw: &RawConfig) -> Result<Self> {
        // Read once, because the available memory changes all the time.
        let (budget, origin) = match raw.memory_budget_bytes {
            Some(ByteCount(given)) => (given, ""),
            None => (defaults::memory_budget_bytes(), " (from this host)"),
        };
        let budget = bytes("memory_budget_bytes", Some(ByteCount(budget)), budget, 0)?;
        // On a small host one worker may use the whole budget, if that is enough for a small video.
        let default = WORKER_MEMORY_DEFAULT.min(budget).max(WORKER_MEMORY_MIN);
        let cap = bytes("worker_memory_bytes_max", raw.worker_memory_bytes_max, default, 32 * MIB)?;
        if budget < cap {
            let accepted = format!("at least worker_memory_bytes_max, which is {}", ByteCount(cap));
            let budget = format!("{}{origin}", ByteCount(budget));
            return Err(refused("memory_budget_bytes", budget, accepted));
        }
        let key = "worker_memory_retry_bytes_max";
        let retry_cap = bytes(key, raw.worker_memory_retry_bytes_max, (768 * MIB).max(cap), 1)?;
        if retry_cap < cap {
            let accepted = format!("at least worker_memory_bytes_max, which is {}", ByteCount(cap));
            return Err(refused(key, ByteCount(retry_cap), accepted));
        }
        Ok(Self { cap, retry_cap, budget })
    }
}

fn deadlines(raw: &RawConfig) -> Result<Deadlines> {
    let grace = number("worker_grace_ms_max", raw.worker_grace_ms_max, 1000, 0..=60_000)?;
    Ok(Deadlines {
        start: seconds("worker_start_s_max", raw.worker_start_s_max, 20, 1..=DAY_S)?,
        progress: seconds("worker_progress_s_max", raw.worker_progress_s_max, 30, 1..=DAY_S)?,
        wall: seconds("worker_wall_s_max", raw.worker_wall_s_max, 600, 1..=DAY_S)?,
        cpu: seconds("worker_cpu_s_max", raw.worker_cpu_s_max, 600, 1..=DAY_S)?,
        grace: Duration::from_millis(grace.into()),
    })
}

fn cage_required(given: Option<&str>) -> Result<CageRequired> {
    match given {
        None | Some("any") => Ok(CageRequired::Any),
        Some("cgroup") => Ok(CageRequired::Cgroup),
        Some("v2") => Ok(CageRequired::V2),
        Some(other) => Err(refused("cage_required", other, "v2, cgroup or any")),
    }
}

fn layers(key: &'static str, given: Option<&[String]>, default: &[Layer]) -> Result<Vec<Layer>> {
    let Some(names) = given else { return Ok(default.to_vec()) };
    let accepted = || format!("a list of {}", Layer::ALL.map(Layer::name).join(", "));
    names
        .iter()
        .map(|name| name.trim())
        // An empty variable or flag means an empty list.
        .filter(|name| !name.is_empty())
        .map(|name| {
            let found = Layer::ALL.into_iter().find(|layer| layer.name() == name);
            found.ok_or_else(|| refused(key, name, accepted()))
        })
        .collect()
}

fn sandbox_required(raw: &RawConfig) -> Result<Vec<Layer>> {
    let applied = layers("sandbox_layers", raw.sandbox_layers.as_deref(), &Layer::ALL)?;
    let default: Vec<_> =
        REQUIRED_BY_DEFAULT.into_iter().filter(|layer| applied.contains(layer)).collect();
    let required = layers("sandbox_required", raw.sandbox_required.as_deref(), &default)?;
    match required.iter().find(|layer| !applied.contains(layer)) {
        None => Ok(required),
        Some(layer) => Err(refused(
            "sandbox_required",
            layer.name(),
            "only layers that sandbox_layers contains",
        )),
    }
}

fn pressure_ttl(raw: &RawConfig) -> Result<Duration> {
    let key = "pressure_ttl_s";
    let longest = raw.result_ttl_s.unwrap_or(RESULT_TTL_S);
    number(key, raw.pressure_ttl_s, 600.min(longest), 0..=longest)
        .map(|s| Duration::from_secs(s.into()))
}

fn resumable(raw: &RawConfig) -> Result<ResumableLimits> {
    let uploads = number("resumable_uploads_max", raw.resumable_uploads_max, 64, 0..=100_000)?;
    let normal = seconds("resumable_ttl_s", raw.resumable_ttl_s, 6 * 3600, 1..=30 * DAY_S)?;
    let retention = RetentionPeriods { normal, under_pressure: pressure_ttl(raw)?.min(normal) };
    Ok(ResumableLimits { uploads_max: uploads as usize, retention })
}

fn access(raw: &RawConfig) -> Result<AccessConfig> {
    let per_minute = raw.client_uploads_per_minute_max;
    let jobs_max = number("client_jobs_max", raw.client_jobs_max, 6, 1..=100_000)?;
    let (connections_max, streams_max) = connections::of_client(raw)?;
    Ok(AccessConfig {
        token_file: file("token_file", &raw.token_file, || defaults::credential("token"))?,
        cors_origins: origins(raw.cors_origins.as_deref().unwrap_or_default())?,
        clients: ClientLimits {
            uploads_per_minute_max: number(
                "client_uploads_per_minute_max",
                per_minute,
                60,
                1..=60_000,
            )?,
            jobs_max: jobs_max as usize,
            connections_max,
            streams_max,
            trusted_proxies: networks(
                "trusted_proxies",
                raw.trusted_proxies.as_deref(),
                &["127.0.0.0/8", "::1"],
            )?,
        },
    })
}

/// An optional file; an empty path means none.
fn file(
    key: &'static str,
    given: &Option<PathBuf>,
    default: impl FnOnce() -> Option<PathBuf>,
) -> Result<Option<PathBuf>> {
    match given {
        Some(none) if none.as_os_str().is_empty() => Ok(None),
        Some(_) => path(key, given, PathBuf::new).map(Some),
        None => Ok(default()),
    }
}

fn origins(given: &[String]) -> Result<Vec<String>> {
    let is_origin = |origin: &str| {
        let uri: Option<axum::http::Uri> = origin.parse().ok();
        uri.is_some_and(|uri| {
            let scheme = uri.scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme));
            scheme
                && uri.authority().is_some()
                && !origin["https://".len()..].contains(['/', '?', '@'])
        })
    };
    let given = given.iter().map(|origin| origin.trim()).filter(|origin| !origin.is_empty());
    let check = |origin: &str| match origin {
        "*" => Ok(origin.to_owned()),
        _ if is_origin(origin) => Ok(origin.to_owned()),
        _ => Err(refused("cors_origins", origin, "a list of origins such as https://example.org")),
    };
    given.map(check).collect()
}

fn networks(key: &'static str, given: Option<&[String]>, default: &[&str]) -> Result<Vec<IpNet>> {
    let read = |network: &str| {
        let address = network.parse::<IpAddr>().map(IpNet::from);
        address
            .or_else(|_| network.parse::<IpNet>())
            .map_err(|_| refused(key, network, "a list of addresses or networks (10.0.0.0/8)"))
    };
    match given {
        None => default.iter().map(|network| read(network)).collect(),
        Some(given) => {
            let given = given.iter().map(|network| network.trim());
            given.filter(|network| !network.is_empty()).map(read).collect()
        }
    }
}

fn log(given: Option<&str>) -> Result<String> {
    let text = given.unwrap_or("info");
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err(refused("log", text, "a filter such as info, debug or bodyscript=debug,hyper=warn"))
        }
    }
}

fn log_format(given: Option<&str>) -> Result<LogFormat> {
    match given {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some("journald") => Ok(LogFormat::Journald),
        Some(other) => Err(refused("log_format", other, "text, json or journald")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_budget(mib: u64) -> Result<Config> {
        let budget = Some(ByteCount(mib * MIB));
        Config::resolve(&RawConfig { memory_budget_bytes: budget, ..RawConfig::default() })
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
    fn a_budget_below_the_minimum_cap_is_refused_with_both_numbers() {
        let error = with_budget(95).expect_err("no worker could finish").to_string();
        for part in ["memory_budget_bytes", "95 MiB", "96 MiB", "worker_memory_bytes_max"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
