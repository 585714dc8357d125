//! Reloads the configuration while the service runs, from the flags, variables and file it was
//! started with.

use crate::cli::ConfigArgs;
use crate::config::Config;
use crate::config::keys::is_read_at_start;
use crate::ops::operations::{Reloaded, Source};
use toml::Table;

/// A source that reloads `settings`. `started_with` is the configuration of the start.
pub(crate) fn source(settings: ConfigArgs, started_with: &Config) -> Source {
    let first = started_with.in_effect.clone();
    let mut last = first.clone();
    Box::new(move |current| {
        let read = settings.reload(current)?;
        let fresh = read.in_effect.clone();
        let is_kept = |key: &String| is_read_at_start(key);
        let at_next_start = changed(&first, &fresh).filter(is_kept).collect();
        let applied = changed(&last, &fresh).filter(|key| !is_kept(key)).collect();
        last = fresh;
        Ok(Reloaded { config: current.with_reloaded(read)?, applied, at_next_start })
    })
}

fn changed<'a>(before: &'a Table, after: &'a Table) -> impl Iterator<Item = String> + 'a {
    after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, _)| key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;
    use crate::config::keys::KEYS;

    /// A value other than the default for every key.
    const OTHERS: &str = r#"
        listen = "127.0.0.1:9"
        operator_listen = "off"
        state_dir = "/elsewhere"
        worker_program = "/elsewhere/worker"
        models_dir = "/elsewhere/models"
        token_file = "/elsewhere/token"
        cors_origins = ["https://example.org"]
        gallery_dir = "/elsewhere/gallery"
        client_uploads_per_minute_max = 7
        client_jobs_max = 7
        client_connections_max = 7
        client_streams_max = 6
        trusted_proxies = ["10.0.0.0/8"]
        workers = 7
        standby = 3
        queue_max = 7
        upload_bytes_max = 7
        resumable_uploads_max = 7
        resumable_ttl_s = 7
        webhook_secret_file = "/elsewhere/secret"
        webhook_networks = ["10.0.0.0/8"]
        duration_s_max = 7
        on_long = "reject"
        side_px_max = 77
        area_px_max = 777
        frame_rate_max = 7
        worker_memory_bytes_max = "40 MiB"
        worker_memory_retry_bytes_max = "50 MiB"
        memory_budget_bytes = "60 MiB"
        worker_start_s_max = 7
        worker_progress_s_max = 7
        worker_wall_s_max = 7
        worker_cpu_s_max = 7
        worker_grace_ms_max = 7
        cage_required = "cgroup"
        sandbox_layers = ["seccomp"]
        core_scheduling = true
        sandbox_required = ["seccomp"]
        results_bytes_max = 7
        result_ttl_s = 7
        pressure_ttl_s = 6
        disk_free_bytes_min = 7
        journal_url = "postgres://other@other/other"
        journal_password_file = "/other"
        host_name = "another"
        lease_s = 7
        journal_poll_ms = 70
        artefacts_url = "s3://other"
        artefacts_endpoint = "http://127.0.0.1:7"
        artefacts_credentials_file = "/other"
        artefacts_redirect = true
        connections_max = 7
        streams_max = 6
        body_rate_bytes_per_s_min = 7
        header_s_max = 7
        stall_s_max = 7
        upload_s_max = 7
        drain_s_max = 7
        stop_delay_s = 7
        worker_user_ids = "7"
        log = "warn"
        log_format = "json"
    "#;

    #[test]
    fn every_key_is_applied_or_listed_for_the_next_start() {
        let resolve = |text| Config::resolve(RawConfig::of(text)).expect("valid");
        let (old, new) = (resolve("memory_budget_bytes = \"2 GiB\""), resolve(OTHERS));
        let merged = old.with_reloaded(new.clone()).expect("valid").in_effect;
        assert_eq!(merged.len(), KEYS.len());
        for (key, value) in &merged {
            let (old, new) = (&old.in_effect[key], &new.in_effect[key]);
            assert_ne!(old, new, "the test needs another value of {key}");
            assert_eq!(value, if is_read_at_start(key) { old } else { new }, "{key}");
        }
    }

    #[test]
    fn the_installed_file_lists_the_keys_that_need_a_restart() {
        let file = include_str!("../../../systemd/bodyscript.toml");
        let prose: String = file
            .lines()
            .map(|line| line.trim_start_matches('#').trim())
            .collect::<Vec<_>>()
            .join(" ");
        let kept: Vec<&str> =
            KEYS.iter().map(|key| key.name).filter(|name| is_read_at_start(name)).collect();
        let list = format!("`systemctl restart bodyscript`: {}.", kept.join(", "));
        assert!(prose.contains(&list), "{list}");
    }
}
