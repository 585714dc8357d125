//! The table of all configuration keys. From a row follow the flag, the variable and the key of the file, their help,
//! `config show`, the check of the value and whether a reload applies it.
//!
//! A new key is a row here and a field of [`crate::config::Config`] or of one of its parts, which reads it.

use crate::config::key::{Effect, Key, Kind};
use bodyscript_protocol::sandbox_report::Layer;
use std::ops::RangeInclusive;

const MIB: u64 = 1 << 20;
const DAY_S: u32 = 24 * 3600;
const CONNECTIONS_LIMIT: u32 = 65_536;

/// 30 KiB in the default `stall_s_max` of 30 s: a phone with a bad connection sends that in a few
/// seconds, even if the connection is interrupted in between.
const BODY_RATE_BYTES_PER_S_MIN: u64 = 1024;

const LAYERS: [&str; 9] = names(Layer::DEFAULT);

/// Layers that every supported host provides. The others are applied where the host allows them.
const LAYERS_REQUIRED: [&str; 5] = names([
    Layer::Rlimits,
    Layer::Descriptors,
    Layer::NoNewPrivs,
    Layer::Capabilities,
    Layer::Seccomp,
]);

/// Every key, in the order of the help.
#[rustfmt::skip]
pub(crate) static KEYS: [Key; 62] = [
    Key::new("listen", "ADDR:PORT", text("127.0.0.1:8000"), "Address and port to listen on").at_next_start(),
    Key::new("operator_listen", "ADDR:PORT", text("127.0.0.1:8001"),
        "Address and port of the operator listener, or off; needs a token unless it is loopback").at_next_start(),
    Key::new("state_dir", "DIR", Kind::Path, "Folder for uploads and results").at_next_start(),
    Key::new("workers", "N", number(2, 1..=256), "Number of videos processed at once"),
    Key::new("queue_max", "N", number(10, 1..=100_000), "Maximum number of queued jobs"),
    Key::new("upload_bytes_max", "BYTES", bytes(30 * MIB, 1), "Maximum size of a video"),
    Key::new("duration_s_max", "SECONDS", number(10, 1..=3600),
        "Maximum duration of a video that is processed"),
    Key::new("on_long", "WHAT", choice("trim", &["trim", "reject"]), "How to handle longer videos"),
    Key::new("side_px_max", "PIXELS", number(8192, 16..=16_384), "Maximum width or height of a video"),
    Key::new("area_px_max", "PIXELS", number(8192 * 4320, 256..=16_384 * 16_384),
        "Maximum number of pixels per frame"),
    Key::new("frame_rate_max", "FPS", number(240, 1..=1000), "Maximum frame rate"),
    Key::new("worker_memory_bytes_max", "BYTES", bytes(384 * MIB, 32 * MIB), "Memory limit of a worker"),
    Key::new("worker_memory_retry_bytes_max", "BYTES", bytes(768 * MIB, 1),
        "Highest memory limit of a worker, for large videos and for the retry after it ran out of memory"),
    Key::new("memory_budget_bytes", "BYTES", bytes(0, 0),
        "Memory limit of all workers together (default: derived from this host)"),
    Key::new("worker_start_s_max", "SECONDS", number(20, 1..=DAY_S),
        "Maximum time for a worker to become ready"),
    Key::new("worker_progress_s_max", "SECONDS", number(30, 1..=DAY_S),
        "Maximum time without a processed frame, and to exit after the last"),
    Key::new("worker_wall_s_max", "SECONDS", number(600, 1..=DAY_S), "Maximum run time of a worker"),
    Key::new("worker_cpu_s_max", "SECONDS", number(600, 1..=DAY_S), "Maximum processor time of a worker"),
    Key::new("worker_grace_ms_max", "MILLISECONDS", number(1000, 0..=60_000),
        "Time a worker has to stop before it is killed"),
    Key::new("standby", "N", number(0, 0..=256), "Number of workers started in advance"),
    Key::new("worker_program", "FILE", Kind::Path,
        "Worker program (default: bodyscript-worker next to this program)").at_next_start(),
    Key::new("models_dir", "DIR", Kind::Path, "Folder of the model files").at_next_start(),
    Key::new("cage_required", "CAGE", choice("any", &["v2", "cgroup", "any"]),
        "Required memory cage").at_next_start(),
    Key::new("worker_user_ids", "RANGE", text("66000-66999"),
        "User ids that workers of a service of root become, each one of its own").at_next_start(),
    Key::new("sandbox_layers", "LAYER", list(&LAYERS), "Sandbox layers a worker applies").at_next_start(),
    Key::new("core_scheduling", "WHETHER", switch(false),
        "Whether a worker shares a processor core with its own threads only").at_next_start(),
    Key::new("sandbox_required", "LAYER", list(&LAYERS_REQUIRED),
        "Sandbox layers without which a worker does not start").at_next_start(),
    Key::new("results_bytes_max", "BYTES", bytes(1024 * MIB, 1),
        "Maximum size of all results of a video together"),
    Key::new("result_ttl_s", "SECONDS", number(3600, 1..=365 * DAY_S), "Time results are kept"),
    Key::new("pressure_ttl_s", "SECONDS", number(600, 0..=365 * DAY_S),
        "Time results are kept while memory or disk space is low"),
    Key::new("disk_free_bytes_min", "BYTES", bytes(256 * MIB, 0),
        "Free disk space below which uploads are refused"),
    Key::new("journal_url", "URL", text("sqlite:"),
        "Journal of jobs: sqlite: (state_dir) or postgres://user@host/database, which hosts share").at_next_start(),
    Key::new("journal_password_file", "FILE", Kind::Path,
        "File with the password for the database (default: the systemd credential `journal-password`, if it \
         exists)").at_next_start(),
    Key::new("host_name", "NAME", text(""),
        "Name of this host among those that share the journal (default: that of the system)").at_next_start(),
    Key::new("lease_s", "SECONDS", number(20, 2..=3600),
        "Time without a sign of a host after which others run its jobs").at_next_start(),
    Key::new("journal_poll_ms", "MILLISECONDS", number(250, 10..=10_000),
        "How often changes of other hosts are read").at_next_start(),
    Key::new("artefacts_url", "URL", text("local"),
        "Store of uploads and results that hosts share: local (state_dir only), s3://bucket/prefix or \
         file:///folder").at_next_start(),
    Key::new("artefacts_endpoint", "URL", text(""),
        "Address of a store that speaks S3 (default: that of Amazon)").at_next_start(),
    Key::new("artefacts_credentials_file", "FILE", Kind::Path,
        "File with the key for the store (default: the systemd credential `artefacts-credentials`, if it \
         exists; else the environment)").at_next_start(),
    Key::new("artefacts_redirect", "WHETHER", switch(false),
        "Whether downloads are redirected to the store, by a URL that is valid for 10 minutes").at_next_start(),
    Key::new("connections_max", "N", number(512, 1..=CONNECTIONS_LIMIT),
        "Maximum number of concurrent connections").at_next_start(),
    Key::new("streams_max", "N", number(256, 0..=u32::MAX),
        "Maximum number of concurrent event streams (default: 256, or half of connections_max)").at_next_start(),
    Key::new("header_s_max", "SECONDS", number(15, 1..=3600),
        "Maximum time to receive the header of a request").at_next_start(),
    Key::new("stall_s_max", "SECONDS", number(30, 1..=3600),
        "Maximum time without data while a body is transferred"),
    Key::new("upload_s_max", "SECONDS", number(600, 1..=DAY_S), "Maximum time of an upload"),
    Key::new("body_rate_bytes_per_s_min", "BYTES", bytes(BODY_RATE_BYTES_PER_S_MIN, 0),
        "Minimum bytes per second of a transfer, averaged over stall_s_max"),
    Key::new("resumable_uploads_max", "N", number(64, 0..=100_000),
        "Maximum number of unfinished resumable uploads").at_next_start(),
    Key::new("resumable_ttl_s", "SECONDS", number(6 * 3600, 1..=30 * DAY_S),
        "Time after which an unfinished resumable upload is deleted").at_next_start(),
    Key::new("webhook_secret_file", "FILE", Kind::Path,
        "File with the secret that signs webhooks, or two while it is changed, one a line (default: the systemd \
         credential `webhook-secret`, if it exists); without a secret webhooks are off"),
    Key::new("webhook_networks", "NETWORK", list(&[]),
        "Non-public networks that webhooks may reach, also without TLS"),
    Key::new("token_file", "FILE", Kind::Path,
        "File with the operator token (default: the systemd credential `token`, if it exists)"),
    Key::new("cors_origins", "ORIGIN", list(&[]),
        "Origins allowed to call the service from a browser (CORS); * allows all"),
    Key::new("gallery_dir", "DIR", Kind::Path,
        "Folder with examples for /api/gallery: DIR/CATEGORY/EXAMPLE/, as `bodyscript run -o DIR/CATEGORY` writes them"),
    Key::new("client_uploads_per_minute_max", "N", number(60, 1..=60_000),
        "Maximum number of uploads per minute and client"),
    Key::new("client_jobs_max", "N", number(6, 1..=100_000), "Maximum number of unfinished jobs per client"),
    Key::new("client_connections_max", "N", number(64, 1..=CONNECTIONS_LIMIT),
        "Maximum number of concurrent requests or connections per client"),
    Key::new("client_streams_max", "N", number(32, 0..=u32::MAX),
        "Maximum number of concurrent event streams per client (default: 32, or half of \
         client_connections_max)"),
    Key::new("trusted_proxies", "NETWORK", list(&["127.0.0.0/8", "::1"]),
        "Addresses or networks of proxies whose X-Forwarded-For is trusted"),
    Key::new("drain_s_max", "SECONDS", number(60, 0..=DAY_S),
        "Time running jobs have to finish when the service stops"),
    Key::new("stop_delay_s", "SECONDS", number(0, 0..=3600),
        "Time a service that stops goes on accepting requests, while /readyz has load balancers send them elsewhere \
         (default: 3 if hosts share the journal, else 0)"),
    Key::new("log", "FILTER", text("info"), "Log filter, such as info or bodyscript=debug").at_next_start(),
    Key::new("log_format", "FORMAT", choice("text", &["text", "json", "journald"]),
        "Log format").at_next_start(),
];

/// The key with this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether a change of this key takes effect at the next start only.
pub(crate) fn is_read_at_start(name: &str) -> bool {
    find(name).is_some_and(|key| key.effect == Effect::NextStart)
}

const fn number(default: u32, range: RangeInclusive<u32>) -> Kind {
    Kind::Number { default, range }
}

const fn bytes(default: u64, min: u64) -> Kind {
    Kind::Bytes { default, min }
}

const fn choice(default: &'static str, names: &'static [&'static str]) -> Kind {
    Kind::Choice { default, names }
}

const fn switch(default: bool) -> Kind {
    Kind::Switch { default }
}

const fn text(default: &'static str) -> Kind {
    Kind::Text { default }
}

const fn list(default: &'static [&'static str]) -> Kind {
    Kind::List { default }
}

const fn names<const N: usize>(layers: [Layer; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut i = 0;
    while i < N {
        names[i] = layers[i].name();
        i += 1;
    }
    names
}
