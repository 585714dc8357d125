//! `bodyscript config show`: every key with its effective value, as a configuration file.

use crate::config::{ByteCount, Config, LogFormat, RawConfig};
use crate::runner::containment::cage::CageRequired;
use bodyscript_protocol::message::OnLong;
use bodyscript_protocol::sandbox_report::Layer;
use ipnet::IpNet;
use std::time::Duration;

/// The configuration as TOML, from which [`Config::load`] reads the same configuration.
pub(crate) fn effective(config: &Config) -> String {
    toml::to_string(&raw(config)).expect("every field is a plain value")
}

fn raw(config: &Config) -> RawConfig {
    let s = |time: Duration| Some(time.as_secs() as u32);
    let names = |layers: &[Layer]| Some(layers.iter().map(|layer| layer.name().into()).collect());
    let bytes = |count| Some(ByteCount(count));
    let networks = |list: &[IpNet]| Some(list.iter().map(ToString::to_string).collect());
    let Config { media, deadlines, http, access, .. } = config;
    RawConfig {
        listen: Some(config.listen.to_string()),
        operator_listen: Some(
            config.operator_listen.map_or("off".into(), |address| address.to_string()),
        ),
        state_dir: Some(config.state_dir.clone()),
        workers: Some(config.workers as u32),
        queue_max: Some(config.queue_max as u32),
        upload_bytes_max: bytes(config.upload_bytes_max),
        duration_s_max: Some(media.duration_ms_max / 1000),
        on_long: Some(
            match media.on_long {
                OnLong::Trim => "trim",
                OnLong::Reject => "reject",
            }
            .into(),
        ),
        side_px_max: Some(media.side_px_max),
        area_px_max: Some(media.area_px_max),
        frame_rate_max: Some(media.frame_rate_max),
        worker_memory_bytes_max: bytes(config.worker_memory_bytes_max),
        worker_memory_retry_bytes_max: bytes(config.worker_memory_retry_bytes_max),
        memory_budget_bytes: bytes(config.memory_budget_bytes),
        worker_start_s_max: s(deadlines.start),
        worker_progress_s_max: s(deadlines.progress),
        worker_wall_s_max: s(deadlines.wall),
        worker_cpu_s_max: s(deadlines.cpu),
        worker_grace_ms_max: Some(deadlines.grace.as_millis() as u32),
        standby: Some(config.standby as u32),
        worker_program: Some(config.worker_program.clone()),
        models_dir: Some(config.models_dir.clone()),
        cage_required: Some(
            match config.cage_required {
                CageRequired::V2 => "v2",
                CageRequired::Cgroup => "cgroup",
                CageRequired::Any => "any",
            }
            .into(),
        ),
        sandbox_layers: names(&config.sandbox_layers),
        sandbox_required: names(&config.sandbox_required),
        result_ttl_s: s(config.result_ttl),
        pressure_ttl_s: s(config.pressure_ttl),
        disk_free_bytes_min: bytes(config.disk_free_bytes_min),
        connections_max: Some(http.connections_max as u32),
        streams_max: Some(http.streams_max as u32),
        header_s_max: s(http.header_max),
        stall_s_max: s(http.stall_max),
        upload_s_max: s(http.upload_max),
        body_rate_bytes_per_s_min: bytes(http.body_rate_bytes_per_s_min),
        resumable_uploads_max: Some(config.resumable.uploads_max as u32),
        resumable_ttl_s: s(config.resumable.retention.normal),
        webhook_secret_file: Some(config.webhook.secret_file.clone().unwrap_or_default()),
        webhook_networks: networks(&config.webhook.networks),
        token_file: Some(access.token_file.clone().unwrap_or_default()),
        cors_origins: Some(access.cors_origins.clone()),
        client_uploads_per_minute_max: Some(access.clients.uploads_per_minute_max),
        client_jobs_max: Some(access.clients.jobs_max as u32),
        client_connections_max: Some(access.clients.connections_max as u32),
        client_streams_max: Some(access.clients.streams_max as u32),
        trusted_proxies: networks(&access.clients.trusted_proxies),
        drain_s_max: s(config.drain_max),
        log: Some(config.log.clone()),
        log_format: Some(log_format(config.log_format).into()),
    }
}

const fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
        LogFormat::Journald => "journald",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_configuration_reads_back_unchanged() {
        let raw = RawConfig {
            workers: Some(3),
            on_long: Some("reject".into()),
            sandbox_required: Some(vec!["seccomp".into()]),
            memory_budget_bytes: Some(ByteCount(1 << 30)),
            worker_grace_ms_max: Some(1234),
            ..RawConfig::default()
        };
        let shown = effective(&Config::resolve(&raw).expect("valid"));
        let read: RawConfig = toml::from_str(&shown).expect("reads back");
        assert_eq!(read.workers, Some(3));
        assert_eq!(read.sandbox_required, raw.sandbox_required);
        assert_eq!(effective(&Config::resolve(&read).expect("valid")), shown);
    }

    #[test]
    fn every_key_is_shown() {
        let shown = effective(&Config::resolve(&RawConfig::default()).expect("valid"));
        let command = <RawConfig as clap::Args>::augment_args(clap::Command::new("keys"));
        for key in command.get_arguments().map(|arg| arg.get_id().as_str()) {
            assert!(shown.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
        }
    }

    /// Keys whose defaults depend on the host.
    const HOST_DEPENDENT: [&str; 6] = [
        "state_dir",
        "worker_program",
        "models_dir",
        "memory_budget_bytes",
        "token_file",
        "webhook_secret_file",
    ];

    #[test]
    fn the_installed_file_lists_every_key_with_its_default() {
        let file = include_str!("../../../systemd/bodyscript.toml");
        let as_installed: RawConfig = toml::from_str(file).expect("it is TOML");
        assert_eq!(as_installed, RawConfig::default(), "every key is commented out");

        // Commented-out keys begin with `#` directly; `# ` begins prose.
        let keys = file.lines().filter_map(|line| line.strip_prefix('#'));
        let keys: Vec<_> = keys.filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
        let listed: RawConfig = toml::from_str(&keys.join("\n")).expect("keys and values");
        let listed = Config::resolve(&listed).expect("accepted values");
        let listed: toml::Table = effective(&listed).parse().expect("TOML");
        let default = Config::resolve(&RawConfig::default()).expect("valid");
        let default: toml::Table = effective(&default).parse().expect("TOML");
        for (key, value) in &default {
            let line = format!("{key} = ");
            assert!(keys.iter().any(|k| k.starts_with(&line)), "`{key}` is not in the file");
            if !HOST_DEPENDENT.contains(&key.as_str()) {
                assert_eq!(&listed[key], value, "`{key}` has another default");
            }
        }
    }
}
